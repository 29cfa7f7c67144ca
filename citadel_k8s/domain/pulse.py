"""A message taken apart: what moves with each heartbeat, what the node is, what changes seldom."""

import hashlib
import math
from collections.abc import Iterable
from typing import Any, Final, cast

import pydantic_core

from citadel_k8s.constants import LIST_MAX
from citadel_k8s.domain.facts import INT64_MAX, clip
from citadel_k8s.models.lean import LeanGpu, LeanMessage, LeanService

MODELS_MAX: Final = 64
"""Models listed of a node: a GPU serves one or two, a model store is no list for a page."""

GPU_KINDS_MAX: Final = 8
"""Models of GPUs counted apart in one node."""

MARKS: Final = {"ok": 0, "degraded": 1, "failed": 2}
"""Health in the words of the wire, and as it is in a pulse."""

_GIB = 1024**3
_MIB = 1024**2


def compact(value: Any) -> str:
    """Give JSON without spaces."""
    return pydantic_core.to_json(value).decode()


def pulse_of(said: LeanMessage) -> dict[str, Any]:
    """Give what moves, in the shape of `models.views.Pulse`; what is not known is left out."""
    status = said["status"]
    system, gpus, services = status["system"], status.get("gpu"), status.get("services")
    known = cast("dict[str, float | None]", system)
    running, waiting = _requests(said, services)
    pulse = {
        "cpu": _ratio(known.get("cpu_percent")),
        "memory": _ratio(known.get("memory_percent") or _used(known)),
        "disk": _ratio(known.get("disk_percent")),
        "power": _power(gpus),
        "gpu": None if gpus is None else _gpus(said, gpus[:LIST_MAX]),
        "running": running,
        "waiting": waiting,
    }
    return {key: value for key, value in pulse.items() if value is not None}


def profile_of(said: LeanMessage) -> dict[str, Any]:
    """Give what a node is, in the shape of `models.views.Profile`."""
    status = said["status"]
    node, gpus, services = status["node"], status.get("gpu"), status.get("services")
    agent = cast("dict[str, str | None]", said.get("agent") or {})
    addresses = said.get("addresses")
    address = node.get("network_ip") or node.get("tailscale_ip")
    memory = status["system"].get("memory_total_gb")
    profile = {
        "name": clip(str(node.get("name") or said["node_id"])),
        "address": _clipped(address or (addresses[0] if addresses else None)),
        "agent": _clipped(agent.get("version")),
        "gpus": None if gpus is None else _kinds(gpus),
        "vramBytes": _total(g.get("memory_total_mb") for g in gpus or ()),
        "memoryBytes": None if memory is None else _whole(memory * _GIB),
        "models": None if services is None else _models(services),
        "services": None if services is None else len(services),
        "transport": _clipped(agent.get("transport")),
        "driver": _clipped(next((g.get("driver") for g in gpus or ()), None)),
    }
    return {key: value for key, value in profile.items() if value is not None}


def digest_of(said: LeanMessage, profile: str) -> bytes:
    """Give a digest of all that changes seldom; while it stays, the stored status is told anew.

    Parameters
    ----------
    said : LeanMessage
        The message.
    profile : str
        Its profile, as text.
    """
    status = said["status"]
    slow = (
        profile,
        [
            (g["index"], g.get("uuid"), g.get("health"), g.get("reason"))
            for g in status.get("gpu") or ()
        ],
        [
            (s["name"], s["type"], s["status"], s.get("health"), s.get("port"), s.get("reason"))
            for s in status.get("services") or ()
        ],
        [(c["name"], c["state"], c.get("reason")) for c in status.get("collectors") or ()],
        [(status.get("config") or {}).get(key) for key in ("revision", "error")],
        said.get("addresses"),
        said.get("status_port"),
    )
    return hashlib.blake2b(repr(slow).encode(errors="replace"), digest_size=16).digest()


def _gpus(said: LeanMessage, gpus: list[LeanGpu]) -> list[list[int | None]]:
    return [
        [
            _percent(gpu.get("utilization_percent", _stated(said, index))),
            _share(gpu.get("memory_used_mb"), gpu.get("memory_total_mb")),
            MARKS.get(gpu.get("health") or ""),
        ]
        for index, gpu in enumerate(gpus)
    ]


def _stated(said: LeanMessage, index: int) -> float | None:
    """Give a utilization from the stats block, where a zero is there and not left out."""
    stats: dict[str, Any] = cast("dict[str, Any]", said).get("stats") or {}
    return next((g.get("util_pct") for g in stats.get("gpus") or () if g["i"] == index), None)


def _requests(
    said: LeanMessage, services: list[LeanService] | None
) -> tuple[int | float | None, int | float | None]:
    stats: dict[str, Any] = cast("dict[str, Any]", said).get("stats") or {}
    found: list[dict[str, Any]] = stats.get("inference") or []
    own = services or ()
    return (
        _sum((s.get("requests_running") for s in own), (i.get("running") for i in found)),
        _sum((s.get("requests_waiting") for s in own), (i.get("waiting") for i in found)),
    )


def _sum(*groups: Iterable[float | None]) -> int | float | None:
    for group in groups:
        known = [value for value in group if value is not None]
        total = sum(known)
        if known and 0 <= total < math.inf:
            return int(total) if total == int(total) else round(total, 1)
    return None


def _power(gpus: list[LeanGpu] | None) -> int | None:
    watts = [cast("dict[str, float | None]", gpu).get("power_watts") for gpu in gpus or ()]
    known = [value for value in watts if value is not None]
    # A sum over some of the GPUs would pass for the node's own.
    if not known or len(known) < len(watts) or not 0 <= sum(known) < 1e9:  # noqa: PLR2004
        return None
    return round(sum(known))


def _ratio(percent: float | None) -> float | None:
    if percent is None or not 0 <= percent <= 1000:  # noqa: PLR2004 - ten times full is nonsense
        return None
    return round(percent / 100, 3)


def _used(system: dict[str, float | None]) -> float | None:
    used, total = system.get("memory_used_gb"), system.get("memory_total_gb")
    return 100 * used / total if used is not None and total else None


def _percent(value: float | None) -> int | None:
    return round(value) if value is not None and 0 <= value <= 100 else None  # noqa: PLR2004


def _share(used: int | None, total: int | None) -> int | None:
    return _percent(100 * used / total) if used is not None and total else None


def _kinds(gpus: list[LeanGpu]) -> list[dict[str, Any]]:
    counts: dict[str, int] = {}
    for gpu in gpus:
        counts[gpu["name"]] = counts.get(gpu["name"], 0) + 1
    kinds = list(counts.items())[:GPU_KINDS_MAX]
    return [{"model": clip(name), "count": count} for name, count in kinds]


def _models(services: list[LeanService]) -> list[str]:
    served = [
        model
        for service in services
        if service["status"] == "running" and service.get("health") in {"ok", "healthy"}
        for model in service.get("models") or ()
    ]
    return [clip(model) for model in dict.fromkeys(served)][:MODELS_MAX]


def _total(values: Iterable[int | None]) -> int | None:
    all_of_them = list(values)
    known = [value for value in all_of_them if value is not None]
    return _whole(sum(known) * _MIB) if known and len(known) == len(all_of_them) else None


def _whole(value: float) -> int | None:
    return round(value) if 0 <= value < INT64_MAX else None


def _clipped(text: str | None) -> str | None:
    return clip(text) if text else None
