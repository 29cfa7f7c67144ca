"""The columns of ``kubectl fabric nodes``: of the API's rows, and of those of FabricNodes.

Where both kinds of rows know a thing they say it in the same words; `domain.columns` has those that
kubectl prints.
"""

from collections.abc import Mapping
from typing import Any, Final

from citadel_k8s.domain.columns import age
from citadel_k8s.domain.fleetrows import gpu_count, name_of, part
from citadel_k8s.domain.standing import CURRENT
from citadel_k8s.domain.summary import NONE, UNKNOWN
from citadel_k8s.domain.terminal import shown

HEADERS: Final = ("NAME", "STATE", "GPUS", "UTIL", "VRAM", "MODELS", "RUN/WAIT", "SEEN", "REASON")
"""Of rows of the API."""

OBJECT_HEADERS: Final = tuple("CONFIRMED" if name == "SEEN" else name for name in HEADERS)
"""Of FabricNodes, which do not say when a node spoke last, but when the operator looked last."""

WIDE_HEADERS: Final = ("ID", "ADDRESS", "GPU-MODEL", "DRIVER", "AGENT", "CPU", "MEMORY", "SINCE")
"""What ``-o wide`` adds."""

PASSING: Final = frozenset({"SEEN", "CONFIRMED", "SINCE", "VRAM", "RUN/WAIT", "CPU", "MEMORY"})
"""Columns that move with the clock or with each heartbeat."""

UTIL_STEP: Final = 10
"""Percent by which UTIL must move to be worth a line: as the steps that FabricNodes have."""

_GIB: Final = 1024**3


def cells(row: Mapping[str, Any], now: float, *, wide: bool = False) -> tuple[str, ...]:
    """Give the cells of one row; ``now`` in seconds since the epoch."""
    profile, pulse = part(row, "profile"), part(row, "pulse")
    texts = _texts(row, profile, pulse)
    first = (
        name_of(row),
        row.get("state") or "Unknown",
        *(texts.get(key) or UNKNOWN for key in ("gpus", "util", "vram", "models", "requests")),
        _seen(row, now),
        row.get("reason") or "",
    )
    further = (
        row.get("id"),
        profile.get("address") or UNKNOWN,
        _gpu_model(row, profile),
        profile.get("driver") or UNKNOWN,
        profile.get("agent") or UNKNOWN,
        _percent(pulse.get("cpu")) if _current(row) else UNKNOWN,
        _memory(row, profile, pulse),
        age(row.get("since"), now) or UNKNOWN,
    )
    return tuple(shown(cell) for cell in (first + further if wide else first))


def lasting(named: Mapping[str, str], before: tuple[str, ...] | None) -> tuple[str, ...]:
    """Give the cells by whose change a row is worth a line; the load as long as it is near enough.

    Parameters
    ----------
    named : mapping
        Cells by their headers.
    before : tuple of str or None
        What this gave when the row was shown last.
    """
    util = named["UTIL"]
    if before is not None and _near(util, before[0]):
        util = before[0]
    return (util, *(text for name, text in named.items() if name not in PASSING | {"UTIL"}))


def _near(one: str, other: str) -> bool:
    numbers = [text.removesuffix("%") for text in (one, other)]
    if not all(number.isdigit() for number in numbers):
        return one == other
    return abs(int(numbers[0]) - int(numbers[1])) < UTIL_STEP


def _texts(
    row: Mapping[str, Any], profile: Mapping[str, Any], pulse: Mapping[str, Any]
) -> Mapping[str, Any]:
    if "summary" in row:
        return part(row, "summary")
    now = _current(row)
    gpus: list[Any] = pulse.get("gpu") or []
    count = gpu_count(row)
    return {
        "gpus": _healthy(gpus, count, now=now),
        "util": NONE if count == 0 else _mean([gpu[0] for gpu in gpus] if now else []),
        "vram": NONE if count == 0 else _vram(profile, gpus if now else []),
        "models": _models(profile) if now else UNKNOWN,
        "requests": _requests(profile, pulse) if now else UNKNOWN,
    }


def _current(row: Mapping[str, Any]) -> bool:
    return row.get("state") in CURRENT


def _healthy(gpus: list[Any], count: int | None, *, now: bool) -> str:
    if count is None and not gpus:
        return UNKNOWN
    total = len(gpus) if count is None else count
    if total == 0:
        return NONE
    marks = [gpu[2] for gpu in gpus]
    known = now and len(marks) == total and None not in marks
    return f"{marks.count(0) if known else '?'}/{total}"


def _mean(values: list[int | None]) -> str:
    known = [value for value in values if value is not None]
    # A mean over some of the GPUs would pass for the node's own.
    if not known or len(known) < len(values):
        return UNKNOWN
    return f"{round(sum(known) / len(known))}%"


def _vram(profile: Mapping[str, Any], gpus: list[Any]) -> str:
    total = profile.get("vramBytes")
    if total is None:
        return UNKNOWN
    shares = [gpu[1] for gpu in gpus]
    known = bool(shares) and None not in shares
    used = round(total * sum(shares) / len(shares) / 100 / _GIB) if known else "?"
    return f"{used}/{round(total / _GIB)}Gi"


def _models(profile: Mapping[str, Any]) -> str:
    names: list[Any] | None = profile.get("models")
    if names is None:
        return UNKNOWN
    if not names:
        return NONE
    more = f" +{len(names) - 1}" if len(names) > 1 else ""
    return str(names[0]).rpartition("/")[2] + more


def _requests(profile: Mapping[str, Any], pulse: Mapping[str, Any]) -> str:
    running, waiting = pulse.get("running"), pulse.get("waiting")
    if running is None and waiting is None:
        return NONE if profile.get("services") == 0 else UNKNOWN
    return "/".join("?" if value is None else f"{value:g}" for value in (running, waiting))


def _seen(row: Mapping[str, Any], now: float) -> str:
    if "object" in row:
        return age(row.get("confirmed"), now) or "never"
    seconds = row.get("age")
    if isinstance(seconds, int | float):
        # By the server's clock: this machine's may be off.
        return age_text(seconds)
    return age(row.get("lastHeartbeat"), now) or "never"


def age_text(seconds: float) -> str:
    """Give a span in kubectl's short form."""
    return age("1970-01-01T00:00:00Z", seconds)


def _gpu_model(row: Mapping[str, Any], profile: Mapping[str, Any]) -> str:
    count = gpu_count(row)
    if count == 0:
        return NONE
    kinds: list[Any] = profile.get("gpus") or []
    return ", ".join(str(kind.get("model")) for kind in kinds) or UNKNOWN


def _percent(ratio: Any) -> str:
    return f"{round(100 * ratio)}%" if isinstance(ratio, int | float) else UNKNOWN


def _memory(row: Mapping[str, Any], profile: Mapping[str, Any], pulse: Mapping[str, Any]) -> str:
    total, ratio = profile.get("memoryBytes"), pulse.get("memory")
    if total is None:
        return _percent(ratio) if _current(row) else UNKNOWN
    used = "?" if ratio is None or not _current(row) else round(total * ratio / _GIB)
    return f"{used}/{round(total / _GIB)}Gi"
