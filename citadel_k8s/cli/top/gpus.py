"""Nodes and GPUs as one line each shows them, read from rows without trust in their shape."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from citadel_k8s.collectors.lines import clean
from citadel_k8s.domain.fleetrows import gpu_count, name_of, part, parts
from citadel_k8s.errors import WireError
from citadel_k8s.models.codec import parse_timestamp

GPUS_MAX: Final = 64
"""GPUs of one node that are shown: no machine has more, and a wrong figure must not fill memory."""

NAME_MAX: Final = 64
"""Longest name that is kept, in characters."""

SILENT: Final = frozenset({"Offline", "Stale", "Unknown"})
"""States in which figures are the last that were known."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: percent, degrees Celsius, watts; None is unknown. ``mark``: 1 degraded, 2 failed."""

    index: int
    model: str | None = None
    util: int | None = None
    memory: int | None = None
    mark: int | None = None
    temperature: int | None = None
    power: int | None = None
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One node with its GPUs; ``heard`` is the moment of its last heartbeat, as it told it."""

    id: str
    name: str
    state: str
    reason: str | None
    heard: float | None
    models: tuple[str, ...] | None
    gpus: tuple[Gpu, ...]

    @property
    def silent(self) -> bool:
        """Whether its figures are the last that were known."""
        return self.state in SILENT


def node_of(row: Mapping[str, Any]) -> Node:
    """Give the node of a row of `clients.fleet`."""
    reason = row.get("reason")
    models = part(row, "profile").get("models")
    served = tuple(_name(one) for one in models) if isinstance(models, list) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return Node(
        id=str(row.get("id", "")),
        name=_name(name_of(row)) or "?",
        state=_name(row.get("state")) or "Unknown",
        reason=_name(reason) if reason else None,
        heard=_moment(row.get("lastHeartbeat")),
        models=served,
        gpus=tuple(_gpus(row)),
    )


def with_detail(node: Node, detail: Mapping[str, Any]) -> Node:
    """Give a node with what its last status says of each GPU besides."""
    status = part(detail, "status")
    said = parts(part(status, "status") or status, "gpu")
    told = {index: gpu for gpu in said if isinstance(index := gpu.get("index"), int)}
    if not told:
        return node
    gpus = tuple(_detailed(gpu, told.get(gpu.index, {})) for gpu in node.gpus)
    return replace(node, gpus=gpus)


def short_model(name: str) -> str:
    """Give a GPU's model without what all of a maker's have."""
    for word in ("NVIDIA GeForce ", "NVIDIA ", "AMD Instinct ", "AMD "):
        name = name.removeprefix(word)
    return name


def served(models: Iterable[str]) -> str:
    """Give the first model by its short name, and how many more there are."""
    names = [model.rpartition("/")[2] or model for model in models]
    if not names:
        return "-"
    return names[0] + (f" +{len(names) - 1}" if len(names) > 1 else "")


def _gpus(row: Mapping[str, Any]) -> Iterable[Gpu]:
    figures = part(row, "pulse").get("gpu")
    told: list[Any] = figures if isinstance(figures, list) else []  # pyright: ignore[reportUnknownVariableType]
    names = _model_names(row)
    for index in range(min(GPUS_MAX, max(len(told), len(names), gpu_count(row) or 0))):
        util, memory, mark = _three(told[index] if index < len(told) else None)
        name = names[index] if index < len(names) else None
        yield Gpu(index, name, _percent(util), _percent(memory), mark)


def _model_names(row: Mapping[str, Any]) -> list[str]:
    names: list[str] = []
    for kind in parts(part(row, "profile"), "gpus"):
        count = kind.get("count")
        number = min(count, GPUS_MAX) if isinstance(count, int) else 0
        names += [short_model(_name(kind.get("model")))] * number
    return names[:GPUS_MAX]


def _three(figures: Any) -> tuple[Any, Any, int | None]:
    if not isinstance(figures, (list, tuple)):
        return None, None, None
    util, memory, mark = (*cast("list[Any]", figures), None, None, None)[:3]
    return util, memory, mark if mark in (0, 1, 2) else None


def _detailed(gpu: Gpu, told: Mapping[str, Any]) -> Gpu:
    return replace(
        gpu,
        temperature=_whole(told.get("temperature_celsius"), 200),
        power=_whole(told.get("power_watts"), 5000),
        holder=_holder(told) if told else None,
    )


def _holder(told: Mapping[str, Any]) -> str:
    """Give who holds a GPU: pods, else processes; ``?`` where the node cannot tell."""
    pods = [_name(one["pod"]) for one in parts(told, "holders") if one.get("pod")]
    names = pods or [_name(p["name"]) for p in parts(told, "processes") if p.get("name")]
    if names:
        return served(dict.fromkeys(names))
    known = any(isinstance(told.get(key), list) for key in ("holders", "processes"))
    return "-" if known else "?"


def _percent(value: Any) -> int | None:
    return _whole(value, 100)


def _whole(value: Any, most: int) -> int | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return round(value) if number and 0 <= value <= most else None


def _name(value: Any) -> str:
    return "" if value is None else clean(str(value), NAME_MAX)


def _moment(value: Any) -> float | None:
    try:
        return parse_timestamp(str(value)) if value else None
    except WireError:
        return None
