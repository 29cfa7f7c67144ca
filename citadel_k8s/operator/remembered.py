"""How what is remembered of a node, and of what people said of it, is written down and read."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

import pydantic_core

from citadel_k8s.domain.liveness import FORMER_BOOTS_MAX, Phase
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.records import KeptSpec, Memory, NodeRecord
from citadel_k8s.stores.entries import EntryId

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
    """What the snapshot has of one node; ``ms`` is None for one that nobody ever heard.

    The last word lies in the stream as ``ms + ahead`` and ``within``, the two halves of its id.
    ``streak`` counts the words since, of one that is down: the next makes it return.
    """

    ms: int | None
    boot_id: str | None
    seq: int | None
    state: str
    reason: str
    interval: float | None
    former_boots: tuple[str, ...]
    back_ms: int | None = None
    changes_ms: tuple[int, ...] = ()
    former_seqs: tuple[int | None, ...] = ()
    ahead: int = 0
    within: int = 0
    streak: int = 0


_LATER: Final[tuple[Any, ...]] = ([], 0, 0, 0)
"""The last items, as a line has them that was written before they were added."""

_FIRST: Final = len(Line._fields) - len(_LATER)
"""Items that every line has."""


def line_of(record: NodeRecord) -> Line:
    """Give what is to be kept of a node."""
    live = record.live
    # Seldom needed, and as dear as all the rest.
    needed = live.changes or live.phase is Phase.LEAVING or live.held
    memory = Memory.of(record) if needed else None
    return Line(
        record.heard_ms,
        live.boot_id,
        live.seq,
        live.state,
        live.reason,
        record.interval,
        live.former_boots,
        memory.back_ms if memory else None,
        memory.changes_ms if memory else (),
        live.former_seqs,
        *_place(record),
        live.streak if live.down else 0,
    )


def encoded(line: Line) -> bytes:
    """Give a line as a field's value."""
    plain = line[_FIRST:] == ((), 0, 0, 0)
    return pydantic_core.to_json((VERSION, *(line[:_FIRST] if plain else line)))


def decoded(value: bytes) -> Line | None:
    """Read a field's value; None for one that no operator of this version wrote."""
    try:
        parts: Any = pydantic_core.from_json(value)
    except ValueError:
        return None
    if not isinstance(parts, list):
        return None
    items: list[Any] = parts  # pyright: ignore[reportUnknownVariableType]
    if len(items) <= _FIRST or items.pop(0) != VERSION:
        return None
    ms, boot_id, seq, state, reason, interval, former, back, changes = items[:_FIRST]
    # What a line lacks was written before these could be told.
    later: list[Any] = [*items[_FIRST:], *_LATER[len(items) - _FIRST :]]
    seqs, ahead, within, streak = later[: len(_LATER)]
    sound = (
        _text(state)
        and state in _STATES
        and _text(reason)
        and (boot_id is None or _text(boot_id))
        and (ms is None or _whole(ms))
        and (seq is None or _whole(seq))
        and (back is None or _whole(back))
        and (interval is None or (_number(interval) and interval > 0))
        and type(ahead) is int
        and 0 <= (ms or 0) + ahead < 2**64
        and _whole(within)
        and _whole(streak)
    )
    boots, moments, numbers = _all(_text, former), _all(_whole, changes), _all(_numbered, seqs)
    if not sound or boots is None or moments is None or numbers is None:
        return None
    return Line(
        ms, boot_id, seq, state, reason, interval, boots[-FORMER_BOOTS_MAX:], back,
        moments[-CHANGES_MAX:], numbers[-FORMER_BOOTS_MAX:], ahead, within, streak,
    )  # fmt: skip


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
        former_seqs=line.former_seqs if len(line.former_seqs) == len(line.former_boots) else (),
        streak=line.streak,
        position=None if line.ms is None else EntryId(line.ms + line.ahead, line.within),
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


def _numbered(value: Any) -> bool:
    return value is None or _whole(value)


def _place(record: NodeRecord) -> tuple[int, int]:
    last, heard = record.last_id, record.heard_ms
    return (0, 0) if last is None or heard is None else (last.ms - heard, last.seq)


def _number(value: Any) -> bool:
    return type(value) in {int, float} and -NUMBER_MAX < value < NUMBER_MAX


def _text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= TEXT_MAX


def _all(sound: Callable[[Any], bool], value: Any) -> tuple[Any, ...] | None:
    if not isinstance(value, list):
        return None
    items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
    return tuple(items) if all(map(sound, items)) else None
