"""The kubelet's list of pods, read pod by pod: nothing else runs while JSON is read."""

import asyncio
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from citadel_k8s.collectors.lines import clean
from citadel_k8s.models.readings import Pod

PODS_MAX: Final = 1_000
"""Pods taken. Source: four times the most that large clusters allow on a node."""

SLICE: Final = 0.01
"""Seconds for which the loop stands still for pods: a list of 250 takes 60 to 100 ms, and Python
reads JSON in no thread beside the loop."""

NEAR: Final = 64 * 1024
"""Characters that are looked at for one pod: most have 10 kB. Longer ones are looked at again."""

PER_POD_MAX: Final = 64
"""Containers, labels and annotations taken of one pod."""

KEPT_PREFIXES: Final = ("fabric.aceteam.ai/", "app.kubernetes.io/")
"""Labels and annotations that mean something here; others may hold what is nobody's business."""

ENDED: Final = frozenset({"Succeeded", "Failed"})
"""Phases of a pod that holds nothing any more."""

MIRROR_OF: Final = "kubernetes.io/config.mirror"
"""Annotation that gives a static pod's UID as the node's cgroups know it."""

_DECODER: Final = json.JSONDecoder()
_SPACE: Final = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, slots=True)
class NodePods:
    """The node's pods. ``ended`` has namespace and name of those that have run to their end."""

    pods: tuple[Pod, ...]
    ended: frozenset[tuple[str, str]]


def pods_of(body: bytes) -> NodePods:
    """Give the pods of a ``PodList``; what is not of a pod's shape is left out.

    Raises
    ------
    ValueError
        If it is no list of pods.
    """
    found = _Found()
    for item in _items(body.decode()):
        found.add(item)
    return found.pods()


async def read_pods(body: bytes) -> NodePods:
    """Give the same as `pods_of`, and let others run in between."""
    loop = asyncio.get_running_loop()
    found, since = _Found(), loop.time()
    for item in _items(body.decode()):
        found.add(item)
        if loop.time() - since > SLICE:
            await asyncio.sleep(0)
            since = loop.time()
    return found.pods()


class _Found:
    """The pods of a list so far."""

    def __init__(self) -> None:
        self._pods: list[Pod] = []
        self._ended: set[tuple[str, str]] = set()

    def add(self, item: object) -> None:
        document = _mapping(item)
        pod = _pod(document)
        if pod is None:
            return
        if _text(_mapping(document.get("status")).get("phase")) in ENDED:
            self._ended.add((pod.namespace, pod.name))
        else:
            self._pods.append(pod)

    def pods(self) -> NodePods:
        alive = {(pod.namespace, pod.name) for pod in self._pods}
        return NodePods(tuple(self._pods), frozenset(self._ended - alive))


def _items(text: str) -> Iterator[object]:
    """Give the items of a list one by one; raises ValueError where there is no such list."""
    at = _after(text, 0, "{")
    while True:
        key, at = _value(text, at)
        at = _after(text, at, ":")
        if key == "items":
            break
        _, at = _value(text, at)
        at = _after(text, at, ",")
    at = _after(text, at, "[")
    if text[at : at + 1] == "]":
        return
    for _ in range(PODS_MAX):
        item, at = _value(text, at)
        yield item
        if text[at : at + 1] == "]":
            return
        at = _after(text, at, ",")


def _value(text: str, at: int) -> tuple[object, int]:
    try:
        value, size = _DECODER.raw_decode(text[at : at + NEAR])
        end = at + size
    except ValueError:
        # It is longer, or wrong.
        value, end = _DECODER.raw_decode(text, at)
    return value, _after(text, end, "")


def _after(text: str, at: int, sign: str) -> int:
    """Give where what follows a sign, and the space around it, begins."""
    found = _SPACE.match(text, at)
    at = found.end() if found else at
    if not text.startswith(sign, at):
        raise ValueError("no list of pods")
    found = _SPACE.match(text, at + len(sign))
    return found.end() if found else at


def _pod(document: Mapping[str, Any]) -> Pod | None:
    metadata, status = _mapping(document.get("metadata")), _mapping(document.get("status"))
    annotations = _mapping(metadata.get("annotations"))
    uid = _text(annotations.get(MIRROR_OF)) or _text(metadata.get("uid"))
    namespace, name = _text(metadata.get("namespace")), _text(metadata.get("name"))
    if not (uid and namespace and name):
        return None
    kinds = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    states = [state for kind in kinds for state in _states(status, kind)]
    return Pod(
        uid=uid,
        namespace=namespace,
        name=name,
        containers=tuple(
            (number.rpartition("//")[2], called)
            for state in states
            if (number := _text(state.get("containerID"))) and (called := _text(state.get("name")))
        ),
        ip=_text(status.get("podIP")),
        labels=tuple(_kept(_mapping(metadata.get("labels")))),
        annotations=tuple(_kept(annotations)),
        restarts=tuple(
            (called, count)
            for state in states
            if (called := _text(state.get("name")))
            and isinstance(count := state.get("restartCount"), int)
        ),
    )


def _states(status: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    states = status.get(key)
    if not isinstance(states, list):
        return []
    return [_mapping(state) for state in states[:PER_POD_MAX]]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _kept(pairs: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    kept = [(k, v) for k, v in pairs.items() if k.startswith(KEPT_PREFIXES) and isinstance(v, str)]
    return [(clean(key), clean(value)) for key, value in kept[:PER_POD_MAX]]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _text(value: object) -> str | None:
    return clean(value) or None if isinstance(value, str) else None
