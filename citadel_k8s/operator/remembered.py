"""How what is remembered of a node, and of what people said of it, is written down and read."""

from typing import Any, Final, NamedTuple, cast

import pydantic_core

from citadel_k8s.domain.liveness import FORMER_BOOTS_MAX
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.records import KeptSpec, Memory, NodeRecord

VERSION: Final = 1
"""First item of each line; one with another is passed over, and written anew by the next
heartbeat."""

TEXT_MAX: Final = 256
"""Characters of the longest text in a line: boot ids have 64, reasons are a few words."""

NUMBER_MAX: Final = 1e12
"""Largest number that is taken for one of seconds."""

PAIR: Final = 2
"""Items of what is kept of a spec: when, and what."""

_STATES: Final = frozenset(state.value for state in NodeState)


class Line(NamedTuple):
    """What the snapshot has of one node; ``ms`` is None for one that nobody ever heard."""

    ms: int | None
    boot_id: str | None
    seq: int | None
    state: str
    reason: str
    interval: float | None
    former_boots: tuple[str, ...]


def line_of(record: NodeRecord) -> Line:
    """Give what is to be kept of a node."""
    live = record.live
    return Line(
        heard_ms(record),
        live.boot_id,
        live.seq,
        live.state.value,
        live.reason,
        record.interval,
        live.former_boots,
    )


def encoded(line: Line) -> bytes:
    """Give a line as a field's value."""
    return pydantic_core.to_json((VERSION, *line))


def decoded(value: bytes) -> Line | None:
    """Read a field's value; None for one that no operator of this version wrote."""
    try:
        parts: Any = pydantic_core.from_json(value)
    except ValueError:
        return None
    if not isinstance(parts, list):
        return None
    version, *items = cast("list[Any]", parts) or [None]
    if version != VERSION or len(items) < len(Line._fields):
        return None
    ms, boot_id, seq, state, reason, interval, former = items[: len(Line._fields)]
    sound = (
        _text(state)
        and state in _STATES
        and _text(reason)
        and (boot_id is None or _text(boot_id))
        and (ms is None or _whole(ms))
        and (seq is None or _whole(seq))
        and (interval is None or (_number(interval) and interval > 0))
    )
    boots = _texts(former)
    if not sound or boots is None:
        return None
    return Line(ms, boot_id, seq, state, reason, interval, boots[-FORMER_BOOTS_MAX:])


def heard_ms(record: NodeRecord) -> int | None:
    """Give the moment of the last word, in ms of the stream server's clock."""
    return record.heard_ms if record.last_id is None else record.last_id.ms


def memory_of(line: Line, now_ms: int) -> Memory:
    """Give a line as the registry takes it, at a moment of the stream server's clock."""
    ms = min(line.ms or 0, now_ms)  # the server's clock may have been ahead once
    return Memory(
        id_ms=ms,
        boot_id=line.boot_id,
        seq=line.seq,
        former_boots=line.former_boots,
        state=line.state,
        reason=line.reason,
        interval=line.interval,
        age=(now_ms - ms) / 1000,
    )


def encoded_spec(kept: KeptSpec) -> bytes:
    """Give what people said as a field's value."""
    return pydantic_core.to_json([kept.at, kept.spec])


def decoded_spec(value: bytes) -> KeptSpec | None:
    """Read it; None for garbage."""
    try:
        parts: Any = pydantic_core.from_json(value)
    except ValueError:
        return None
    if not isinstance(parts, list) or len(cast("list[Any]", parts)) != PAIR:
        return None
    at, spec = cast("list[Any]", parts)
    if not _number(at) or not isinstance(spec, dict):
        return None
    return KeptSpec(cast("dict[str, Any]", spec), float(at))


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**64


def _number(value: Any) -> bool:
    return type(value) in {int, float} and -NUMBER_MAX < value < NUMBER_MAX


def _text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= TEXT_MAX


def _texts(value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    items = cast("list[Any]", value)
    return tuple(items) if all(_text(item) for item in items) else None
