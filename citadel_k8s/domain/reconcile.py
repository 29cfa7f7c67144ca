"""What to write of a node, and how soon: the budget that keeps etcd calm.

A heartbeat is not a write. There are four reasons to write, each with its own pace:

========  ==========================================  ==========================================
kind      because                                     at the soonest
========  ==========================================  ==========================================
STATE     the state differs from the object's         at once, 2 s after the write before
DETAIL    conditions, hardware, GPUs, services        2 s after it was seen, 10 s after the
          differ                                      write before
TEXT      only a column's text differs                max(30, N/10) s after the write before
REFRESH   nothing differs                             max(300, N/10) s after the write before
========  ==========================================  ==========================================

A flapping node is written 60 s after the write before at the soonest, whatever the reason, unless
it is down: an outage is told in time.

With N nodes the last two stay within 10 writes a second together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, cast

from citadel_k8s.models.fabricnode import NodeState

STATE_GAP: Final = 2.0
"""Seconds between two writes of a node's state: a restart (Draining, Online) makes two."""

DEBOUNCE: Final = 2.0
"""Seconds in which details may still change before they are written: services start in groups."""

DETAIL_GAP: Final = 10.0
"""Seconds between two writes of a node's details: a flapping service is told six times a minute."""

TEXT_GAP: Final = 30.0
"""Seconds between two writes of a column's text in a fleet of up to 300 nodes."""

REFRESH_GAP: Final = 300.0
"""Seconds between two writes of an unchanged node in a fleet of up to 3,000: the kubelet's own
pace for an unchanged node status."""

FLAPPING_GAP: Final = 60.0
"""Seconds between two writes of a node that flaps, but for the one that says that it is down: each
of its changes is news to nobody, and its outage is."""

FLEET_DIVISOR: Final = 10.0
"""Nodes per second that slow writes may take of the API server together."""

_VOLATILE: Final = frozenset({"confirmedTime"})
_TEXT: Final = frozenset({"summary"})

_SEVERITY: Final = (
    NodeState.OFFLINE,
    NodeState.DEGRADED,
    NodeState.DRAINING,
    NodeState.UNKNOWN,
    NodeState.DECOMMISSIONED,
    NodeState.STALE,
    NodeState.ONLINE,
)


class WriteKind(IntEnum):
    """Why a status is written; a smaller one goes first."""

    STATE = 0
    DETAIL = 1
    TEXT = 2
    REFRESH = 3


@dataclass(frozen=True, slots=True)
class Written:
    """When an object was written last, and since when it differs; monotonic seconds."""

    at: float | None = None
    dirty_since: float | None = None


def kind_of(desired: Mapping[str, Any], observed: Mapping[str, Any]) -> WriteKind:
    """Compare two status documents as `as_document` gives them and the API server keeps them."""
    if desired.get("state") != observed.get("state"):
        return WriteKind.STATE
    changed = changed_keys(desired, observed) - _VOLATILE
    if not changed:
        return WriteKind.REFRESH
    if _claims(desired) == _claims(observed):
        changed -= {"conditions"}  # only their messages differ
    return WriteKind.TEXT if changed <= _TEXT else WriteKind.DETAIL


def changed_keys(desired: Mapping[str, Any], observed: Mapping[str, Any]) -> set[str]:
    """Give the top-level keys whose values differ; null and absent are the same."""
    return {key for key in desired if _pruned(desired[key]) != _pruned(observed.get(key))}


def patch_of(desired: Mapping[str, Any], observed: Mapping[str, Any]) -> dict[str, Any]:
    """Give the merge patch from one to the other: only what differs, and the confirmation."""
    return {key: desired[key] for key in changed_keys(desired, observed) | _VOLATILE}


def due_at(
    kind: WriteKind, written: Written, fleet: int, now: float, *, restless: bool = False
) -> float:
    """Give the moment at which a write of that kind may happen; monotonic seconds.

    Parameters
    ----------
    kind, written : WriteKind, Written
        What is to be written, and what was.
    fleet : int
        Number of nodes.
    now : float
        Monotonic seconds.
    restless : bool
        Whether the node flaps, and this is not that it is down.
    """
    if written.at is None:
        return now
    due = _due_at(kind, written, written.at, fleet, now)
    return max(due, written.at + FLAPPING_GAP) if restless else due


def _due_at(kind: WriteKind, written: Written, at: float, fleet: int, now: float) -> float:
    slow = fleet / FLEET_DIVISOR
    match kind:
        case WriteKind.STATE:
            return at + STATE_GAP
        case WriteKind.DETAIL:
            seen = now if written.dirty_since is None else written.dirty_since
            return max(seen + DEBOUNCE, at + DETAIL_GAP)
        case WriteKind.TEXT:
            return at + max(TEXT_GAP, slow)
        case WriteKind.REFRESH:
            return at + max(REFRESH_GAP, slow)


def urgency(kind: WriteKind, state: NodeState) -> tuple[int, int]:
    """Give the sort key of a write: state changes first, the worst states first among them."""
    return int(kind), _SEVERITY.index(state)


def _pruned(value: Any) -> Any:
    # The API server drops an object's nulls, and then {} and nothing are the same.
    if not isinstance(value, dict):
        return value
    document = cast("dict[str, Any]", value)
    return {key: kept for key, v in document.items() if (kept := _pruned(v)) is not None} or None


def _claims(status: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    conditions = cast("list[dict[str, Any]]", status.get("conditions") or [])
    return [(c.get("type"), c.get("status"), c.get("reason")) for c in conditions]
