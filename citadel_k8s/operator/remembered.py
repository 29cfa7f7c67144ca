"""How what is remembered of a node, and of what people said of it, is written down and read."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

import pydantic_core

from citadel_k8s.domain.liveness import FORMER_BOOTS_MAX, Phase
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.records import KeptSpec, Memory, NodeRecord

VERSION: Final = 1
"""First item of each line; one with another is passed over, and written anew by the next
heartbeat."""

TEXT_MAX: Final = 256
"""Characters of the longest text in a line: boot ids have 64, reasons are a few words."""

CHANGES_MAX: Final = 64
"""Moments of changes in a line: many times as many as make a node flap."""

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
    back_ms: int | None = None
    changes_ms: tuple[int, ...] = ()


def line_of(record: NodeRecord) -> Line:
    """Give what is to be kept of a node."""
    live = record.live
    # Seldom needed, and as dear as all the rest.
    memory = Memory.of(record) if live.changes or live.phase is Phase.LEAVING else None
    return Line(
        heard_ms(record),
        live.boot_id,
        live.seq,
        live.state,
        live.reason,
        record.interval,
        live.former_boots,
        memory.back_ms if memory else None,
        memory.changes_ms if memory else (),
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
    items: list[Any] = parts  # pyright: ignore[reportUnknownVariableType]
    if len(items) <= len(Line._fields) or items.pop(0) != VERSION:
        return None
    ms, boot_id, seq, state, reason, interval, former, back, changes = items[: len(Line._fields)]
    sound = (
        _text(state)
        and state in _STATES
        and _text(reason)
        and (boot_id is None or _text(boot_id))
        and (ms is None or _whole(ms))
        and (seq is None or _whole(seq))
        and (back is None or _whole(back))
        and (interval is None or (_number(interval) and interval > 0))
    )
    boots, moments = _all(_text, former), _all(_whole, changes)
    if not sound or boots is None or moments is None:
        return None
    boots = boots[-FORMER_BOOTS_MAX:]
    return Line(ms, boot_id, seq, state, reason, interval, boots, back, moments[-CHANGES_MAX:])


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
        back_ms=line.back_ms,
        changes_ms=line.changes_ms,
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
    if not isinstance(parts, list):
        return None
    items: list[Any] = parts  # pyright: ignore[reportUnknownVariableType]
    if len(items) != PAIR:
        return None
    at, spec = items
    if not _number(at) or not isinstance(spec, dict):
        return None
    return KeptSpec(cast("dict[str, Any]", spec), float(at))


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**64


def _number(value: Any) -> bool:
    return type(value) in {int, float} and -NUMBER_MAX < value < NUMBER_MAX


def _text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= TEXT_MAX


def _all(sound: Callable[[Any], bool], value: Any) -> tuple[Any, ...] | None:
    if not isinstance(value, list):
        return None
    items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
    return tuple(items) if all(map(sound, items)) else None
