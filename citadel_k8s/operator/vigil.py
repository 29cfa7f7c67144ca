"""Who falls silent when: the deadlines of all nodes, and who is late already.

A heartbeat costs a few dictionary writes here, whatever the size of the fleet.
"""

from citadel_k8s.aio.deadlines import Deadlines
from citadel_k8s.domain import flapping
from citadel_k8s.domain.life import Liveness, Phase


class Vigil:
    """Deadlines by node id.

    Attributes
    ----------
    silences
        When a node's silence counts.
    suspects
        When a living node will have been silent for too long to be called fresh.
    late
        Those who have been, or are silent and answer when asked.
    calms
        When a flapping node stops being one if nothing changes.
    """

    def __init__(self) -> None:
        self.silences = Deadlines()
        self.suspects = Deadlines()
        self.late: set[str] = set()
        self.calms = Deadlines()

    def follow(self, node_id: str, before: Liveness | None, live: Liveness) -> None:
        """Take what a node has become by anything but a word of its own."""
        self.silences.set(node_id, live.deadline)
        if live.deadline is None:
            self.late.discard(node_id)
        if live.flapping:
            self.calms.set(node_id, flapping.calm_at(live.changes))
        if before is None or live.phase is not before.phase or live.policy is not before.policy:
            self._suspect(node_id, live)

    def hear(self, node_id: str, live: Liveness) -> None:
        """Take what a node has become by its word."""
        if live.phase is Phase.SPEAKING:
            self.suspects.set(node_id, live.quiet_since + live.policy.stale_after)
            self.late.discard(node_id)

    def defer(self, node_id: str, live: Liveness, until: float) -> None:
        """Let nobody be late before a moment."""
        self.silences.set(node_id, live.deadline)
        if live.phase is Phase.SPEAKING:
            self.late.discard(node_id)
            self.suspects.set(node_id, max(until, live.quiet_since + live.policy.stale_after))

    def note_late(self, now: float) -> None:
        """Take note of those who have been silent for too long by now."""
        self.late.update(self.suspects.pop_due(now))

    def forget(self, node_id: str) -> None:
        """Drop a node."""
        for deadlines in (self.silences, self.suspects, self.calms):
            deadlines.set(node_id, None)
        self.late.discard(node_id)

    def _suspect(self, node_id: str, live: Liveness) -> None:
        match live.phase:
            case Phase.SPEAKING:
                self.suspects.set(node_id, live.quiet_since + live.policy.stale_after)
                self.late.discard(node_id)
            case Phase.ANSWERING:
                self.late.add(node_id)
            case Phase.NEW | Phase.LEAVING | Phase.DOWN:
                self.suspects.set(node_id, None)
                self.late.discard(node_id)
