"""What befalls a whole fleet at once: its Redis, its operator, their clocks.

All of it is drawn before anything runs, so that one seed is one history. Moments are seconds of
true time, which only the simulation knows.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal

from citadel_k8s.domain.liveness import Policy

DAY: Final = 86_400.0
"""Seconds of a day."""

READ_LATEST: Final = 0.3
"""Seconds after its way reopened within which everything that waited has been read: a pause of the
reader's, and more."""

RETENTION: Final = 900.0
"""Seconds that the stream keeps of the past."""

GAP: Final = 5.0
"""Seconds without proof from which the reader takes the pipe for what was silent."""

ANSWER: Final = 3.0
"""Seconds after which a server that hangs is given up."""

Trouble = Literal["refused", "hung", "paused", "restarted"]


@dataclass(frozen=True, slots=True)
class Given:
    """From when on everybody is given time to be heard.

    ``whole``: all of the timeout. ``unrepeated``: only those without a boot id, who do not send
    again what was lost.
    """

    since: float
    whole: bool = False
    unrepeated: bool = False

    def holds_for(self, boot: str | None) -> bool:
        """Say whether a node whose process is called so is given that time."""
        return boot is None or not self.unrepeated

    def until(self, policy: Policy) -> float:
        """Give when that time is over for a node."""
        return self.since + (policy.timeout if self.whole else policy.stale_after)


@dataclass(frozen=True, slots=True)
class Closure:
    """A time in which the operator hears nothing.

    Redis refuses or hangs, or the operator itself is paused or being restarted. ``emptied``: Redis
    came back without data; ``lost``: it is a replica now that had not got the last seconds.
    """

    start: float
    end: float
    trouble: Trouble
    emptied: bool = False
    lost: float = 0.0

    @property
    def redis_away(self) -> bool:
        """Whether agents cannot write either."""
        return self.trouble in {"refused", "hung"}

    @property
    def reset(self) -> bool:
        """Whether the stream's ids may have gone back."""
        return self.emptied or self.lost > 0

    @property
    def fails(self) -> bool:
        """Whether a read fails in it: one that hangs does so once it is given up."""
        return self.trouble == "refused" or (
            self.trouble == "hung" and self.end - self.start > ANSWER
        )

    def defers(self, slack: float) -> bool:
        """Whether the reader gives everybody time: its last proof is older by so many seconds."""
        return self.reset or self.end + slack - self.start > GAP


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which Redis' clock runs as it should: ``offset`` seconds ahead of true time.

    Ids never go back, so after a jump back they stand at ``floor`` until time has caught up.
    """

    start: float
    offset: float
    floor: float

    def stamp(self, moment: float) -> float:
        """Give the time in the id of an entry."""
        return max(moment + self.offset, self.floor)


@dataclass(slots=True)
class Weather:
    """The troubles of one fleet, in order, none touching the next."""

    end: float
    closures: list[Closure] = field(default_factory=list[Closure])
    redis_clock: list[Stretch] = field(default_factory=lambda: [Stretch(0.0, 0.0, 0.0)])
    wall_jumps: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    def stretch(self, moment: float) -> Stretch:
        """Give how Redis' clock runs at a moment."""
        index = bisect_right(self.redis_clock, moment, key=lambda stretch: stretch.start)
        return self.redis_clock[index - 1]

    def blurred(self, moment: float) -> bool:
        """Whether ids are ahead of Redis' clock at a moment, so that they tell no age."""
        stretch = self.stretch(moment)
        return stretch.floor > moment - RETENTION + stretch.offset

    def kept_since(self, moment: float) -> float:
        """Give from when on the stream has entries at a moment."""
        emptied = [c.end for c in self.closures if c.emptied and c.end <= moment]
        return max([moment - RETENTION, *emptied])

    def vanished(self, landed: float, moment: float) -> bool:
        """Whether an entry is gone at a moment, because a replica had not got it."""
        return any(
            c.lost and c.start - c.lost <= landed <= c.start and c.end <= moment
            for c in self.closures
        )


@dataclass(frozen=True, slots=True)
class Climate:
    """How often things happen, per day of a fleet."""

    outages: float = 6
    pauses: float = 4
    restarts: float = 6
    redis_jumps: float = 2
    wall_jumps: float = 2


def weather(random: Random, end: float, climate: Climate | None = None) -> Weather:
    """Draw the troubles of a fleet."""
    climate = climate or Climate()
    days = end / DAY
    kinds: list[str] = []
    for kind, rate in (
        ("outage", climate.outages),
        ("paused", climate.pauses),
        ("restarted", climate.restarts),
    ):
        kinds += [kind] * _times(random, rate * days)
    # Some follow each other within seconds: an operator that restarts as Redis comes back.
    starts = sorted(random.uniform(120.0, end) for _ in kinds)
    random.shuffle(kinds)
    drawn = Weather(end)
    free = 120.0
    for start, kind in zip(starts, kinds, strict=True):
        begun = max(start, free) if random.random() < 0.8 else max(free, _last_end(drawn) + 0.5)
        closure = _closure(random, begun, kind)
        if closure.end > end - 60:
            break
        drawn.closures.append(closure)
        free = closure.end + random.choice((0.5, 8.0, 40.0, 90.0))
    _draw_clocks(random, drawn, climate)
    return drawn


def _closure(random: Random, start: float, kind: str) -> Closure:
    if kind == "paused":
        return Closure(start, start + _long_tailed(random, 1, 120), "paused")
    if kind == "restarted":
        return Closure(start, start + _long_tailed(random, 0.5, 200), "restarted")
    end = start + _long_tailed(random, 1, 300)
    fate = random.random()
    if fate < 0.25:
        return Closure(start, end, "hung")
    if fate < 0.7:
        return Closure(start, end, "refused")
    if fate < 0.85:
        return Closure(start, end, "refused", emptied=True)
    return Closure(start, end, "refused", lost=random.uniform(0.5, 10.0))


def _draw_clocks(random: Random, drawn: Weather, climate: Climate) -> None:
    """Draw jumps of the clocks; each is set right again within half an hour."""
    days = drawn.end / DAY
    settings: list[tuple[float, float | None]] = []
    for moment, offset in _jumps(random, drawn.end, climate.redis_jumps * days):
        settings.append((moment, offset))
    settings += [(c.end, None) for c in drawn.closures if c.emptied]
    offset = 0.0
    for moment, set_to in sorted(settings, key=lambda setting: setting[0]):
        before = drawn.redis_clock[-1]
        offset = offset if set_to is None else set_to
        # A server that lost its data gives ids from its clock again.
        floor = 0.0 if set_to is None else before.stamp(moment)
        drawn.redis_clock.append(Stretch(moment, offset, floor))
    drawn.wall_jumps += _jumps(random, drawn.end, climate.wall_jumps * days)


def _jumps(random: Random, end: float, mean: float) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    free = 0.0
    for moment in sorted(random.uniform(0, end) for _ in range(_times(random, mean))):
        if moment > free:
            free = moment + _long_tailed(random, 10, 1800)
            found += [(moment, random.uniform(-3600, 3600)), (free, 0.0)]
    return found


def _last_end(drawn: Weather) -> float:
    return drawn.closures[-1].end if drawn.closures else 0.0


def _long_tailed(random: Random, least: float, most: float) -> float:
    return least * (most / least) ** random.random()


def _times(random: Random, mean: float) -> int:
    whole = int(mean)
    return whole + (random.random() < mean - whole)
