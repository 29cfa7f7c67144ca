"""Arrival collapse: so many nodes fall silent at once that the way may be what broke, not they.

A collapse is no verdict. While it lasts, nobody goes Offline for silence alone; who does for other
reasons still counts as silent, or a collapse would end by being believed.
"""

from dataclasses import dataclass, replace
from typing import Final

COLLAPSE_SHARE: Final = 0.55
"""Share of the nodes alive before whose silence at once is a collapse: more than half cannot be
chance, and half of a fleet behind one switch may be the switch."""

RECOVERED_SHARE: Final = 0.30
"""Share below which a collapse is over: far enough from where it began for it not to flutter while
a fleet returns within one interval."""

LATE_MIN: Final = 3
"""Nodes that have to be late for a collapse: of two, both may well be switched off together."""

UNDECIDED_SHARE: Final = 0.10
"""Share of the living that may be late while a collapse counts as settled: the rest has gone
Offline with evidence, and a few late ones there are in any large fleet."""

RELEASE_SECONDS: Final = 600.0
"""Seconds in which a whole fleet without evidence goes Offline once its time is up: slow enough
for somebody who reads of the collapse to look, fast enough that "Online" is no lie all day."""

RELEASE_PACE_MAX: Final = 60.0
"""Most seconds between two such releases: a fleet of three is not held for ten minutes."""

RANKS: Final = 3
"""Kinds of nodes without evidence, from those that most speaks against (0) to those that least
does; released in this order."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The fleet at one moment.

    Attributes
    ----------
    alive
        Nodes Online or Degraded, the late ones among them.
    late
        Those of them that have been silent for one and a half intervals.
    fallen
        Nodes that went Offline in this collapse and have not spoken since.
    quiet
        Whether nobody at all was heard for as long as makes the quickest of the late ones late.
    """

    alive: int
    late: int
    fallen: int = 0
    quiet: bool = False

    @property
    def share(self) -> float:
        """Share of the nodes alive before that is silent; 0 of none."""
        before = self.alive + self.fallen
        return (self.late + self.fallen) / before if before else 0.0

    @property
    def collapsed(self) -> bool:
        """Whether this alone is a collapse."""
        return self.late >= LATE_MIN and (self.quiet or self.late >= COLLAPSE_SHARE * self.alive)

    @property
    def settled(self) -> bool:
        """Whether hardly anybody's silence is undecided."""
        return self.late < max(LATE_MIN, UNDECIDED_SHARE * self.alive)


@dataclass(frozen=True, slots=True)
class Collapse:
    """Whether a collapse is going on. Moments are monotonic seconds, None for "not so"."""

    since: float | None = None
    settled_at: float | None = None
    ended_at: float | None = None

    @property
    def going_on(self) -> bool:
        """Whether silence alone proves nothing now."""
        return self.since is not None


def watched(before: Collapse, seen: Arrivals, now: float, settle: float) -> Collapse:
    """Give what is known of a collapse after a look at the fleet.

    Parameters
    ----------
    before : Collapse
        What was known.
    seen : Arrivals
        The fleet now; ``fallen`` counts from the beginning of the collapse that is going on.
    now : float
        Monotonic seconds.
    settle : float
        Seconds for which hardly anybody may be undecided before a collapse is over that did not
        end by the nodes' return.
    """
    if not before.going_on:
        return replace(before, since=now, settled_at=None) if seen.collapsed else before
    if seen.collapsed:
        return replace(before, settled_at=None)
    if seen.share < RECOVERED_SHARE:
        return Collapse(ended_at=now)
    if not seen.settled:
        return replace(before, settled_at=None)
    if before.settled_at is None:
        return replace(before, settled_at=now)
    return Collapse(ended_at=now) if now - before.settled_at >= settle else before


class Releases:
    """When each held node without evidence may go Offline, at a bounded rate, worst first.

    Of one collapse: the next one begins with a new object.
    """

    def __init__(self) -> None:
        self._moments: dict[str, float] = {}
        self._last = [float("-inf")] * RANKS

    def moment(self, node_id: str, rank: int, now: float, fleet: int) -> float:
        """Give a node its moment; the same at each call, whatever its rank is later.

        Parameters
        ----------
        rank : int
            From 0, what speaks most against it, to ``RANKS - 1``.
        now : float
            Monotonic seconds.
        fleet : int
            Nodes alive before the collapse; the more, the faster.
        """
        known = self._moments.get(node_id)
        if known is not None:
            return known
        pace = min(RELEASE_PACE_MAX, RELEASE_SECONDS / max(1, fleet))
        place = max(0, min(rank, RANKS - 1))
        self._last[place] = max(now, max(self._last[: place + 1]) + pace)
        self._moments[node_id] = self._last[place]
        return self._last[place]
