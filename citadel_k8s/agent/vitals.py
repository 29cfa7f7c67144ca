"""How the agent itself is: its loop and its way out."""

import asyncio
from collections.abc import Callable
from typing import Final

from citadel_k8s.aio.outbox import Freshness
from citadel_k8s.aio.periodic import Ticker

LAG_INTERVAL: Final = 15.0
"""Seconds between two looks at the loop's lateness: as often as a metric is scraped."""


class Vitals:
    """Figures of the agent's own health.

    Parameters
    ----------
    freshness : callable or None
        Gives the state of the way out; None where nothing is sent.
    waiting : callable
        Gives how many messages wait.
    """

    def __init__(
        self,
        freshness: Callable[[], Freshness] | None = None,
        waiting: Callable[[], int] = lambda: 0,
        seq: Callable[[], int] = lambda: 0,
        *,
        transport: str = "none",
    ) -> None:
        self._freshness = freshness
        self._waiting = waiting
        self._seq = seq
        self.transport = transport
        self.loop_lag = 0.0

    @property
    def freshness(self) -> Freshness | None:
        """State of the way out; None where nothing is sent."""
        return None if self._freshness is None else self._freshness()

    @property
    def waiting(self) -> int:
        """How many messages wait to be sent."""
        return self._waiting()

    @property
    def seq(self) -> int:
        """Number of the last heartbeat; 0 before the first."""
        return self._seq()

    async def watch_loop(self) -> None:
        """Measure how late timers fire, for ever."""
        loop = asyncio.get_running_loop()
        ticker = Ticker(LAG_INTERVAL, phase=loop.time())
        while True:
            tick = await ticker.wait()
            if tick is not None:
                self.loop_lag = tick.late
