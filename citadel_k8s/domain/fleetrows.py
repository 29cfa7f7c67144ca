"""Rows of a fleet: made of FabricNodes, brought up to date by deltas, and put in order.

The shape is that of `models.views.NodeSummary` as JSON; what an object does not say is left out.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

from citadel_k8s.domain.pulse import MARKS
from citadel_k8s.domain.standing import rank
from citadel_k8s.errors import WireError
from citadel_k8s.models.codec import parse_timestamp

_UNKNOWN: Final = "Unknown"
_NOTHING: Final[Mapping[str, Any]] = {}


def object_row(raw: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Give the row of a FabricNode; ``now`` in seconds since the epoch."""
    metadata, spec, status = part(raw, "metadata"), part(raw, "spec"), part(raw, "status")
    name = str(metadata.get("name", ""))
    state = str(status.get("state") or _UNKNOWN)
    ready: Mapping[str, Any] = next(
        (c for c in parts(status, "conditions") if c.get("type") == "Ready"), _NOTHING
    )
    well = state == "Online"
    heard = status.get("lastHeartbeatTime")
    row: dict[str, Any] = {
        "id": str(spec.get("nodeId") or name),
        "state": state,
        "reason": None if well else part(status, "summary").get("reason") or ready.get("reason"),
        "message": None if well else ready.get("message") or None,
        # Of no other state the condition's time is the state's own: Degraded and Draining share it.
        "since": ready.get("lastTransitionTime") if well else None,
        "lastHeartbeat": heard,
        "age": seconds_since(heard, now),
        "labels": metadata.get("labels") or None,
        "profile": _profile(name, status),
        "pulse": _pulse(status),
        "object": name,
        "created": metadata.get("creationTimestamp"),
        "confirmed": status.get("confirmedTime"),
        "summary": dict(part(status, "summary")),
    }
    return {key: value for key, value in row.items() if value is not None}


def merged(row: Mapping[str, Any] | None, delta: Mapping[str, Any]) -> dict[str, Any]:
    """Give a row as it is after a ``node`` delta; one that is left out stays, but for a reason."""
    node = str(delta.get("id", ""))
    new: dict[str, Any] = {"id": node, "state": _UNKNOWN, "pulse": dict[str, Any]()}
    new.update(row or _NOTHING)
    if "state" in delta:
        for key in ("reason", "message", "since"):
            new.pop(key, None)
    for key in ("state", "reason", "message", "since", "pulse", "profile"):
        if delta.get(key) is not None:
            new[key] = delta[key]
    if delta.get("seen") is not None:
        new["lastHeartbeat"] = delta["seen"]
        new.pop("age", None)
    new.setdefault("profile", {"name": node})
    return new


def ordered(rows: Iterable[Mapping[str, Any]], sort: str = "state") -> list[Any]:
    """Give rows in an order of `domain.standing.SORTS`, with ``-`` before it the largest first.

    What is not known comes last, either way round; what is equal is in the order of names.
    """
    value, down = _VALUES[sort.removeprefix("-")], sort.startswith("-")
    known: list[Any] = []
    unknown: list[Any] = []
    for row in sorted(rows, key=lambda row: (name_of(row).casefold(), str(row.get("id")))):
        (unknown if value(row) is None else known).append(row)
    return sorted(known, key=value, reverse=down) + unknown


def name_of(row: Mapping[str, Any]) -> str:
    """Give what people call a node."""
    return str(row.get("object") or part(row, "profile").get("name") or row.get("id") or "")


def gpu_count(row: Mapping[str, Any]) -> int | None:
    """Give how many GPUs a node has; None if that is not known."""
    gpus = part(row, "profile").get("gpus")
    if not isinstance(gpus, list):
        return None
    return sum(int(gpu.get("count") or 0) for gpu in parts(part(row, "profile"), "gpus"))


def part(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Give an object inside an object; an empty one where there is none."""
    value = raw.get(key)
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def parts(raw: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Give the objects of a list inside an object; none where there is none."""
    value = raw.get(key)
    items: list[Any] = value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]
    return [cast("Mapping[str, Any]", item) for item in items if isinstance(item, dict)]


def seconds_since(moment: Any, now: float) -> float | None:
    """Give the seconds since an RFC 3339 moment; None if there is none."""
    try:
        return max(0.0, round(now - parse_timestamp(moment), 1))
    except (WireError, TypeError):
        return None


def _profile(name: str, status: Mapping[str, Any]) -> dict[str, Any]:
    hardware, services = part(status, "hardware"), status.get("services")
    addresses = cast("list[Any]", status.get("addresses") or [])
    count, model = hardware.get("gpuCount"), hardware.get("gpuModel")
    profile = {
        "name": name,
        "address": addresses[0] if addresses else None,
        "agent": part(status, "agent").get("version"),
        "gpus": None if count is None else [{"model": model or "unknown", "count": count}][:count],
        "vramBytes": hardware.get("gpuMemoryBytes"),
        "memoryBytes": hardware.get("memoryBytes"),
        "models": None if services is None else _models(status),
        "services": None if services is None else _services(status),
        "driver": hardware.get("driver"),
    }
    return {key: value for key, value in profile.items() if value is not None}


def _models(status: Mapping[str, Any]) -> list[str] | None:
    """Give what is served; None where no service's health is known, so that nobody can say."""
    services = parts(status, "services")
    if services and all(service.get("health") == "unknown" for service in services):
        return None
    serving = [service for service in services if service.get("health") == "ok"]
    return list(dict.fromkeys(str(m) for s in serving for m in s.get("models") or ()))


def _services(status: Mapping[str, Any]) -> int:
    return len(parts(status, "services")) + int(status.get("moreServices") or 0)


def _pulse(status: Mapping[str, Any]) -> dict[str, Any]:
    if status.get("gpus") is None:
        return {}
    marks = [MARKS.get(str(gpu.get("health"))) for gpu in parts(status, "gpus")]
    marks += [None] * int(status.get("moreGpus") or 0)
    return {"gpu": [[None, None, mark] for mark in marks]}


def _moment(row: Mapping[str, Any]) -> float | None:
    try:
        return parse_timestamp(str(row.get("since")))
    except WireError:
        return None


_VALUES: Final[dict[str, Callable[[Mapping[str, Any]], Any]]] = {
    "state": lambda row: rank(row.get("state")),
    "name": lambda row: name_of(row).casefold(),
    "id": lambda row: str(row.get("id")),
    "since": _moment,
    "gpus": gpu_count,
    "vram": lambda row: part(row, "profile").get("vramBytes"),
    "memory": lambda row: part(row, "profile").get("memoryBytes"),
    "agent": lambda row: part(row, "profile").get("agent"),
    "models": lambda row: len(m) if (m := part(row, "profile").get("models")) is not None else None,
}
