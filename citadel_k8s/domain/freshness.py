"""What is said of a node when one looks: what it said last, and how long it has been silent since.

Silence is counted in the stream's own clock, and only as far as everything was taken in: up to the
*frontier*. A worker, a Redis or a database that is away leaves the frontier where it is, so that
nobody becomes Offline for it. What was silent while the pipe was not seen open proves nothing
either: silence counts from `Ingest.clear_since_ms` on at the earliest, and whoever was known to be
silent before stays so until it speaks.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from citadel_k8s.domain.life import ON_TIME, Policy, Words
from citadel_k8s.models.fabricnode import NodeState

DECOMMISSIONED: Final = Words("Decommissioned", "taken out of service")
"""Of a node that people gave up."""

SPOKE_LAST: Final = frozenset({NodeState.ONLINE, NodeState.DEGRADED, NodeState.DRAINING})
"""States that a message can say of its sender."""


@dataclass(frozen=True, slots=True)
class Ingest:
    """How far the stream was taken in. Milliseconds of the server's clock, as in entry ids.

    Attributes
    ----------
    frontier_ms
        Every entry up to here is in the tables.
    clear_since_ms
        Since when the stream was seen open without a gap.
    stream_epoch
        Counts how often the stream began anew with lower ids; moments of different epochs cannot
        be compared.
    """

    frontier_ms: int
    clear_since_ms: int
    stream_epoch: int = 0


NOTHING_TAKEN_IN: Final = Ingest(0, 0, 0)
"""Before any worker has looked: nobody's silence counts."""


@dataclass(frozen=True, slots=True)
class StatusRow:
    """What is kept of a node, as far as its state depends on it.

    Attributes
    ----------
    verdict, reason, message
        What its last message said of it: Online, Degraded or Draining, and why.
    stream_epoch, stream_ms
        Where in the stream that message lay.
    interval_seconds
        How often it speaks; None if it did not say.
    draining_until_ms
        Until when it announced to be away, in the stream's clock.
    state, state_reason, state_since
        What was said of it when that last changed.
    decommissioned
        Whether people gave it up.
    """

    org_id: str
    node_id: str
    verdict: NodeState
    reason: str | None
    message: str | None
    stream_epoch: int
    stream_ms: int
    interval_seconds: float | None
    draining_until_ms: int | None
    state: NodeState
    state_reason: str | None
    state_since: datetime
    decommissioned: bool = False


class Judged(NamedTuple):
    """What is said of a node.

    ``silence_s`` is the silence that counts, in seconds; ``since_ms`` the moment in the stream's
    clock at which silence made the state, None where it was a message or people.
    """

    state: NodeState
    reason: str
    message: str
    silence_s: float
    since_ms: int | None = None


def judged(row: StatusRow, ingest: Ingest, policy: Policy) -> Judged:
    """Give the state of a node.

    Parameters
    ----------
    row : StatusRow
        What is kept of it.
    ingest : Ingest
        How far the stream was taken in, read before the row or with it.
    policy : Policy
        How long silence is borne where the node names no interval of its own.
    """
    paced = policy.paced(row.interval_seconds)
    silence = _counted(row, ingest)
    if row.decommissioned:
        return Judged(NodeState.DECOMMISSIONED, *DECOMMISSIONED, silence)
    if row.verdict is NodeState.DRAINING:
        return _away(row, ingest, paced, silence)
    for state, reason, limit in (
        (NodeState.OFFLINE, "AgentSilent", paced.timeout),
        (NodeState.STALE, "HeartbeatLate", paced.stale_after),
    ):
        if silence > limit or _stays(row, ingest, state, limit):
            since = _silent_from(row, ingest) + round(limit * 1000)
            message = _no_heartbeat(row, ingest)
            return Judged(state, reason, message, silence, min(since, ingest.frontier_ms))
    if row.reason is None:
        # What may be a fault and was told once only is kept beside the verdict, and not shown.
        return Judged(row.verdict, *ON_TIME, silence)
    return Judged(row.verdict, row.reason, row.message or "", silence)


def age_s(row: StatusRow, ingest: Ingest) -> float | None:
    """Give how long ago a node spoke as of the frontier, in seconds; None if that is not known."""
    if row.stream_epoch != ingest.stream_epoch:
        return None
    return max(0, ingest.frontier_ms - row.stream_ms) / 1000


def _counted(row: StatusRow, ingest: Ingest) -> float:
    return max(0, ingest.frontier_ms - _silent_from(row, ingest)) / 1000


def _silent_from(row: StatusRow, ingest: Ingest) -> int:
    if row.stream_epoch > ingest.stream_epoch:
        return ingest.frontier_ms  # the row is news to whoever looked at the stream before it
    spoke = row.stream_ms if row.stream_epoch == ingest.stream_epoch else 0
    return max(spoke, ingest.clear_since_ms)


def _stays(row: StatusRow, ingest: Ingest, state: NodeState, limit: float) -> bool:
    """Say whether a node was known to be silent before a gap, and has not spoken since."""
    if row.state is not state:
        return False
    age = age_s(row, ingest)
    return row.stream_epoch < ingest.stream_epoch if age is None else age > limit


def _away(row: StatusRow, ingest: Ingest, policy: Policy, silence: float) -> Judged:
    """Judge a node that said goodbye: no goodbye makes it Offline before its silence would."""
    comparable = row.stream_epoch == ingest.stream_epoch
    announced = (row.draining_until_ms or 0) if comparable else 0
    until = max(announced, _silent_from(row, ingest) + round(policy.timeout * 1000))
    if ingest.frontier_ms > until or _stays(row, ingest, NodeState.OFFLINE, policy.timeout):
        message = "did not come back in the announced time"
        since = min(until, ingest.frontier_ms)
        return Judged(NodeState.OFFLINE, "GoodbyeExpired", message, silence, since)
    return Judged(row.verdict, row.reason or "Terminating", row.message or "said goodbye", silence)


def _no_heartbeat(row: StatusRow, ingest: Ingest) -> str:
    age = age_s(row, ingest)
    return "no heartbeat" if age is None else f"no heartbeat for {age:.0f} s"
