"""Knows whether heartbeats can arrive, and so what a silence is worth.

It has no task of its own: the scheduler asks it how far silence is proved, at each tick and before
anybody is judged, so that not even a process that stood still judges before it has looked.
"""

from typing import Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.collapse import LATE_MIN, Arrivals, Collapse, Releases, watched
from citadel_k8s.domain.life import Liveness, Phase
from citadel_k8s.domain.pipe import (
    STARTING,
    PipeCondition,
    Ruling,
    Silence,
    Witnesses,
    collapse_condition,
    judged,
)
from citadel_k8s.domain.witness import Finding
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.registry import Registry
from citadel_k8s.telemetry.log import get_logger

_log = get_logger("operator.pipe")

LOOK: Final = 1.0
"""Seconds between two looks at the whole fleet."""

OWN_PAUSE: Final = 5.0
"""Seconds by which a look may be late before this process itself stood still."""

SHIFT_MAX: Final = 300.0
"""Most seconds by which deadlines come later for that: the longest interval, in which every node
that lives has spoken."""

PROOF_LATE: Final = 5.0
"""Seconds without proof after which the stream counts as not readable."""

CANARY_LATE: Final = 8.0
"""Seconds after which a canary counts as lost: they are 5 s apart, and one may be 3 s under way."""

PAUSE_TOLD: Final = 30.0
"""Seconds for which a pause of this process is told."""

PAUSE_SLACK: Final = 10.0
"""Seconds after a pause in which it explains that nothing has been proved lately."""

WITNESSES_EVERY: Final = 5.0
"""Seconds between two counts of the evidence in a collapse: of 10,000 nodes it takes 30 ms."""


class Proof(Protocol):
    """Who has proved something up to a moment: the reader, the canary."""

    @property
    def proved_until(self) -> float | None:
        """Monotonic seconds; None before any proof."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why there is no proof now; None if there is."""
        ...


class CanaryProof(Proof, Protocol):
    """What the canary has proved."""

    @property
    def forbidden(self) -> bool:
        """Whether it may not be sent, which proves nothing either way."""
        ...


class Witness(Protocol):
    """Who knows of silent nodes beside the stream; `operator.evidence.Evidence` does."""

    def rest(self, resting: bool) -> None:  # noqa: FBT001 - one word, one meaning
        """Begin no questions while nobody can be heard."""
        ...

    def finding(self, record: NodeRecord, now: float) -> Finding:
        """Sum up what is known of a node."""
        ...

    def pending(self, record: NodeRecord) -> bool:
        """Say whether an answer is under way that may say more; begin one if nobody did."""
        ...

    def witnesses(self, now: float) -> Witnesses:
        """Count the late nodes by what is known of them."""
        ...


class Pipe:
    """Tells the scheduler how far silence is proved, and the registry what each one means.

    Parameters
    ----------
    registry : Registry
        The fleet.
    reader : Proof
        Who reads the stream.
    canary : CanaryProof
        Who writes to Redis and reads it back.
    evidence : Witness
        What is known of silent nodes beside the stream.
    clock : Clock
        The operator's clock.
    metrics : OperatorMetrics
        What is counted.
    """

    def __init__(
        self,
        registry: Registry,
        reader: Proof,
        canary: CanaryProof,
        evidence: Witness,
        *,
        clock: Clock,
        metrics: OperatorMetrics,
    ) -> None:
        self._registry = registry
        self._reader = reader
        self._canary = canary
        self._evidence = evidence
        self._clock = clock
        self._metrics = metrics
        self._looked_at: float | None = None
        self._open = False
        self._outage = False
        self._opened_at: float | None = None
        self._paused: tuple[float, float] | None = None
        self._collapse = Collapse()
        self._fallen: set[str] = set()
        self._releases = Releases()
        self._witnesses = Witnesses()
        self._witnessed_at = 0.0

    @property
    def proved_until(self) -> float | None:
        """Moment up to which nobody's word was missed; None before any proof. Looks first."""
        self._look_if_due(self._clock.monotonic())
        read, wrote = self._reader.proved_until, self._canary.proved_until
        if read is None or self._canary.forbidden:
            return read
        if wrote is None:
            return None
        late = self._clock.monotonic() - wrote > CANARY_LATE
        return min(read, wrote) if late else read

    @property
    def collapsed(self) -> bool:
        """Whether so many fell silent at once that silence alone proves nothing."""
        return self._collapse.going_on

    @property
    def trouble(self) -> str | None:
        """What is the matter, in a line; None if heartbeats can arrive as far as is known."""
        condition = self.condition()
        return None if condition.status == "True" else f"{condition.reason}: {condition.message}"

    def judge(self, record: NodeRecord, now: float) -> Ruling:
        """Say what the silence of a node means whose deadline has come."""
        self._look_if_due(now)
        live = record.live
        if live.deadline is not None and live.deadline > now:
            return Ruling("hold", until=live.deadline)  # a pause has just put it off
        spoke = live.phase in {Phase.SPEAKING, Phase.ANSWERING}
        fleet = self._living() + len(self._fallen)
        silence = Silence(
            now=now,
            timeout=live.policy.timeout,
            held_since=record.held_since,
            finding=self._evidence.finding(record, now),
            pending=self._evidence.pending(record),
            age=live.age(now) if spoke else None,
        )
        ruling = judged(
            silence,
            collapsed=self.collapsed,
            grace_until=self._grace_until(live),
            release=lambda rank: self._releases.moment(record.node_id, rank, now, fleet),
        )
        if ruling.verdict == "offline" and self.collapsed and spoke:
            self._fallen.add(record.node_id)
        return ruling

    def condition(self) -> PipeCondition:
        """Tell how the way from the nodes fares, worst first."""
        now = self._clock.monotonic()
        return (
            self._pause_told(now, PAUSE_SLACK)
            or self._trouble_with(self._reader, "ReaderDown", PROOF_LATE, now)
            or self._trouble_with_canary(now)
            or self._collapse_told()
            or self._pause_told(now, PAUSE_TOLD)
            or PipeCondition("True", "Healthy", "heartbeats can arrive")
        )

    # --- looking

    def _look_if_due(self, now: float) -> None:
        if self._looked_at is None or now - self._looked_at >= LOOK:
            self._look(now)

    def _look(self, now: float) -> None:
        since, self._looked_at = self._looked_at, now
        if since is not None and now - since > OWN_PAUSE:
            self._stood_still(now - since, now)
        frozen = self._is_frozen(now)
        self._freeze(frozen, now)
        self._evidence.rest(frozen or self._reopening(now, self._registry.policy.interval))
        if not frozen:
            self._watch_arrivals(now)
        self._show()

    def _stood_still(self, seconds: float, now: float) -> None:
        _log.warning("stood_still", seconds=round(seconds, 1))
        self._metrics.own_pauses.inc()
        self._paused = (now, seconds)
        # Whoever reads the stream may have woken first, and put the deadlines off by itself.
        self._registry.shift(min(seconds, SHIFT_MAX), woke=now - OWN_PAUSE)
        if seconds > SHIFT_MAX:
            self._opened_at = now  # nobody is heard yet that spoke meanwhile

    def _freeze(self, frozen: bool, now: float) -> None:  # noqa: FBT001 - what the name says
        if frozen:
            # A start is no outage: nodes that died before it are to be found on time.
            troubled = self._reader.trouble is not None or self._canary.trouble is not None
            self._outage = self._outage or self._open or troubled
        elif self._outage:
            self._outage, self._opened_at = False, now
        self._open = not frozen

    def _is_frozen(self, now: float) -> bool:
        read, wrote = self._reader.proved_until, self._canary.proved_until
        if read is None or now - read > PROOF_LATE:
            return True
        if self._canary.forbidden:
            return False
        return wrote is None or now - wrote > CANARY_LATE

    def _reopening(self, now: float, seconds: float) -> bool:
        return self._opened_at is not None and now - self._opened_at < seconds

    def _grace_until(self, live: Liveness) -> float:
        moments = [m for m in (self._opened_at, self._collapse.ended_at) if m is not None]
        opened = max(moments, default=float("-inf"))
        if live.last_beat is not None and live.last_beat > opened:
            return float("-inf")  # it was heard since: its way is open, and its silence its own
        return opened + live.policy.stale_after

    def _living(self) -> int:
        tally = self._registry.tally
        return tally[NodeState.ONLINE] + tally[NodeState.DEGRADED]

    # --- collapse

    def _watch_arrivals(self, now: float) -> None:
        policy = self._registry.policy
        if not self.collapsed and self._reopening(now, policy.stale_after):
            return  # they were all silent because nobody could be heard, and are about to return
        nodes = self._registry.nodes
        self._fallen = {
            node_id for node_id in self._fallen if node_id in nodes and nodes[node_id].live.down
        }
        seen = Arrivals(
            alive=self._living(),
            late=len(self._registry.late),
            fallen=len(self._fallen),
            quiet=self._is_quiet(now),
        )
        before, self._collapse = self._collapse, watched(self._collapse, seen, now, policy.timeout)
        if self.collapsed and not before.going_on:
            self._begin_collapse(seen)
        elif before.going_on and not self.collapsed:
            _log.info("collapse_over", silent=seen.late, fell=seen.fallen)
            self._fallen.clear()
        if self.collapsed and now - self._witnessed_at >= WITNESSES_EVERY:
            self._witnessed_at = now
            self._witnesses = self._evidence.witnesses(now)

    def _begin_collapse(self, seen: Arrivals) -> None:
        _log.warning("collapse", silent=seen.late, alive=seen.alive, quiet=seen.quiet)
        self._fallen.clear()
        self._releases = Releases()
        self._witnesses, self._witnessed_at = Witnesses(), float("-inf")

    def _is_quiet(self, now: float) -> bool:
        """Say whether nobody at all was heard for as long as makes the quickest one late."""
        nodes, late = self._registry.nodes, self._registry.late
        if len(late) < LATE_MIN:
            return False
        known = [nodes[node_id] for node_id in late if node_id in nodes]
        since = now - min((r.live.policy.stale_after for r in known), default=0.0)
        return not any(
            record.live.last_beat is not None and record.live.last_beat > since
            for record in nodes.values()
        )

    # --- telling

    def _trouble_with(
        self, proof: Proof, reason: str, limit: float, now: float
    ) -> PipeCondition | None:
        proved = proof.proved_until
        if proved is None and proof.trouble is None:
            return PipeCondition("Unknown", STARTING, "nothing is proved yet")
        if proved is None:
            return PipeCondition("False", reason, proof.trouble or "")
        if now - proved <= limit:
            return None
        return PipeCondition("False", reason, proof.trouble or f"no proof for {limit:g} s or more")

    def _trouble_with_canary(self, now: float) -> PipeCondition | None:
        told = self._trouble_with(self._canary, "CanaryLost", CANARY_LATE, now)
        if told is None or not self._canary.forbidden:
            return told
        return PipeCondition("Unknown", "CanaryLost", told.message)

    def _collapse_told(self) -> PipeCondition | None:
        if not self.collapsed:
            return None
        seen, fallen = self._witnesses, len(self._fallen)
        silent, before = len(self._registry.late) + fallen, self._living() + fallen
        # Who goes Offline in a collapse does so with evidence, but for the few that are released.
        counted = Witnesses(seen.alive, seen.dead + fallen, seen.none)
        return collapse_condition(silent, before, counted)

    def _pause_told(self, now: float, seconds: float) -> PipeCondition | None:
        if self._paused is None or now - self._paused[0] > seconds:
            return None
        message = f"this operator stood still for {self._paused[1]:.0f} s; deadlines were put off"
        return PipeCondition("Unknown", "OwnPause", message)

    def _show(self) -> None:
        status = self.condition().status
        worth = {"True": 1.0, "False": 0.0, "Unknown": float("nan")}
        self._metrics.pipe_healthy.set(worth[status])
        self._metrics.suspects.set(len(self._registry.late))
        self._metrics.collapse.set(self.collapsed)
