"""The columns of ``kubectl get fabricnodes``, computed from the same objects."""

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
        seconds = max(0, int(now - parse_timestamp(moment)))
    except (WireError, TypeError):
        return ""
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    if seconds < 3 * _HOUR:
        return f"{seconds // _MINUTE}m"
    return f"{seconds // _HOUR}h" if seconds < 2 * _DAY else f"{seconds // _DAY}d"


def _ready(status: Mapping[str, Any]) -> str:
    conditions = cast("list[dict[str, Any]]", status.get("conditions") or [])
    return next((str(c.get("status")) for c in conditions if c.get("type") == "Ready"), UNKNOWN)


def _part(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key)
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
