"""Which Nodes to cordon, how many at most, and what that changes in a Node.

What is cordoned here carries an annotation and a label, and nothing else is ever uncordoned. Each
change names the version of the Node that it was decided on, so that a person who is faster wins.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import ConfigError

BY: Final = "fabric.aceteam.ai/cordoned-by"
"""Annotation of a Node that was cordoned here; its value is `WHO`."""

WHO: Final = "citadel-operator"
"""Who cordoned."""

FAULTS: Final = "fabric.aceteam.ai/cordon-faults"
"""Annotation with the faults, such as ``GPU 3 GpuLost; GPU 5 Xid79``."""

GPUS: Final = "fabric.aceteam.ai/cordon-gpus"
"""Annotation with the number of GPUs at that time: with fewer a Node is not whole again."""

DECLINED: Final = "fabric.aceteam.ai/cordon-declined"
"""Annotation with the faults for which a person has uncordoned the Node."""

LABEL: Final = "fabric.aceteam.ai/cordoned"
"""Label, ``true`` or ``declined``: Nodes can be listed by labels, not by annotations."""

FAULTS_MAX: Final = 512
"""Characters kept of the faults: sixteen GPUs take less."""

EFFECTS: Final = frozenset({"NoSchedule", "PreferNoSchedule", "NoExecute"})

_SEPARATOR: Final = "; "


@dataclass(frozen=True, slots=True)
class Taint:
    """A taint that goes with the cordon."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"

    @classmethod
    def parse(cls, text: str) -> "Taint":
        """Read ``key[=value][:effect]``.

        Raises
        ------
        ConfigError
            If it is none.
        """
        pair, colon, effect = text.partition(":")
        key, _, value = pair.partition("=")
        effect = effect if colon else "NoSchedule"
        if not key or effect not in EFFECTS:
            raise ConfigError(
                f"cordon.taint: {clip(text)} is not key[=value][:effect] with an effect of "
                f"{', '.join(sorted(EFFECTS))}"
            )
        return cls(key, value, effect)

    def is_in(self, taint: Mapping[str, Any]) -> bool:
        """Say whether a Node's taint is this one."""
        return taint.get("key") == self.key and taint.get("effect") == self.effect


def limit_of(nodes: int, ratio: float) -> int:
    """Give how many of so many Nodes may be cordoned at a time."""
    return math.floor(nodes * ratio + 1e-9)


def is_ours(node: Mapping[str, Any]) -> bool:
    """Say whether a Node was cordoned here."""
    return _annotations(node).get(BY) == WHO


def is_cordoned(node: Mapping[str, Any]) -> bool:
    """Say whether a Node is cordoned, by whomever."""
    return _mapping(node.get("spec")).get("unschedulable") is True


def faults_in(node: Mapping[str, Any], annotation: str) -> frozenset[str]:
    """Give the faults that an annotation names."""
    text = _annotations(node).get(annotation)
    return frozenset(text.split(_SEPARATOR)) if isinstance(text, str) and text else frozenset()


def gpus_in(node: Mapping[str, Any]) -> int:
    """Give how many GPUs a Node had when it was cordoned; 0 if that is not known."""
    text = _annotations(node).get(GPUS)
    return (
        int(text) if isinstance(text, str) and text.isdecimal() and len(text) < len("1000") else 0
    )


def cordoning(
    node: Mapping[str, Any], faults: Collection[str], gpus: int, taint: Taint | None
) -> dict[str, Any]:
    """Give the patch that cordons a Node."""
    spec: dict[str, Any] = {"unschedulable": True}
    if taint is not None:
        added = {"key": taint.key, "effect": taint.effect}
        added |= {"value": taint.value} if taint.value else {}
        spec["taints"] = [*_other_taints(node, taint), added]
    annotations = {BY: WHO, FAULTS: _joined(faults), GPUS: str(gpus), DECLINED: None}
    return _patch(node, annotations, "true", spec)


def uncordoning(node: Mapping[str, Any], taint: Taint | None) -> dict[str, Any]:
    """Give the patch that takes all back."""
    spec: dict[str, Any] = {"unschedulable": None}
    if taint is not None:
        spec["taints"] = _other_taints(node, taint) or None
    return _patch(node, {BY: None, FAULTS: None, GPUS: None}, None, spec)


def declining(node: Mapping[str, Any], taint: Taint | None) -> dict[str, Any]:
    """Give the patch that takes note of a person who has uncordoned a Node."""
    faults = _joined(faults_in(node, FAULTS))
    spec = {"taints": _other_taints(node, taint) or None} if taint is not None else {}
    annotations = {BY: None, FAULTS: None, GPUS: None, DECLINED: faults or None}
    return _patch(node, annotations, "declined" if faults else None, spec)


def forgetting(node: Mapping[str, Any]) -> dict[str, Any]:
    """Give the patch that lets a Node be cordoned again for what a person declined."""
    return _patch(node, {DECLINED: None}, None, {})


def _patch(
    node: Mapping[str, Any],
    annotations: Mapping[str, str | None],
    label: str | None,
    spec: Mapping[str, Any],
) -> dict[str, Any]:
    metadata = {
        "resourceVersion": _mapping(node.get("metadata")).get("resourceVersion"),
        "annotations": dict(annotations),
        "labels": {LABEL: label},
    }
    return {"metadata": metadata} | ({"spec": dict(spec)} if spec else {})


def _joined(faults: Collection[str]) -> str:
    return clip(_SEPARATOR.join(sorted(faults)), FAULTS_MAX)


def _other_taints(node: Mapping[str, Any], taint: Taint) -> list[dict[str, Any]]:
    taints = cast("Sequence[dict[str, Any]]", _mapping(node.get("spec")).get("taints") or ())
    return [other for other in taints if not taint.is_in(other)]


def _annotations(node: Mapping[str, Any]) -> dict[str, Any]:
    return _mapping(_mapping(node.get("metadata")).get("annotations"))


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
