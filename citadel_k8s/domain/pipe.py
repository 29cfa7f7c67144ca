"""Pipe or node: what a silence means when the way to the node may be what is broken."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from citadel_k8s.domain.witness import Finding

PROBE_WAIT: Final = 4.0
"""Seconds that a verdict waits for a question under way: its own limit of 3 s, and its start."""

PROBE_STEP: Final = 0.5
"""Seconds between two looks for that answer: a node is judged within half a second of it."""

HOLD_STEP: Final = 4.0
"""Seconds between two looks at a node that is held: 10,000 of them cost 2,500 looks a second, and
evidence that comes meanwhile counts soon enough."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of a node whose deadline has come.

    Attributes
    ----------
    verdict
        ``offline``: it has failed. ``answers``: it is silent in the stream, yet it answers a
        direct question. ``hold``: nobody can tell yet; it is judged again at ``until``.
    reason, message
        In place of the words that silence alone has; None keeps those.
    until
        Monotonic seconds; of ``hold`` alone.
    """

    verdict: Literal["offline", "answers", "hold"]
    reason: str | None = None
    message: str | None = None
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Silence:
    """A node whose deadline has come. Moments are monotonic seconds.

    Attributes
    ----------
    now
        Moment of the judgement.
    timeout
        Seconds of silence after which it has failed, by its own policy.
    held_since
        Since when it has been held; None if this is the first look.
    finding
        What speaks for or against it beside the stream.
    pending
        Whether a question to it is under way that may still say more.
    age
        Seconds since its last word; None if it has announced its absence or was never heard: then
        that is the reason, and not what is found now.
    """

    now: float
    timeout: float
    held_since: float | None
    finding: Finding
    pending: bool = False
    age: float | None = None

    @property
    def held(self) -> float:
        """Seconds for which it has been held."""
        return 0.0 if self.held_since is None else max(0.0, self.now - self.held_since)


def judged(
    silence: Silence,
    *,
    collapsed: bool = False,
    grace_until: float = 0.0,
    release: Callable[[int], float] | None = None,
) -> Ruling:
    """Say what a silence means; the stream has been read past the deadline.

    Parameters
    ----------
    silence : Silence
        The node.
    collapsed : bool
        Whether so many fell silent at once that the way may be what broke.
    grace_until : float
        Until when silence proves nothing because the way was broken a moment ago.
    release : callable or None
        Gives a node with so much against it (0 most) its moment to go Offline without evidence
        in a collapse; at once if None.
    """
    now, finding = silence.now, silence.finding
    if finding.verdict == "alive":
        if silence.pending and silence.held < PROBE_WAIT:
            return Ruling("hold", until=now + PROBE_STEP)  # it answered a while ago
        # Of a way that broke one object tells, and not each node's own.
        held = Ruling("hold", until=now + HOLD_STEP)
        broken = collapsed or now < grace_until
        message = f"no heartbeat arrives, yet {finding.message}"
        return held if broken else Ruling("answers", message=message)
    if finding.verdict == "dead":
        return _offline(silence)
    if now < grace_until:
        return Ruling("hold", until=min(grace_until, now + HOLD_STEP))
    if silence.pending and silence.held < PROBE_WAIT:
        return Ruling("hold", until=now + PROBE_STEP)
    return _in_collapse(silence, release) if collapsed else _offline(silence)


def _in_collapse(silence: Silence, release: Callable[[int], float] | None) -> Ruling:
    now = silence.now
    step = now + (PROBE_STEP * 2 if silence.pending else HOLD_STEP)
    if silence.held < silence.timeout:
        free = now if silence.held_since is None else silence.held_since
        return Ruling("hold", until=min(step, max(free + silence.timeout, now + PROBE_STEP)))
    moment = now if release is None else release(silence.finding.rank)
    if now >= moment:
        return _offline(silence)
    return Ruling("hold", until=min(step, max(moment, now + PROBE_STEP)))


def _offline(silence: Silence) -> Ruling:
    finding = silence.finding
    if silence.age is None or not finding.message:
        return Ruling("offline")
    message = f"no heartbeat for {silence.age:.0f} s; {finding.message}"
    return Ruling("offline", reason=finding.reason, message=message)


STARTING: Final = "Starting"
"""Reason of a condition that is not known because this operator has just begun: no news."""


@dataclass(frozen=True, slots=True)
class PipeCondition:
    """How the way from the nodes to the operator fares, as a condition's fields."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Witnesses:
    """How many of the late nodes are alive, dead or neither by evidence beside the stream."""

    alive: int = 0
    dead: int = 0
    none: int = 0


def collapse_condition(silent: int, before: int, seen: Witnesses) -> PipeCondition:
    """Tell a collapse: of the way (False), of the nodes themselves (True), or not known yet.

    Parameters
    ----------
    silent, before : int
        Nodes that fell silent, those Offline since among them, of those alive before.
    seen : Witnesses
        Evidence about them; those that went Offline by it count as dead.
    """
    told = f"{silent:,} of {before:,} nodes fell silent at once"
    if seen.alive > seen.dead:
        return PipeCondition(
            "False",
            "ArrivalCollapse",
            f"{told}, and {seen.alive:,} answer when asked: what they publish does not arrive",
        )
    if seen.dead * 2 >= silent:
        return PipeCondition("True", "NodesLost", f"{told}; {seen.dead:,} are down by evidence")
    return PipeCondition(
        "Unknown",
        "ArrivalCollapse",
        f"{told}; nothing beside the stream tells why for {max(0, silent - seen.dead):,}",
    )
