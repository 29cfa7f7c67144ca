"""Alerts for people: many of one kind are one message, and each message is told once.

What fires is compared with what was told, so that a message that could not be delivered is made
anew at each try: the latest counts, and an outage of the receiver costs no memory.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from citadel_k8s.domain.alerts import Alert

GROUPS_MAX: Final = 64
"""Kinds told apart, a few times as many as there are: nodes name some reasons themselves."""

OTHER: Final = "Other"
"""Reason of what is beyond that."""

GROUP_INTERVAL: Final = 60.0
"""Seconds between two messages of one kind: a fleet that comes back in bits is no chat."""

WAITS_MAX: Final = 6
"""Waits after which a kind that still grows is told: with 10 s it is a minute, and nodes that died
together fall silent within one interval of 30 s."""

_RANK: Final = {"critical": 0, "warning": 1}


class GroupKey(NamedTuple):
    """One kind of alert: name and reason; the org is the same for all."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Message:
    """One kind as it is to be told now.

    ``firing``: the longest first. ``fresh``: how many of them were not told before. ``over``: the
    nodes that were told before and are well now.
    """

    key: GroupKey
    severity: str
    firing: tuple[Alert, ...]
    fresh: int
    over: tuple[str, ...]

    @property
    def status(self) -> str:
        """``firing`` or ``resolved``."""
        return "firing" if self.firing else "resolved"

    @property
    def id(self) -> str:
        """The same for a message that is tried again and says the same: 16 hex digits."""
        parts = (*self.key, *(f"{a.node}@{a.started:.0f}" for a in self.firing), "", *self.over)
        return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:16]


@dataclass(slots=True)
class _Group:
    severity: str
    firing: dict[str, Alert] = field(default_factory=dict[str, Alert])
    told: dict[str, float] = field(default_factory=dict[str, float])
    stirred_at: float | None = None
    changed_at: float = 0.0
    told_at: float | None = None

    @property
    def pending(self) -> bool:
        return self.firing.keys() != self.told.keys()


class Groups:
    """The kinds of one receiver.

    Parameters
    ----------
    wait : float
        Seconds without a change after which a kind is told; `WAITS_MAX` times as long at most.
    repeat : float
        Seconds after which a kind that still fires is told again.
    interval : float
        Least seconds between two messages of one kind.
    """

    def __init__(self, wait: float, repeat: float, interval: float = GROUP_INTERVAL) -> None:
        self._wait = wait
        self._repeat = repeat
        self._interval = interval
        self._groups: dict[GroupKey, _Group] = {}

    def sync(self, firing: Iterable[Alert], now: float) -> None:
        """Take what fires now: all of it, and nothing else."""
        by_key: defaultdict[GroupKey, dict[str, Alert]] = defaultdict(dict)
        for alert in firing:
            by_key[self._key_of(alert, by_key)][alert.node] = alert
        for key in self._groups.keys() | by_key.keys():
            self._sync_group(key, by_key.get(key, {}), now)

    def due(self, now: float) -> list[GroupKey]:
        """Give the kinds to tell now, the gravest first."""
        found = [key for key, group in self._groups.items() if self._is_due(group, now)]
        return sorted(found, key=lambda k: (_RANK.get(self._groups[k].severity, 2), k))

    def message(self, key: GroupKey) -> Message:
        """Give what there is to tell of a kind now."""
        group = self._groups[key]
        firing = tuple(sorted(group.firing.values(), key=lambda a: (a.started, a.node)))
        fresh = len(group.firing.keys() - group.told.keys())
        over = tuple(sorted(group.told.keys() - group.firing.keys()))
        return Message(key, group.severity, firing, fresh, over)

    def told(self, message: Message, now: float) -> None:
        """Take note that a message was told; what has changed since is still to be told."""
        group = self._groups.get(message.key)
        if group is not None:
            group.told = {alert.node: alert.started for alert in message.firing}
            group.told_at = now
            group.stirred_at = now if group.pending else None

    def clear(self) -> None:
        """Forget everything: somebody else tells from now on."""
        self._groups.clear()

    def record(self, key: GroupKey, now: float, wall: float) -> bytes | None:
        """Give what is to be kept of a kind over a change of the leader; None if nothing is."""
        group = self._groups.get(key)
        if group is None or not group.told:
            return None
        told_at = wall - (now - group.told_at) if group.told_at is not None else wall
        kept = {"severity": group.severity, "toldAt": round(told_at), "told": group.told}
        return json.dumps(kept, separators=(",", ":")).encode()

    def recall(self, records: Mapping[str, bytes], now: float, wall: float) -> None:
        """Take over what the leader before told; what cannot be read is left out."""
        for name, data in records.items():
            alert, slash, reason = name.partition("/")
            group = _recalled(data, now, wall)
            if slash and group is not None and len(self._groups) < GROUPS_MAX:
                self._groups[GroupKey(alert, reason)] = group

    def _key_of(self, alert: Alert, seen: Mapping[GroupKey, Any]) -> GroupKey:
        key = GroupKey(alert.name, alert.reason)
        if key in self._groups or key in seen:
            return key
        crowded = len(self._groups.keys() | seen.keys()) >= GROUPS_MAX
        return GroupKey(alert.name, OTHER) if crowded else key

    def _sync_group(self, key: GroupKey, firing: dict[str, Alert], now: float) -> None:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(next(iter(firing.values())).severity)
        if group.firing.keys() != firing.keys():
            group.changed_at = now
        group.firing = firing
        if not group.pending:
            group.stirred_at = None
        elif group.stirred_at is None:
            group.stirred_at = group.changed_at = now
        quiet = group.told_at is None or now - group.told_at >= self._interval
        if not firing and not group.told and quiet:
            del self._groups[key]

    def _is_due(self, group: _Group, now: float) -> bool:
        if group.stirred_at is None:
            last = group.told_at
            return bool(group.firing) and last is not None and now - last >= self._repeat
        longest = group.stirred_at + WAITS_MAX * self._wait
        if now < min(group.changed_at + self._wait, longest):
            return False
        return group.told_at is None or now - group.told_at >= self._interval


def _recalled(data: bytes, now: float, wall: float) -> _Group | None:
    try:
        kept: Any = json.loads(data)
        told = {str(node): float(at) for node, at in kept["told"].items()}
        age = max(0.0, wall - float(kept["toldAt"]))
        return _Group(str(kept["severity"]), told=told, told_at=now - age)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
