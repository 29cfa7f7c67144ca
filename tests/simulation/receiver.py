"""The operator's ear, in few lines, around the real state machine of one node.

What the reader, the scheduler and the registry add is modelled here: when an entry is read, up to
when silence is proved, who is given more time after a closure, what a restart knows. The second
simulation (`whole`) runs the real ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final

from citadel_k8s.domain import liveness
from citadel_k8s.domain.liveness import Beat, Goodbye, Liveness, Policy
from citadel_k8s.domain.restoring import Past, recalled, restored
from citadel_k8s.domain.verdicts import Fault
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.reader import READ_PAUSE
from tests.simulation.agents import BEAT, JUNK, Happening
from tests.simulation.weather import READ_LATEST, Closure, Given, Weather

HEARD: Final = frozenset({BEAT, JUNK})
"""What the operator reads."""

CLOSES: Final = 10
"""The operator stops hearing."""

WAKES: Final = 11
"""The operator can hear again."""

OPENS: Final = 12
"""All that waited has been read."""

JUMPS: Final = 13
"""Redis' clock jumps."""

ENDS: Final = 14
"""The simulation ends."""

PROOF_LEAST: Final = READ_PAUSE + 0.06
"""Seconds from a deadline to its verdict at least: what lay in the stream then was read first."""

PROOF_SPREAD: Final = 2.4
"""Seconds by which that varies: two reads' waits, the pause after each and a tick."""

JUST_PROVED: Final = 2.5
"""Seconds since the last proof at most, while the operator hears."""

SAVED_EVERY: Final = 5.0
"""Seconds between two snapshots: what was heard within the last ones is not known any more."""

GOODBYE: Final = Goodbye("terminating")
SOFT: Final = (Fault("DiskFull", "disk 97% full", definite=False),)
DEFINITE: Final = (Fault("GpuLost", "GPU 3: GpuLost", definite=True),)


@dataclass(frozen=True, slots=True)
class Machine:
    """The rules under test; a mutant has one of them wrong.

    ``proves``: silence counts only as far as it is proved.
    """

    beaten: Callable[[Liveness, Beat, float], Liveness] = liveness.beaten
    expired: Callable[[Liveness, float], Liveness] = liveness.expired
    deferred: Callable[[Liveness, float], Liveness] = liveness.deferred
    restored: Callable[..., Liveness] = restored
    recalled: Callable[[Liveness, Past, float], Liveness] = recalled
    policy: Callable[[Policy], Policy] = lambda policy: policy
    proves: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """A change of state; ``told`` unless an operator's end made it forget what it had told."""

    at: float
    before: NodeState
    state: NodeState
    told: bool = True

    @property
    def fell(self) -> bool:
        """Whether a node was told Offline."""
        return self.state is NodeState.OFFLINE

    @property
    def rose(self) -> bool:
        """Whether a node was told back."""
        return self.before is NodeState.OFFLINE


def troubles(weather: Weather) -> list[Happening]:
    """Give what befalls the operator, to be merged with what befalls a node."""
    found = [Happening(s.start, JUMPS, s.offset) for s in weather.redis_clock[1:]]
    for number, closure in enumerate(weather.closures):
        found.append(Happening(closure.start, CLOSES, closure.start, seq=number))
        found.append(Happening(closure.end, WAKES, closure.end, seq=number))
        found.append(Happening(closure.end + READ_LATEST, OPENS, closure.end, seq=number))
    found.append(Happening(weather.end, ENDS, weather.end))
    return sorted(found)


@dataclass(slots=True)
class Receiver:
    """Follows one node.

    Parameters
    ----------
    policy : Policy
        What the node's object says of its heartbeats.
    weather : Weather
        The troubles of its fleet.
    time_from : sequence of Given or None
        For each closure, from when on everybody is given time to be heard; None for nobody.
    machine : Machine
        The rules.
    """

    policy: Policy
    weather: Weather
    time_from: Sequence[Given | None]
    machine: Machine = field(default_factory=Machine)
    changes: list[Change] = field(default_factory=list[Change])
    live: Liveness | None = None
    _offset: float = 0.0
    _before: tuple[Liveness | None, float, float] = (None, 0.0, -inf)
    _stamp: float = 0.0
    _place: float = -inf
    _counted_to: float = -inf
    _heard_at: float = 0.0
    _given_at: float = -inf
    _oldest: float = JUST_PROVED

    def follow(self, happenings: Sequence[Happening]) -> list[Change]:
        """Take everything into account; give the changes of state."""
        closed: Closure | None = None
        opened = 0.0
        proves, hear = self.machine.proves, self._hear
        for index, happening in enumerate(happenings):
            moment, code = happening[0], happening[1]
            live = self.live
            if live is not None and live.deadline is not None and live.deadline < moment:
                due = live.deadline + PROOF_LEAST + PROOF_SPREAD * (live.deadline * 7919.37 % 1.0)
                due = max(due, opened)
                deaf = closed is not None and (proves or not closed.redis_away)
                if due < moment and not deaf:
                    self._become(self.machine.expired(live, due), due)
            if code in HEARD:
                hear(happening, moment)
            elif code == CLOSES:
                closed = self.weather.closures[happening.seq or 0]
                # Whoever reads on knows what was not there before; a new reader does not.
                known = closed.trouble != "restarted" and not closed.reset
                self._oldest = closed.end - closed.start + JUST_PROVED if known else inf
            elif code == WAKES and closed is not None:
                self._wake(closed, happenings[:index])
            elif code == OPENS and closed is not None:
                opened = moment + 0.01
                self._open(self.time_from[happening.seq or 0])
                closed, self._oldest = None, JUST_PROVED
            elif code == JUMPS:
                self._offset = happening.landed
        return self.changes

    def _hear(self, happening: Happening, now: float) -> None:
        stamped = happening.stamped
        age = min(max(0.0, now + self._offset - stamped), self._oldest)
        live, seq = self.live, happening.seq
        if live is None:
            policy = self.machine.policy(self.policy)
            if age >= policy.paced(happening.interval).timeout:
                return
            live = liveness.created(policy, now)
        beat = Beat(
            now - age,
            happening.boot,
            seq,
            happening.interval,
            GOODBYE if happening.goodbye else None,
            () if seq is None or seq % 40 else (SOFT if seq % 80 else DEFINITE),
        )
        heard = self.machine.beaten(live, beat, now)
        if heard.state is not live.state:
            self.changes.append(Change(now, live.state, heard.state))
        if heard is not live:
            self._before = (self.live, self._stamp, self._place)
            self._stamp, self._place, self._heard_at = stamped, happening.landed, now
        self.live = heard

    def _become(self, live: Liveness, now: float) -> None:
        if self.live is not None and live.state is not self.live.state:
            self.changes.append(Change(now, self.live.state, live.state))
        self.live = live

    def _wake(self, closed: Closure, past: Sequence[Happening]) -> None:
        live, now = self.live, closed.end
        if closed.trouble == "paused" and not self.machine.proves and live is not None:
            self._become(self.machine.expired(live, now), now)
        if closed.trouble == "restarted":
            self._restart(closed, now)
        if closed.trouble == "restarted" or closed.reset:
            self._read_again(closed, past, now + 0.03)

    def _restart(self, closed: Closure, now: float) -> None:
        """Forget all but what the object says, up to two seconds old, and the snapshot."""
        written_by = closed.start - 2.0 * (closed.start % 1.0)
        self._counted_to = -inf
        known = [change for change in self.changes if change.at <= written_by]
        if not known or self.live is None:
            self.live = None
            return
        state = known[-1].state
        reason = "AgentSilent" if state is NodeState.OFFLINE else "Heartbeat"
        policy = self.machine.policy(self.policy)
        live = self.machine.restored(policy, now, state=state, reason=reason, message="as it was")
        saved = (self.live, self._stamp, self._place)
        if closed.start - self._heard_at < SAVED_EVERY and self._before[0] is not None:
            saved = self._before
        self._counted_to = saved[2]
        if saved[0].last_beat is not None:
            past = Past(
                now - max(0.0, now + self._offset - saved[1]),
                saved[0].boot_id, saved[0].seq, saved[0].former_boots, changes=saved[0].changes,
                former_seqs=saved[0].former_seqs, back_by=self._given_to(saved[0], closed),
            )  # fmt: skip
            live = self.machine.recalled(replace(live, policy=saved[0].policy), past, now)
        if live.state is not self.changes[-1].state:
            self.changes.append(Change(now, self.changes[-1].state, live.state, told=False))
        self.live = live

    def _given_to(self, live: Liveness, closed: Closure) -> float | None:
        """Give until when a node's silence is borne, as the snapshot has it."""
        saved = closed.start - self._given_at >= SAVED_EVERY
        return live.deadline if live.held and saved else None

    def _read_again(self, closed: Closure, past: Sequence[Happening], now: float) -> None:
        since = self.weather.kept_since(now)
        counted_to = -inf if closed.reset else self._counted_to
        again = [
            happening
            for happening in reversed(past)
            if happening.code in HEARD
            and max(since, counted_to) <= happening.landed <= closed.start
            and happening.landed != counted_to
            and happening.read <= closed.start
            and not self.weather.vanished(happening.landed, now)
        ]
        for happening in sorted(again, key=lambda happening: happening.landed):
            self._hear(happening, now)

    def _open(self, time_from: Given | None) -> None:
        live = self.live
        if live is not None and time_from is not None and time_from.holds_for(live.boot_id):
            self.live = self.machine.deferred(live, time_from.until(live.policy))
            self._given_at = time_from.since
