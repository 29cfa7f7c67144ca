"""Ticks on a fixed grid: they never drift, and a late one is dropped instead of queued."""

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass


def next_tick(now: float, interval: float, phase: float = 0.0) -> float:
    """Give the first moment after ``now`` of the grid ``phase + k * interval``, in seconds."""
    step = math.floor((now - phase) / interval) + 1
    tick = phase + step * interval
    # Rounding may put the quotient on the wrong side of a grid line.
    return tick if tick > now else tick + interval


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick: when it was due, how late it came and how many before it were dropped."""

    at: float
    late: float
    dropped: int


class Ticker:
    """Waits from grid moment to grid moment of the loop's clock.

    Parameters
    ----------
    interval : float
        Seconds between two moments.
    phase : float
        Offset of the grid, in seconds.
    """

    def __init__(self, interval: float, *, phase: float = 0.0) -> None:
        self._interval = interval
        self._phase = phase
        self._last: float | None = None

    async def wait(self, early: asyncio.Event | None = None) -> Tick | None:
        """Sleep until the next grid moment; those that passed meanwhile are dropped.

        Parameters
        ----------
        early : asyncio.Event or None
            Ends the wait before the tick when set; the answer is None then, and the tick is
            still to come.
        """
        loop = asyncio.get_running_loop()
        at = self._next(loop.time())
        if early is None:
            await asyncio.sleep(at - loop.time())
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(at):
                    await early.wait()
                return None
        dropped = self._dropped(at)
        self._last = at
        return Tick(at, max(0.0, loop.time() - at), dropped)

    def _next(self, now: float) -> float:
        at = next_tick(now, self._interval, self._phase)
        if self._last is not None and at <= self._last:
            # A timer may fire a hair early; the same moment is not given twice.
            return self._last + self._interval
        return at

    def _dropped(self, at: float) -> int:
        if self._last is None:
            return 0
        return max(0, round((at - self._last) / self._interval) - 1)
