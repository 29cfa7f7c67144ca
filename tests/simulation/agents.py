"""One node's life, and the entries that come of it.

An agent speaks on a grid and at changes. Its outbox tries the newest message until it gets
through: a pause after a failed attempt doubles up to the interval and is lengthened by chance, and
neither is cut short by the next message. An attempt can be lost, or only its answer can be, and
then the same message is sent again.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple

from citadel_k8s.aio.outbox import BACKOFF_FIRST
from citadel_k8s.domain.liveness import Policy
from citadel_k8s.operator.reader import READ_PAUSE
from tests.simulation.weather import DAY, READ_LATEST, Closure, Stretch, Weather

BEAT: Final = 0
"""An entry that says that its node lives."""

BLOCKED: Final = 1
"""An attempt that only the pipe stopped, or an entry that the pipe lost unread."""

DEATH: Final = 2
"""The moment at which a node fell silent; no entry."""

JUNK: Final = 3
"""An entry that says nothing: a straggler or an old one once more."""

LOST: Final = 4
"""An attempt that the node's own network lost, after one that the pipe had stopped; no entry."""

ANSWER_LOST: Final = 1 / 3
"""Share of the lost attempts whose entry arrived all the same."""

STALLED: Final = 3.0
"""Seconds that an attempt takes that gets no answer."""

LONGEST_PAUSE: Final = 30.0
"""Seconds that an agent's pause is never longer than, whatever its interval."""


class Happening(NamedTuple):
    """Something to do with one node, as the operator comes to it.

    ``read`` and ``landed`` are seconds of true time, ``stamped`` the time in the entry's id.
    """

    read: float
    code: int
    landed: float
    boot: str | None = None
    seq: int | None = None
    interval: float | None = None
    goodbye: bool = False
    stamped: float = 0.0


@dataclass(frozen=True, slots=True)
class Habits:
    """What kind of node it is. Rates are per day of its life, ``longest_pause`` per interval."""

    policy: Policy
    interval: float
    old: bool = False
    loss: float = 0.3
    crashes: float = 3.0
    restarts: float = 2.0
    hangs: float = 1.0
    cuts: float = 1.0
    retimings: float = 0.3
    flapping: float = 0.15
    junk: float = 4.0
    longest_pause: float = 1 / 6


@dataclass(slots=True)
class Life:
    """Draws one node's life.

    Parameters
    ----------
    name : str
        The node's id.
    habits : Habits
        What kind of node it is.
    weather : Weather
        The troubles of its fleet.
    random : Random
        Chance.
    """

    name: str
    habits: Habits
    weather: Weather
    random: Random
    happenings: list[Happening] = field(default_factory=list[Happening])
    beats: int = 0
    deaths: int = 0
    restarts: int = 0
    _boots: int = 0
    _boot: str | None = None
    _seq: int = 0
    _interval: float = 30.0
    _beat: float = 0.0
    _grid: float = 0.0
    _free: float = 0.0
    _base: float = BACKOFF_FIRST
    _at: int = 0
    _delay: float = 0.05
    _stopped: bool = False

    def live(self) -> list[Happening]:
        """Give all that happens, in the order in which the operator comes to it."""
        self._interval = self.habits.interval
        self._delay = self.random.uniform(0.01, READ_PAUSE + 0.02)
        now = self.random.uniform(0.0, self._interval)
        while now < self.weather.end:
            self._start(now)
            now = self._one_process(now)
        self._add_junk()
        self.happenings.sort(key=lambda happening: happening.read)
        return self.happenings

    # --- what befalls it

    def _one_process(self, now: float) -> float:
        """Let one process live, through hangs and cuts; give when the next one starts."""
        habits, random = self.habits, self.random
        ends = habits.crashes + habits.restarts
        freezes = habits.hangs + habits.cuts
        rate = ends + freezes + habits.retimings + habits.flapping
        while True:
            now += random.expovariate(rate / DAY)
            if now >= self.weather.end:
                self._speak(self.weather.end)
                return now
            dice = random.random() * rate
            if dice < ends:
                return self._end(now, crashed=dice < habits.crashes)
            self._speak(now)
            if dice < ends + freezes:
                now = self._silence(now, hung=dice < ends + habits.hangs)
            elif dice < ends + freezes + habits.retimings:
                self._retime(now)
            else:
                return self._flap(now)

    def _end(self, now: float, *, crashed: bool) -> float:
        self._speak(now)
        if not crashed:
            now = self._say_goodbye(now)
        self._die(now)
        self.restarts += 1
        upgrade = not crashed and self.random.random() < 0.7
        # A container is back in seconds, a machine in minutes, or only after a repair.
        longest = 60.0 if upgrade else 3 * self.habits.policy.paced(self._interval).timeout
        return now + self._absence(0.5, longest) * (10 if self.random.random() < 0.05 else 1)

    def _silence(self, now: float, *, hung: bool) -> float:
        """Let it hang, or let its own network be cut; it is the same process afterwards."""
        self._die(now)
        longest = 3 * self.habits.policy.paced(self._interval).timeout
        until = now + self._absence(2.0, longest)
        if hung:
            # Timers that came due meanwhile fire at once, and the last ones but once.
            self._beat = max(self._beat, until)
            self._grid = max(self._grid, until)
            self._free = max(self._free, until)
        else:
            self._speak(until, cut=True)
        return until

    def _retime(self, now: float) -> None:
        if self.habits.old:
            return  # it does not say how often it speaks
        self._interval = self.random.choice((10.0, 30.0, 60.0, self.habits.interval))
        self._beat = self._grid = now

    def _flap(self, now: float) -> float:
        """Let it crash again and again."""
        timeout = self.habits.policy.paced(self._interval).timeout
        for _ in range(self.random.randint(3, 8)):
            self._die(now)
            self.restarts += 1
            now += self.random.uniform(0.5, 1.6) * timeout
            self._start(now)
            now += self.random.uniform(0.2, 1.0) * timeout
            self._speak(now)
        self._die(now)
        return now + self.random.uniform(1.0, 20.0)

    def _die(self, now: float) -> None:
        self.deaths += 1
        self.happenings.append(Happening(now, DEATH, now))

    def _start(self, now: float) -> None:
        self._boots += 1
        self._boot = None if self.habits.old else f"{self.name}/{self._boots}"
        self._seq = 0
        self._beat = self._grid = now + self.random.uniform(0.3, 5.0)
        self._free = now
        self._base = BACKOFF_FIRST

    def _say_goodbye(self, now: float) -> float:
        """Say one last word, in one attempt."""
        self._seq += 1
        if self._closure_at(now) is None and self.random.random() >= self.habits.loss:
            self._arrive(now + 0.05, goodbye=True)
        return now + 0.1

    def _absence(self, least: float, most: float) -> float:
        return least * (most / least) ** self.random.random()

    # --- the outbox

    def _speak(self, until: float, *, cut: bool = False) -> None:
        """Beat and try until a moment."""
        random, habits = self.random.random, self.habits
        loss = 1.0 if cut else habits.loss
        while self._beat < until:
            grid = self._grid + self._interval
            following = grid
            if random() < 0.02:  # something changed: it says so at once
                following = min(grid, self._beat + 1 + random() * self._interval)
            self._seq += 1
            self.beats += 1
            moment = max(self._free, self._beat)
            while moment < following and moment < until:
                draw = random()
                if draw >= loss:
                    if self._lands(moment, 0.005 + 0.1 * random()):
                        self._free = moment + 0.05
                        self._base = BACKOFF_FIRST
                        break
                elif not cut and draw < loss * ANSWER_LOST:
                    self._lands(moment, 0.005 + 2.0 * random())
                elif self._stopped:
                    self.happenings.append(Happening(moment, LOST, moment))
                moment = self._free = self._pause(moment)
                if habits.old:
                    self._free = 0.0
                    break  # it has no outbox
            self._beat = following
            if following == grid:
                self._grid = grid

    def _pause(self, moment: float) -> float:
        random = self.random.random
        stalled = STALLED if random() < 0.5 else 0.01
        longest = min(LONGEST_PAUSE, self.habits.longest_pause * self._interval) / 2
        self._base = min(longest, self._base)
        pause = self._base * (1 + random())
        self._base = min(longest, self._base * 2)
        return moment + stalled + pause

    def _lands(self, moment: float, latency: float) -> bool:
        """Send the current message; say whether the server answers."""
        closure = self._closure_at(moment + latency + self._delay)
        if closure is None:
            self._arrive(moment + latency)
            return True
        if not closure.redis_away:
            self._arrive(moment + latency, closure)
            return True
        if moment + latency < closure.start:
            # It was answered; nobody has read it when the server went.
            if closure.reset:
                self._blocked(moment + latency)
            else:
                self._arrive(moment + latency, closure)
            return True
        self._blocked(moment)
        if closure.trouble == "hung" and self.random.random() < 0.7:
            # It lies in the server's socket and is executed when the server wakes: in any order.
            self._arrive(closure.end + self.random.uniform(0.0, 0.05), closure)
        return False

    def _arrive(
        self, landed: float, closure: Closure | None = None, *, goodbye: bool = False
    ) -> None:
        if closure is None:
            closure = self._just_ended(landed + self._delay)
        read = self._read(landed, closure)
        self._stopped = False
        stretch: Stretch = self.weather.redis_clock[0]
        if len(self.weather.redis_clock) > 1:
            stretch = self.weather.stretch(landed)
        self.happenings.append(
            Happening(
                read, BEAT, landed, self._boot, None if self.habits.old else self._seq,
                None if self.habits.old else self._interval, goodbye, stretch.stamp(landed),
            )
        )  # fmt: skip

    def _blocked(self, moment: float) -> None:
        self._stopped = True
        self.happenings.append(Happening(moment, BLOCKED, moment))

    def _closure_at(self, moment: float) -> Closure | None:
        closures = self.weather.closures
        # Time goes forward but for an attempt's latency.
        while self._at < len(closures) and closures[self._at].end <= moment - 3.0:
            self._at += 1
        for index in range(self._at, len(closures)):
            if closures[index].start > moment:
                return None
            if moment < closures[index].end:
                return closures[index]
        return None

    def _read(self, landed: float, closure: Closure | None) -> float:
        """Give when the operator comes to an entry: always in the order of the stream."""
        read = landed + self._delay
        if closure is None:
            return read
        # All that waited soon after the end, and what lands by then behind it.
        span = closure.end + 0.05 - closure.start
        return max(read, closure.end + 0.06 + 0.1 * (landed - closure.start) / span)

    def _just_ended(self, moment: float) -> Closure | None:
        """Give the closure whose backlog is being read at a moment."""
        closures = self.weather.closures
        for index in range(self._at, len(closures)):
            if closures[index].end > moment:
                return None
            if moment < closures[index].end + READ_LATEST:
                return closures[index]
        return None

    # --- what should not count

    def _add_junk(self) -> None:
        """Send some messages again: seconds later, as a retry does, or much later."""
        beats = [h for h in self.happenings if h.code == BEAT and h.boot is not None]
        if not beats:
            return
        times = self.habits.junk * self.weather.end / DAY
        for _ in range(int(times + self.random.random())):
            index = self.random.randrange(len(beats))
            old = beats[index]
            delay = self.random.choice((2.0, 8.0, 40.0, 200.0, 600.0))
            landed = old.landed + self.random.uniform(0.1, delay)
            self._at = 0
            if self._closure_at(landed + READ_LATEST) is not None or landed > self.weather.end:
                continue
            read = self._read(landed, self._just_ended(landed + self._delay))
            stamped = self.weather.stretch(landed).stamp(landed)
            self.happenings.append(
                old._replace(read=read, code=JUNK, landed=landed, stamped=stamped)
            )
