"""What really happened to one node, and what is to be said of those who judged it.

Told Offline falsely: an entry of the node that counts landed within the failure timeout before,
or would have, had not Redis been away or lost it. Missed: silent for longer than the bound and
not Offline. The bound is the timeout and the clockwork's own time; a closure that overlaps it moves
it to the closure's end and what is conceded after one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from citadel_k8s.constants import GOODBYE_SECONDS
from citadel_k8s.domain.liveness import Policy
from tests.simulation.agents import BEAT, BLOCKED, DEATH, LOST, Happening
from tests.simulation.receiver import PROOF_LEAST, PROOF_SPREAD, Change
from tests.simulation.tally import Tally
from tests.simulation.weather import READ_LATEST, Closure, Given, Weather

CLOCKWORK: Final = PROOF_LEAST + PROOF_SPREAD + READ_LATEST
"""Seconds from a deadline to its verdict at most: tick and read."""

LATEST: Final = 2.5
"""Seconds after its death at which an entry of a node lands at the latest."""

HAIR: Final = 0.02
"""Seconds that an id's milliseconds and a floating-point number may be off."""

IN_A_ROW: Final = 4
"""Heartbeats on time after which a node that lives must be back: one more than a flapping one
needs."""


@dataclass(slots=True)
class Truth:
    """The history of one node.

    Parameters
    ----------
    happenings : sequence of Happening
        All that happened to it.
    policy : Policy
        What its object says of its heartbeats.
    weather : Weather
        The troubles of its fleet.
    time_from : sequence of float or None
        For each closure, from when on everybody is given time to be heard; None for nobody.
    opening : float
        Seconds after a closure within which the operator has read everything.
    clockwork : float
        Seconds from a deadline to its verdict at most.
    shifts : bool
        Whether a pause of the operator puts all deadlines off by its length.
    collapses : sequence of (begin, end)
        When the operator held silences back because so many fell silent at once.
    """

    happenings: Sequence[Happening]
    policy: Policy
    weather: Weather
    time_from: Sequence[Given | None]
    opening: float = READ_LATEST
    clockwork: float = CLOCKWORK
    shifts: bool = False
    collapses: Sequence[tuple[float, float]] = ()
    _landed: list[Happening] = field(default_factory=list[Happening])
    _known: list[Happening] = field(default_factory=list[Happening])
    _moments: list[float] = field(default_factory=list[float])
    _counted: list[float] = field(default_factory=list[float])
    _blocked: list[float] = field(default_factory=list[float])
    _lost: list[float] = field(default_factory=list[float])
    _deaths: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        emptied = min((c.end for c in self.weather.closures if c.emptied), default=None)
        newest: dict[str | None, int] = {}
        known: Happening | None = None
        marks = {DEATH: self._deaths, BLOCKED: self._blocked, LOST: self._lost}
        for h in sorted(self.happenings, key=_landing):
            if h.code in marks:
                marks[h.code].append(h.landed)
                continue
            first = h.code == BEAT and (h.seq is None or h.seq > newest.get(h.boot, 0))
            if first:
                self._counted.append(h.landed)
                known = h
                if h.seq is not None:
                    newest[h.boot] = h.seq
            # With the stream and its history lost, an old entry is as good as a new one.
            if first or (emptied is not None and h.landed > emptied):
                self._landed.append(h)
                self._known.append(known or h)
                self._moments.append(h.landed)

    def judge(self, changes: Sequence[Change], tally: Tally) -> None:
        """Count what was told, and what was not."""
        falls = [change.at for change in changes if change.fell and change.told]
        for fall in falls:
            self._judge_fall(fall, tally)
        for change in changes:
            if not (change.rose and change.told and self._silent_at(change.at)):
                continue
            if self.weather.blurred(change.at):
                tally.raised_undated += 1
                continue
            tally.raised += 1
            tally.note(f"raised: {change.at:.1f}")
        marks = [change.at for change in changes]
        end = self.weather.end
        ends = [min(end, moment) for moment in (*self._moments[1:], end)]
        for last, known, upto in zip(self._landed, self._known, ends, strict=False):
            if upto - last.landed <= self._timeout(last) + HAIR:
                continue
            tally.silences += 1
            # To an operator that lost nothing an old entry is none: it still waits for as long as
            # the word before it asked for, which may have been a goodbye.
            bound = max(self.bound(last), self.bound(known))
            if bound < upto and not _down_at(changes, marks, bound):
                self._judge_missed(last, bound, tally)
        self._judge_returns(changes, tally)

    def _judge_missed(self, last: Happening, bound: float, tally: Tally) -> None:
        if any(begun < bound and ended > last.landed for begun, ended in self.collapses):
            tally.held += 1
            return
        tally.missed += 1
        tally.note(f"missed: silent since {last.landed:.1f}, bound {bound:.1f}")

    def bound(self, last: Happening) -> float:
        """Give when a node silent since an entry must be Offline."""
        policy = self.policy.paced(last.interval)
        timeout = self._timeout(last)
        bound = last.landed + timeout + self.clockwork
        for number, closure in enumerate(self.weather.closures):
            if closure.start >= bound or closure.end + self.opening <= last.landed:
                continue
            opened = closure.end + self.opening
            bound = max(bound, opened + self.clockwork)
            time_from = self.time_from[number]
            if time_from is not None and time_from.holds_for(last.boot):
                given = time_from.until(policy) + self.opening - READ_LATEST
                bound = max(bound, given + self.clockwork)
            bound = max(bound, opened + self._unknown_for(closure, last) + self.clockwork)
            if self.shifts and closure.trouble == "paused":
                bound += closure.end - closure.start
        return bound + HAIR

    def _unknown_for(self, closure: Closure, last: Happening) -> float:
        """Give the seconds for which a closure's end is as good as a word of the node."""
        policy = self.policy.paced(last.interval)
        if self.weather.blurred(closure.end):
            return max(policy.timeout, GOODBYE_SECONDS if last.goodbye else 0.0)
        if closure.trouble != "restarted":
            return 0.0
        known = last.landed >= self.weather.kept_since(closure.end)
        if known and not self.weather.vanished(last.landed, closure.end):
            return 0.0
        return max(policy.timeout, self.policy.timeout, GOODBYE_SECONDS)

    def _judge_fall(self, fall: float, tally: Tally) -> None:
        tally.falls += 1
        index = bisect_right(self._counted, fall) - 1
        last, known = self._last_landed(fall), self._known_at(fall)
        if index < 0 or last is None or known is None:
            return
        # As with the bound: by an old entry behind a goodbye either of the two may be waited for.
        counted, timeout = self._counted[index], min(self._timeout(last), self._timeout(known))
        died = _latest(self._deaths, fall)
        if fall - counted < timeout - HAIR:
            if self._is_raced(index, fall, timeout):
                tally.raced += 1
            elif self._is_misdated(last, fall):
                tally.misdated += 1
            else:
                self._note_false(fall, last, tally)
        elif died > counted - LATEST:
            self._judge_death(last, known, died, fall, tally)
        elif max(_latest(self._blocked, fall), counted) < fall - timeout + HAIR:
            tally.unlucky += 1
        elif _latest(self._lost, fall) > _latest(self._blocked, fall):
            tally.unlucky_after += 1
        else:
            self._note_false(fall, last, tally)

    def _judge_death(
        self, last: Happening, known: Happening, died: float, fall: float, tally: Tally
    ) -> None:
        if known is not last or last.goodbye or not self._clear(last.landed, fall):
            tally.told_after_trouble += 1
            return
        tally.detected(self.policy.paced(last.interval), fall - died)
        tally.excess.append(fall - last.landed - self._timeout(last))

    def _note_false(self, fall: float, last: Happening, tally: Tally) -> None:
        tally.false += 1
        tally.note(f"false: told {fall:.1f}, landed {last.landed:.1f}")

    def _is_raced(self, index: int, fall: float, timeout: float) -> bool:
        """Whether its first word in so long lay there after the deadline, not read yet."""
        counted = self._counted[index]
        before = self._counted[index - 1] if index else 0.0
        return fall - counted < self.clockwork and counted - before > timeout - HAIR

    def _is_misdated(self, last: Happening, fall: float) -> bool:
        """Whether ids alone told a new operator when it spoke, and Redis' clock had jumped."""
        error = fall + self.weather.stretch(fall).offset - last.stamped - (fall - last.landed)
        return error > 1.0 and any(
            closure.trouble == "restarted" and last.landed < closure.end <= fall
            for closure in self.weather.closures
        )

    def _judge_returns(self, changes: Sequence[Change], tally: Tally) -> None:
        """Count the nodes that live and are left Offline."""
        for index, change in enumerate(changes):
            if not change.fell:
                continue
            upto = changes[index + 1].at if index + 1 < len(changes) else self.weather.end
            begun, row = 0.0, 0
            last: Happening | None = None
            first = bisect_right(self._moments, change.at)
            for number in range(first, bisect_left(self._moments, upto - self.clockwork)):
                heard = self._landed[number]
                if last is not None and _repeats(heard, last):
                    continue
                on_time = self.policy.paced(heard.interval).stale_after
                if last is None or heard.boot != last.boot or heard.landed - last.landed > on_time:
                    # A flapping node has to speak in a row without another restart.
                    begun, row = heard.landed, 0
                last, moment = heard, heard.landed
                row += 1
                if row > IN_A_ROW and self._clear(begun, moment + self.clockwork):
                    tally.stuck += 1
                    tally.note(f"stuck: told {change.at:.1f}, speaks since {begun:.1f}")
                    break

    def _clear(self, since: float, upto: float) -> bool:
        """Whether no trouble was near."""
        return not self.weather.blurred(upto) and all(
            closure.end + self.opening < since or closure.start > upto
            for closure in self.weather.closures
        )

    def _silent_at(self, moment: float) -> bool:
        last = self._last_landed(moment)
        return last is None or moment - last.landed > self._timeout(last) + HAIR

    def _last_landed(self, moment: float) -> Happening | None:
        index = bisect_right(self._moments, moment) - 1
        return self._landed[index] if index >= 0 else None

    def _known_at(self, moment: float) -> Happening | None:
        index = bisect_right(self._moments, moment) - 1
        return self._known[index] if index >= 0 else None

    def _timeout(self, last: Happening) -> float:
        if last.goodbye:
            return GOODBYE_SECONDS
        return self.policy.paced(last.interval).timeout


def _repeats(heard: Happening, last: Happening) -> bool:
    return heard.boot == last.boot and heard.seq is not None and heard.seq <= (last.seq or 0)


def _landing(happening: Happening) -> float:
    return happening.landed


def _latest(moments: Sequence[float], upto: float) -> float:
    index = bisect_right(moments, upto) - 1
    return moments[index] if index >= 0 else float("-inf")


def _down_at(changes: Sequence[Change], marks: Sequence[float], moment: float) -> bool:
    index = bisect_right(marks, moment) - 1
    return index >= 0 and changes[index].fell
