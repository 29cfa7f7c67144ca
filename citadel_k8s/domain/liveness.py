"""The state machine of one node: what a heartbeat, a silence or a goodbye makes of it.

All moments are seconds of the operator's own monotonic clock. The age of a heartbeat comes from
the receiver's side (its entry in the stream), never from the sender's clock. Functions give a new
`Liveness`; nothing here waits, reads or writes.

The deadline of a node is when its silence counts. Reaching it is necessary and not sufficient:
the caller proves first that the pipe was open past the deadline (see `expire`).
"""

from dataclasses import dataclass, replace
from typing import Final

from citadel_k8s.constants import (
    GOODBYE_MAX_SECONDS,
    GOODBYE_SECONDS,
    HEARTBEAT_INTERVAL,
    INTERVAL_MAX,
    INTERVAL_MIN,
    MISSED_HEARTBEATS,
    SKEW_SECONDS,
    STALE_INTERVALS,
)
from citadel_k8s.domain.facts import clip, reason_word
from citadel_k8s.domain.verdicts import Fault
from citadel_k8s.models.fabricnode import NodeState

CONFIRMING_REPORTS: Final = 2
"""Reports in a row that make a soft fault, or its end, believed; and heartbeats in a row that
bring back a node that never restarted: one may be a straggler in the pipe."""

FORMER_BOOTS_MAX: Final = 8
"""Boot ids remembered of a node. A crash loop makes one in 10 s at most, and a straggler from
before 80 s is older than every retry."""

ALIVE: Final = frozenset({NodeState.ONLINE, NodeState.DEGRADED})
"""States of a node that speaks."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long silence is borne. Intervals in seconds."""

    interval: float = HEARTBEAT_INTERVAL
    missed: int = MISSED_HEARTBEATS
    skew: float = SKEW_SECONDS

    @property
    def timeout(self) -> float:
        """Seconds of silence after which a node has failed."""
        return self.interval * self.missed + self.skew

    @property
    def stale_after(self) -> float:
        """Seconds of silence after which values are no longer current."""
        return self.interval * STALE_INTERVALS

    def paced(self, interval: float | None) -> "Policy":
        """Give the policy for a node that says how often it speaks."""
        if interval is None or interval == self.interval:
            return self
        return replace(self, interval=min(max(interval, INTERVAL_MIN), INTERVAL_MAX))


@dataclass(frozen=True, slots=True)
class Goodbye:
    """An announced absence."""

    reason: str
    expected_back: float | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """What liveness takes from one message. ``at`` is set back by the time spent in the pipe."""

    at: float
    boot_id: str | None = None
    seq: int | None = None
    interval: float | None = None
    goodbye: Goodbye | None = None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Liveness:
    """What is known of one node's life."""

    policy: Policy
    state: NodeState
    reason: str
    message: str
    since: float
    deadline: float | None
    last_beat: float | None = None
    boot_id: str | None = None
    seq: int | None = None
    former_boots: tuple[str, ...] = ()
    streak: int = 0
    suspects: frozenset[str] = frozenset()
    clean: int = 0
    answers: bool = False
    flapping: bool = False
    maintenance: bool = False
    decommission: bool = False
    down: bool = False

    @property
    def fresh(self) -> bool:
        """Whether what it said last is how it is now."""
        return self.state in ALIVE and not self.answers

    @property
    def silent(self) -> bool:
        """Whether its silence has been proved, and not a word came since."""
        return self.deadline is None

    def age(self, now: float) -> float | None:
        """Seconds since the last heartbeat; None if there was none."""
        return None if self.last_beat is None else max(0.0, now - self.last_beat)

    def is_stale(self, now: float) -> bool:
        """Whether its values are too old to be shown as current."""
        age = self.age(now)
        return age is None or age > self.policy.stale_after


def created(policy: Policy, now: float) -> Liveness:
    """Give a node of which nothing is known yet; it has one timeout to speak."""
    return Liveness(
        policy=policy,
        state=NodeState.UNKNOWN,
        reason="NeverReported",
        message="no heartbeat yet",
        since=now,
        deadline=now + policy.timeout,
    )


def restored(
    policy: Policy, now: float, *, state: NodeState, reason: str, message: str
) -> Liveness:
    """Give a node as its object tells it, without evidence of our own.

    A node that was alive or leaving stays so for a full timeout; one that was Offline stays so
    until it speaks; anything else is as good as new.
    """
    fresh = created(policy, now)
    match state:
        case NodeState.OFFLINE:
            deadline = None
        case NodeState.DRAINING:
            deadline = now + max(policy.timeout, GOODBYE_SECONDS)
        case NodeState.ONLINE | NodeState.DEGRADED:
            deadline = fresh.deadline
        case _:
            return fresh
    return replace(fresh, state=state, reason=reason, message=message, deadline=deadline)


def rejection(node: Liveness, beat: Beat) -> str | None:
    """Say why a message must not count: a duplicate, a straggler or a former process.

    A former process counts again once the one after it has been silent for the whole timeout:
    whoever still speaks then is no straggler, but the node's own agent after somebody tried out
    a second one.
    """
    if beat.boot_id is None:
        return None
    if beat.boot_id in node.former_boots:
        return None if node.state is NodeState.OFFLINE else "FormerBoot"
    same = beat.boot_id == node.boot_id
    if same and beat.seq is not None and node.seq is not None and beat.seq <= node.seq:
        return "Replayed"
    return None


def beaten(node: Liveness, beat: Beat, now: float) -> Liveness:
    """Take a heartbeat into account; one that `rejection` refuses changes nothing."""
    if rejection(node, beat):
        return node
    policy = node.policy.paced(beat.interval)
    at = beat.at if node.last_beat is None else max(beat.at, node.last_beat)
    node = _introduced(node, beat, at, policy)
    if beat.goodbye:
        return _leaving(node, beat.goodbye, at, now)
    heard = replace(node, deadline=at + policy.timeout)
    if now - at >= policy.timeout and node.state not in ALIVE:
        # Old news from the backlog: it tells when the node spoke last, not that it is back.
        return heard if node.state is not NodeState.OFFLINE else replace(heard, deadline=None)
    if heard.state in {NodeState.OFFLINE, NodeState.UNKNOWN, NodeState.DRAINING}:
        return _returning(heard, beat, now)
    return _judged(heard, beat, now)


def expired(
    node: Liveness, now: float, *, reason: str | None = None, message: str | None = None
) -> Liveness:
    """Take silence into account. The caller has proved that the pipe was open.

    Before the deadline, and for a node that is already down, nothing changes. A reason given is
    that of evidence from elsewhere, such as ``NodeNotReady``.
    """
    if node.deadline is None or now < node.deadline:
        return node
    told_reason, told_message = reason, message
    if node.last_beat is None:
        reason, message = "NeverReported", f"no heartbeat within {node.policy.timeout:g} s"
    elif node.state is NodeState.DRAINING:
        reason, message = "GoodbyeExpired", "did not come back in the announced time"
    else:
        age = node.age(now) or 0.0
        reason, message = "AgentSilent", f"no heartbeat for {age:.0f} s"
    down = replace(
        node, deadline=None, streak=0, suspects=frozenset(), clean=0, answers=False, down=True
    )
    return _moved(down, NodeState.OFFLINE, told_reason or reason, told_message or message, now)


def answering(node: Liveness, now: float) -> Liveness:
    """Take note that a silent node answers when asked; it is asked again an interval later."""
    asked = replace(node, deadline=now + node.policy.interval, answers=True)
    message = "no heartbeat arrives, yet the agent answers when asked"
    return _moved(asked, NodeState.DEGRADED, "PublishFailing", message, now)


def deferred(node: Liveness, until: float) -> Liveness:
    """Let silence not count before a moment: the pipe was closed, nobody could be heard."""
    if node.deadline is None or node.deadline >= until:
        return node
    return replace(node, deadline=until)


def _introduced(node: Liveness, beat: Beat, at: float, policy: Policy) -> Liveness:
    changed = beat.boot_id is not None and beat.boot_id != node.boot_id
    restarted = changed and beat.boot_id not in node.former_boots
    former = node.former_boots
    if changed and node.boot_id is not None:
        others = (boot for boot in former if boot != beat.boot_id)
        former = (*others, node.boot_id)[-FORMER_BOOTS_MAX:]
    in_a_row = node.last_beat is None or at - node.last_beat <= policy.stale_after
    return replace(
        node,
        policy=policy,
        last_beat=at,
        boot_id=beat.boot_id or node.boot_id,
        seq=beat.seq if beat.boot_id else node.seq,
        former_boots=former,
        # A new process cannot be a straggler of the old one: its first word is enough.
        streak=CONFIRMING_REPORTS if restarted else (node.streak if in_a_row else 0) + 1,
    )


def _leaving(node: Liveness, goodbye: Goodbye, at: float, now: float) -> Liveness:
    seconds = goodbye.expected_back
    absence = GOODBYE_SECONDS if seconds is None else min(max(seconds, 0.0), GOODBYE_MAX_SECONDS)
    leaving = replace(node, deadline=at + absence, suspects=frozenset(), clean=0)
    message = f"said goodbye ({clip(goodbye.reason)}), expected back within {absence:.0f} s"
    return _moved(leaving, NodeState.DRAINING, reason_word(goodbye.reason), message, now)


def _returning(node: Liveness, beat: Beat, now: float) -> Liveness:
    if node.state is NodeState.OFFLINE and node.streak < CONFIRMING_REPORTS:
        return node
    online = _moved(node, NodeState.ONLINE, "Heartbeat", "reports on time", now)
    return _judged(replace(online, suspects=frozenset(), clean=0), beat, now)


def _judged(node: Liveness, beat: Beat, now: float) -> Liveness:
    if not beat.faults:
        clean = node.clean + 1
        calm = replace(node, suspects=frozenset(), clean=clean)
        # A restored Online may carry a reason that somebody wrote into its object.
        if node.state is NodeState.ONLINE or clean >= CONFIRMING_REPORTS:
            return _moved(calm, NodeState.ONLINE, "Heartbeat", "reports on time", now)
        return calm
    believed = [f for f in beat.faults if f.definite or f.reason in node.suspects]
    seen = replace(node, suspects=frozenset(f.reason for f in beat.faults), clean=0)
    if not believed:
        return seen
    more = f" (and {len(believed) - 1} more)" if len(believed) > 1 else ""
    worst = believed[0]
    return _moved(seen, NodeState.DEGRADED, worst.reason, worst.message + more, now)


def _moved(node: Liveness, state: NodeState, reason: str, message: str, now: float) -> Liveness:
    since = node.since if state is node.state else now
    return replace(node, state=state, reason=reason, message=message, since=since)
