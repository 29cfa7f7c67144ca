"""The one door to the machine's clocks, so that tests can bring their own."""

import time
from dataclasses import dataclass, field
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one for durations, one for dates."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back, is not a date."""
        ...

    def now(self) -> float:
        """Seconds since the epoch; may jump."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        """Give ``CLOCK_MONOTONIC`` in seconds."""
        return time.monotonic()

    def now(self) -> float:
        """Give the wall clock in seconds since the epoch."""
        return time.time()


@dataclass
class ManualClock:
    """A clock that moves when told to. The two readings move apart only by `jump`."""

    _monotonic: float = 1000.0
    _now: float = field(default=1_795_420_800.0)

    def monotonic(self) -> float:
        """Give the set duration clock."""
        return self._monotonic

    def now(self) -> float:
        """Give the set date clock."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self._monotonic += seconds
        self._now += seconds

    def jump(self, seconds: float) -> None:
        """Set the date clock forward or back, as an administrator or NTP does."""
        self._now += seconds
