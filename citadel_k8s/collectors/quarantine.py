"""Calls that hung are left out for a while, longer each time."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.collectors.base import Pair
from citadel_k8s.collectors.lines import WHOLE_GPU

QUARANTINE_FIRST: Final = 60.0
"""Seconds that a call is left out after it hung once. A retry costs one child process and the
patience given to a call, so at most a tenth of the time goes into it."""

QUARANTINE_MAX: Final = 3600.0
"""Longest time that a call is left out, in seconds: recovery without a restart within the hour."""


@dataclass(slots=True)
class _Entry:
    why: str
    until: float
    pause: float


class Quarantine:
    """Which pairs of GPU and call are left out, and why.

    Parameters
    ----------
    clock : Clock
        What measures the pauses.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[Pair, _Entry] = {}

    def hung(self, pair: Pair, why: str) -> None:
        """Leave this pair out; with a second call on the same GPU, the whole GPU."""
        gpu = pair[0]
        if gpu is not None and any(g == gpu and p != pair[1] for g, p in self._entries):
            pair = (gpu, WHOLE_GPU)
        before = self._entries.get(pair)
        pause = min(QUARANTINE_MAX, before.pause * 2) if before else QUARANTINE_FIRST
        self._entries[pair] = _Entry(why, self._clock.monotonic() + pause, pause)

    def active(self) -> dict[Pair, str]:
        """Give the pairs to leave out now, each with the reason."""
        now = self._clock.monotonic()
        return {pair: entry.why for pair, entry in self._entries.items() if now < entry.until}

    def due(self) -> list[Pair]:
        """Give the pairs whose time is over: they hung once and may be tried again."""
        now = self._clock.monotonic()
        return [pair for pair, entry in self._entries.items() if now >= entry.until]

    def answered(self, pairs: Iterable[Pair]) -> None:
        """Forget what was tried again and answered."""
        for pair in pairs:
            entry = self._entries.get(pair)
            if entry is not None and self._clock.monotonic() >= entry.until:
                del self._entries[pair]
