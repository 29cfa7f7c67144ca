"""What is told as Events: each thing once with a count, and many of one kind as one.

Occurrences are gathered for a moment before they are written: a thousand nodes that fail together
are one Event about the fleet then, and not ten about nodes and one about the rest.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.liveness import Liveness
from citadel_k8s.models.fabricnode import GROUP, KIND, VERSION, NodeState

GATHER: Final = 2.0
"""Seconds between an occurrence and its Event."""

PATCH_INTERVAL: Final = 10.0
"""Least seconds between two writes of one Event."""

STORM_WINDOW: Final = 60.0
"""Seconds within which nodes with the same reason are counted."""

STORM_NODES: Final = 10
"""Nodes with one reason within that, above which they are told as one."""

REMEMBERED: Final = 1800.0
"""Seconds after its last occurrence for which an Event is counted on. The API server keeps one for
an hour."""

EVENTS_MAX: Final = 2048
"""Events remembered; the one that happened longest ago is forgotten first."""

REASONS_MAX: Final = 256
"""Reasons watched for storms: nodes name some of them themselves."""

NODES_MAX: Final = 20_000
"""Nodes of a storm told apart, twice the largest fleet."""

NAMED: Final = 3
"""Nodes that a storm's Event names."""

MESSAGE_MAX: Final = 1000
"""Characters of a message. Source: the API server refuses over 1,024."""

FLEET: Final = "fabric"
"""Name of the FabricStatus, which Events about many nodes belong to."""

Kind = Literal["Normal", "Warning"]


class EventKey(NamedTuple):
    """What makes Events the same; ``name`` is the object's, empty for the fleet."""

    name: str
    reason: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened to a node's object, or to the fleet (``name`` is empty)."""

    name: str
    reason: str
    message: str
    kind: Kind = "Normal"
    uid: str | None = None

    @property
    def key(self) -> EventKey:
        """Its Event."""
        return EventKey(self.name, self.reason, self.kind)


@dataclass(slots=True)
class Pending:
    """One Event as it should be. Dates are seconds since the epoch, moments monotonic."""

    key: EventKey
    uid: str | None
    first_date: float
    last_date: float
    last_at: float
    due_at: float
    said: str = ""
    count: int = 0
    written: int = 0
    event: str | None = None
    nodes: dict[str, None] = field(default_factory=dict[str, None])

    @property
    def message(self) -> str:
        """What it says: of a storm, whom it hit."""
        if not self.nodes:
            return self.said
        more = len(self.nodes) - NAMED
        named = ", ".join(islice(self.nodes, NAMED))
        return f"{len(self.nodes):,} nodes: {named}" + (f" and {more:,} more" if more > 0 else "")

    @property
    def involved(self) -> dict[str, Any]:
        """The object that it is about."""
        kind, name = (KIND, self.key.name) if self.key.name else ("FabricStatus", FLEET)
        metadata = {"name": name} | ({"uid": self.uid} if self.uid else {})
        return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": metadata}


@dataclass(slots=True)
class _Reason:
    """Which objects had a reason lately, the oldest first; when a storm of it was last fed."""

    recent: dict[str, float] = field(default_factory=dict[str, float])
    storm_at: float | None = None


class Correlator:
    """Makes Events of occurrences.

    Attributes
    ----------
    dropped : int
        Events forgotten before they were written: there were too many.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._events: OrderedDict[EventKey, Pending] = OrderedDict()
        self._reasons: OrderedDict[tuple[str, Kind], _Reason] = OrderedDict()

    def __len__(self) -> int:
        return len(self._events)

    def note(self, occurrence: Occurrence, now: float, date: float) -> None:
        """Take an occurrence."""
        if occurrence.name and self._storms(occurrence, now):
            key = EventKey("", occurrence.reason, occurrence.kind)
            pending = self._pending(key, None, now, date)
            _join(pending, occurrence.name)
        else:
            pending = self._pending(occurrence.key, occurrence.uid, now, date)
            pending.said = clip(occurrence.message, MESSAGE_MAX)
            pending.uid = occurrence.uid or pending.uid
        pending.count += 1
        pending.last_at, pending.last_date = now, date

    def due(self, now: float) -> list[Pending]:
        """Give the Events to write now, the one that happened longest ago first."""
        for key in [k for k, e in self._events.items() if _is_old(e, now)]:
            del self._events[key]
        return [e for e in self._events.values() if e.written < e.count and e.due_at <= now]

    def wrote(self, pending: Pending, event: str, count: int, now: float) -> None:
        """Take note that the API server has an Event with this count."""
        pending.event, pending.written = event, count
        pending.due_at = now + PATCH_INTERVAL

    def gave_up(self, pending: Pending) -> None:
        """Forget an Event that the API server does not take."""
        self._events.pop(pending.key, None)

    def clear(self) -> None:
        """Forget everything: somebody else tells from now on."""
        self._events.clear()
        self._reasons.clear()

    def _pending(self, key: EventKey, uid: str | None, now: float, date: float) -> Pending:
        pending = self._events.get(key)
        if pending is None:
            pending = Pending(key, uid, date, date, now, now + GATHER)
            self._events[key] = pending
            if len(self._events) > EVENTS_MAX:
                _, oldest = self._events.popitem(last=False)
                self.dropped += oldest.written < oldest.count
        self._events.move_to_end(key)
        return pending

    def _storms(self, occurrence: Occurrence, now: float) -> bool:
        """Say whether this is one of many; those that were just gathered are counted in then."""
        seen = self._reason(occurrence.reason, occurrence.kind)
        if seen.storm_at is not None and now - seen.storm_at <= STORM_WINDOW:
            seen.storm_at = now
            return True
        seen.storm_at = None
        seen.recent.pop(occurrence.name, None)
        seen.recent[occurrence.name] = now
        for name in [n for n, at in seen.recent.items() if now - at > STORM_WINDOW]:
            del seen.recent[name]
        if len(seen.recent) <= STORM_NODES:
            return False
        seen.recent.clear()
        seen.storm_at = now
        self._gather(occurrence.reason, occurrence.kind, now)
        return True

    def _reason(self, reason: str, kind: Kind) -> _Reason:
        seen = self._reasons.setdefault((reason, kind), _Reason())
        self._reasons.move_to_end((reason, kind))
        if len(self._reasons) > REASONS_MAX:
            self._reasons.popitem(last=False)
        return seen

    def _gather(self, reason: str, kind: Kind, now: float) -> None:
        """Begin a storm's Event with what is about single nodes and not written yet."""
        alone = [
            event
            for event in self._events.values()
            if event.key.name and event.key[1:] == (reason, kind) and event.event is None
        ]
        first = min((event.first_date for event in alone), default=None)
        known = self._events.get(EventKey("", reason, kind))
        if known is not None:
            known.nodes.clear()
        if first is None:
            return
        storm = self._pending(EventKey("", reason, kind), None, now, first)
        for event in alone:
            del self._events[event.key]
            storm.count += event.count
            _join(storm, event.key.name)


def occurrence_of(
    name: str, uid: str | None, live: Liveness, before: Liveness
) -> Occurrence | None:
    """Give what a change of a node's state or reason is to be told as; None if it is no news."""
    moved = live.state is not before.state
    match live.state:
        case NodeState.OFFLINE | NodeState.DEGRADED:
            return Occurrence(name, live.reason, f"{live.state}: {live.message}", "Warning", uid)
        case NodeState.DRAINING | NodeState.DECOMMISSIONED:
            return Occurrence(name, live.reason, f"{live.state}: {live.message}", "Normal", uid)
        case NodeState.ONLINE if before.state is NodeState.UNKNOWN:
            return Occurrence(name, "Joined", "Online: heard for the first time", "Normal", uid)
        case NodeState.ONLINE if live.reason not in {before.reason, "Heartbeat"}:
            return Occurrence(name, live.reason, f"Online: {live.message}", "Normal", uid)
        case NodeState.ONLINE if moved:
            message = f"Online again; was {before.state} ({before.reason})"
            return Occurrence(name, "Recovered", message, "Normal", uid)
        case _:
            return None


def _join(storm: Pending, name: str) -> None:
    if len(storm.nodes) < NODES_MAX:
        storm.nodes[name] = None


def _is_old(event: Pending, now: float) -> bool:
    return event.written >= event.count and now - event.last_at > REMEMBERED
