"""The columns of ``kubectl get fabricnodes``, computed from the same objects."""

import math
from collections.abc import Mapping
from typing import Any, Final, cast

from citadel_k8s.domain.summary import UNKNOWN
from citadel_k8s.errors import WireError
from citadel_k8s.models.codec import parse_timestamp

HEADERS: Final = (
    "NAME", "STATE", "READY", "GPUS", "UTIL", "VRAM", "MODELS", "RUN/WAIT", "CONFIRMED", "AGE",
)  # fmt: skip
"""As printed by kubectl."""

WIDE_HEADERS: Final = (
    "ORG", "ADDRESS", "GPU-MODEL", "DRIVER", "AGENT", "LAST-HEARTBEAT", "REASON",
)  # fmt: skip
"""What ``-o wide`` adds."""

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_YEAR: Final = 365 * _DAY
_SECONDS: Final = {"s": 1, "m": _MINUTE, "h": _HOUR, "d": _DAY, "y": _YEAR}

_UNITS: Final = (
    (2 * _MINUTE, "s", ""), (10 * _MINUTE, "m", "s"), (3 * _HOUR, "m", ""), (8 * _HOUR, "h", "m"),
    (2 * _DAY, "h", ""), (8 * _DAY, "d", "h"), (2 * _YEAR, "d", ""), (8 * _YEAR, "y", "d"),
    (math.inf, "y", ""),
)  # fmt: skip
"""Up to how many seconds an age is told in which units. Source: ``HumanDuration`` of kubectl."""


def row(raw: Mapping[str, Any], now: float) -> tuple[str, ...]:
    """Give the cells of one object; ``now`` in seconds since the epoch."""
    metadata, status = _part(raw, "metadata"), _part(raw, "status")
    summary = _part(status, "summary")
    return (
        str(metadata.get("name", "")),
        str(status.get("state", UNKNOWN)),
        _ready(status),
        *(str(summary.get(key, UNKNOWN)) for key in ("gpus", "util", "vram", "models", "requests")),
        age(status.get("confirmedTime"), now),
        age(metadata.get("creationTimestamp"), now),
    )


def wide_row(raw: Mapping[str, Any], now: float) -> tuple[str, ...]:
    """Give the further cells of one object."""
    status = _part(raw, "status")
    summary = _part(status, "summary")
    return (
        str(_part(raw, "spec").get("orgId", "")),
        *(str(summary.get(key) or "") for key in ("address", "gpuModel", "driver", "agent")),
        age(status.get("lastHeartbeatTime"), now),
        str(summary.get("reason") or ""),
    )


def age(moment: Any, now: float) -> str:
    """Give the time since an RFC 3339 moment in kubectl's short form; empty if there is none."""
    try:
        seconds = int(now - parse_timestamp(moment))
    except (WireError, TypeError):
        return ""
    if seconds < -1:
        return "<invalid>"  # clocks differ by more than kubectl bears, and it says so too
    return _human(max(0, seconds))


def _human(seconds: int) -> str:
    """Give a duration as kubectl does: two units while the second says something."""
    unit, other = next((unit, other) for limit, unit, other in _UNITS if seconds < limit)
    whole, rest = divmod(seconds, _SECONDS[unit])
    more = rest // _SECONDS[other] if other else 0
    return f"{whole}{unit}{more}{other}" if more else f"{whole}{unit}"


def _ready(status: Mapping[str, Any]) -> str:
    conditions = cast("list[dict[str, Any]]", status.get("conditions") or [])
    return next((str(c.get("status")) for c in conditions if c.get("type") == "Ready"), UNKNOWN)


def _part(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key)
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
