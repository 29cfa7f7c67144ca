"""What is kept of each target from one collection to the next, and when it is believed."""

from dataclasses import dataclass, field, replace

from citadel_k8s.collectors.engines.asking import Facts, Memory
from citadel_k8s.collectors.engines.identify import FIRST_PAUSE, LONGEST_PAUSE
from citadel_k8s.collectors.engines.targets import Target
from citadel_k8s.collectors.probe import ProbeError


@dataclass(slots=True)
class Acquaintance:
    """What is kept of one target: its family, whether it proved it, and when to ask again.

    ``keyless``: its key could not be read. ``doubted``: something else seems to be there now.
    ``served_by`` is the pod in which it was last ready.
    """

    target: Target
    kind: str | None
    memory: Memory = field(default_factory=Memory)
    proven: bool = False
    pause: float = 0.0
    next_look: float = 0.0
    keyless: bool = False
    doubted: bool = False
    served_by: str | None = None

    def is_other(self, target: Target) -> bool:
        """Whether another process took the place, or it was said to be something else."""
        mine = self.target
        if mine.kind != target.kind:
            return True
        # What is configured is itself whatever runs behind it; its counters tell of a restart.
        known = not target.configured and None not in (mine.pid, target.pid)
        return known and mine.pid != target.pid

    def begin_anew(self) -> None:
        """Forget what it was, so that it is found out again."""
        self.kind = self.target.kind
        self.memory = Memory()
        self.doubted = False

    def turned_away(self, now: float) -> None:
        """Leave it alone for a while, each time for longer."""
        self.begin_anew()
        self.proven = False
        self.pause = min(max(self.pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
        # A little early, so that it falls due with a collection and not just after it.
        self.next_look = now + self.pause * 0.9


def proves(facts: Facts, target: Target, *, before: bool) -> bool:
    """Whether the answers show that it is what it was taken for, or it has shown that before."""
    if facts.proven or before:
        return True
    # Its own command line says what it is, and it answers as that does where one may not look.
    error: ProbeError | None = facts.error
    return target.sure and error is not None and error.reason in {"Unauthorized", "Starting"}


def is_no_more(facts: Facts) -> bool:
    """Whether something else seems to have taken the place of what was found here before."""
    return not facts.proven and (facts.error is None or facts.error.status == 404)  # noqa: PLR2004


def without_key(facts: Facts, one: Acquaintance) -> Facts:
    """Tell a missing key as the reason, where the engine wants one."""
    if not one.keyless or facts.error is None or facts.error.reason != "Unauthorized":
        return facts
    why = ProbeError("KeyUnreadable", "the file of its key cannot be read, or holds no key")
    return replace(facts, error=why)


def in_its_pod(facts: Facts, one: Acquaintance) -> Facts:
    """Tell an engine that listens not yet as starting, where its pod is there and it never was.

    An engine that loads a model for minutes refuses connections all that time.
    """
    target = one.target
    if facts.health == "ok":
        one.served_by = target.pod_uid
    if facts.status != "stopped" or target.pod is None or one.served_by == target.pod_uid:
        return facts
    return replace(facts, status="running", health="starting")
