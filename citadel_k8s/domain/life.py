"""What is known of one node's life, and the state that is said of it.

Two things are kept apart. The *phase* is what is known: whether the node speaks, has left, answers
when asked, or is down. The *state* is what is said, and follows from the phase, the node's faults
and what people want (`shown`).
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, NamedTuple

from citadel_k8s.constants import (
    HEARTBEAT_INTERVAL,
    INTERVAL_MAX,
    INTERVAL_MIN,
    MISSED_HEARTBEATS,
    SKEW_SECONDS,
    STALE_INTERVALS,
)
from citadel_k8s.domain import flapping
from citadel_k8s.domain.verdicts import Fault
from citadel_k8s.models.fabricnode import NodeState

ALIVE: Final = frozenset({NodeState.ONLINE, NodeState.DEGRADED})
"""States of a node that speaks, or at least answers."""

NEVER: Final = float("-inf")
"""A moment that is over, whatever time it is."""

UNCOUNTED: Final = frozenset({NodeState.UNKNOWN, NodeState.DECOMMISSIONED})
"""States whose beginning and end are no unrest: the first word, and what people want."""


class Phase(Enum):
    """What is known of a node's voice."""

    NEW = "not heard yet"
    SPEAKING = "speaks"
    LEAVING = "said goodbye"
    ANSWERING = "silent, but answers when asked"
    DOWN = "silent, and that is proved"


class Words(NamedTuple):
    """Why a node is in its state: a condition's reason, and a sentence."""

    reason: str
    message: str


ON_TIME: Final = Words("Heartbeat", "reports on time")
"""Of a node that is well."""

NEVER_YET: Final = Words("NeverReported", "no heartbeat yet")
"""Of a node that was not heard of, and still has time."""

PUBLISH_FAILING: Final = Words(
    "PublishFailing", "no heartbeat arrives, yet the agent answers when asked"
)
"""Of a node whose way to the stream is broken."""

MAINTENANCE: Final = Words("Maintenance", "silent, and spec.maintenance is set")
"""Of a node that is down while people work on it."""

DECOMMISSIONED: Final = Words("Decommissioned", "spec.decommission is set")
"""Of a node that people gave up."""

NODE_NOT_READY: Final = Fault(
    "NodeNotReady", "the agent speaks, yet the cluster's Node is not Ready", definite=True
)
"""Of a node that the cluster cannot use."""

DUPLICATE_AGENT: Final = Fault(
    "DuplicateAgent", "two agents speak for this node id, each as if alone", definite=True
)
"""Of a node for which somebody else speaks too."""


_SILENT: Final = {
    Phase.NEW: (NodeState.UNKNOWN, NEVER_YET),
    Phase.LEAVING: (NodeState.DRAINING, Words("Terminating", "said goodbye")),
    Phase.ANSWERING: (NodeState.DEGRADED, PUBLISH_FAILING),
    Phase.DOWN: (NodeState.OFFLINE, Words("AgentSilent", "no heartbeat")),
}
"""What is said of a node that does not speak, where it has no words of its own."""


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
        bounded = min(max(interval, INTERVAL_MIN), INTERVAL_MAX)
        return self if bounded == self.interval else replace(self, interval=bounded)


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


class Sighting(NamedTuple):
    """A word of a process that is not the node's own."""

    boot_id: str
    seq: int | None
    at: float


@dataclass(frozen=True, slots=True)
class Liveness:
    """What is known of one node's life.

    Attributes
    ----------
    policy
        How long its silence is borne.
    state, reason, message, since
        What is said of it, and since when it is in that state.
    deadline
        When its silence counts; None if that has been proved already.
    phase, words
        What is known of its voice; and why, where the phase alone does not say.
    counted_from
        When waiting for its first word began.
    last_beat
        When it spoke last; None if it was not heard.
    boot_id, seq, former_boots, former_seqs
        Who spoke last, and who before; and each one's last sequence number.
    streak
        Heartbeats in a row.
    suspects, clean, believed
        Reasons of the faults in the last report; reports in a row without any; faults that count.
    not_before
        Until when silence does not count whatever was heard: nobody could be.
    left_at
        When it said goodbye.
    changes, flapping
        Moments of its last changes of state; whether they are too many.
    maintenance, decommission
        What people want.
    node_ready
        Whether the cluster's Node is Ready; None if there is none, or it does not say.
    sighting, doubled_until
        A word of a second agent; until when there is believed to be one.
    """

    policy: Policy
    state: NodeState
    reason: str
    message: str
    since: float
    deadline: float | None
    phase: Phase
    counted_from: float
    words: Words | None = None
    last_beat: float | None = None
    boot_id: str | None = None
    seq: int | None = None
    former_boots: tuple[str, ...] = ()
    former_seqs: tuple[int | None, ...] = ()
    streak: int = 0
    suspects: frozenset[str] = frozenset()
    clean: int = 0
    believed: tuple[Fault, ...] = ()
    not_before: float = NEVER
    left_at: float | None = None
    changes: tuple[float, ...] = ()
    flapping: bool = False
    maintenance: bool = False
    decommission: bool = False
    node_ready: bool | None = None
    sighting: Sighting | None = None
    doubled_until: float = NEVER

    @property
    def fresh(self) -> bool:
        """Whether what it said last is how it is now."""
        return self.phase is Phase.SPEAKING

    @property
    def answers(self) -> bool:
        """Whether it is silent in the stream and answers when asked."""
        return self.phase is Phase.ANSWERING

    @property
    def down(self) -> bool:
        """Whether its silence has been proved, and it is not back yet."""
        return self.phase is Phase.DOWN

    @property
    def silent(self) -> bool:
        """Whether its silence has been proved, and not a word came since."""
        return self.deadline is None

    @property
    def held(self) -> bool:
        """Whether its silence counts later than by its last word: nobody could be heard."""
        return self.deadline is not None and self.deadline == self.not_before

    @property
    def to_be_judged(self) -> bool:
        """Whether it is down, yet shown otherwise until it is judged once more."""
        return self.down and not self.silent and self.state is not NodeState.OFFLINE

    @property
    def quiet_since(self) -> float:
        """The moment from which its silence is counted."""
        return self.counted_from if self.last_beat is None else self.last_beat

    @property
    def restless(self) -> bool:
        """Whether its writes are spaced out. That a flapping node is down is told in time."""
        return self.flapping and self.state is not NodeState.OFFLINE

    def last_seq(self, boot_id: str | None) -> int | None:
        """Give the last sequence number of a process; None if it is not known."""
        if boot_id == self.boot_id:
            return None if boot_id is None else self.seq
        if boot_id not in self.former_boots:
            return None
        known = zip(self.former_boots, self.former_seqs, strict=False)
        return next((seq for boot, seq in known if boot == boot_id), None)

    def age(self, now: float) -> float | None:
        """Seconds since the last heartbeat; None if there was none."""
        return None if self.last_beat is None else max(0.0, now - self.last_beat)

    def is_stale(self, now: float) -> bool:
        """Whether its values are too old to be shown as current."""
        age = self.age(now)
        return age is None or age > self.policy.stale_after


def calmed(node: Liveness, now: float) -> Liveness:
    """Take note that a node has stopped flapping, if it has."""
    if node.flapping and not flapping.is_flapping(node.changes, now):
        return replace(node, flapping=False)
    return node


def shown(node: Liveness, now: float) -> Liveness:
    """Give the node with the state that follows from all that is known of it."""
    state, words = _verdict(node, now)
    if state is node.state:
        if words == (node.reason, node.message):
            return calmed(node, now)
        return replace(calmed(node, now), reason=words.reason, message=words.message)
    changes = node.changes
    if not {state, node.state} & UNCOUNTED:
        changes = flapping.noted(changes, now)
    return replace(
        node, state=state, reason=words.reason, message=words.message, since=now,
        changes=changes, flapping=flapping.is_flapping(changes, now),
    )  # fmt: skip


def _verdict(node: Liveness, now: float) -> tuple[NodeState, Words]:
    if node.decommission:
        return NodeState.DECOMMISSIONED, DECOMMISSIONED
    if node.phase is Phase.SPEAKING:
        return _health(node, now)
    if node.phase is Phase.DOWN and node.maintenance:
        return NodeState.DRAINING, MAINTENANCE
    state, words = _SILENT[node.phase]
    return state, node.words or words


def _health(node: Liveness, now: float) -> tuple[NodeState, Words]:
    faults = list(node.believed)
    if node.node_ready is False:
        faults.append(NODE_NOT_READY)
    if node.doubled_until > now:
        faults.append(DUPLICATE_AGENT)
    if not faults:
        return NodeState.ONLINE, node.words or ON_TIME
    worst = next((fault for fault in faults if fault.definite), faults[0])
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return NodeState.DEGRADED, Words(worst.reason, worst.message + more)
