"""Each source is read on a grid of its own, and whoever wants it fresh shares one reading."""

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from citadel_k8s.aio.periodic import Ticker
from citadel_k8s.collectors.base import Collector
from citadel_k8s.collectors.lines import clean
from citadel_k8s.models.readings import Absent, Failed, Outcome
from citadel_k8s.telemetry.log import get_logger

log = get_logger("agent")

T = TypeVar("T")

COLLECT_INTERVAL: Final = 15.0
"""Seconds between two readings of a source that is to be looked at often, if heartbeats are not
closer than that: an engine that is down is on the way within fifteen seconds."""

COLLECT_LIMIT: Final = 40.0
"""Seconds after which a reading is given up whatever the collector promised; each bounds itself
well below."""


class SourceLoop(Generic[T]):
    """Reads one source again and again.

    Parameters
    ----------
    collector : Collector
        The source.
    learn : callable
        Takes each answer and the seconds that it took.
    interval, phase : float
        The grid, in seconds.
    rest : int
        Grid moments left out after an answer that there is nothing to read: a driver may appear,
        but a node without one should not pay for being asked.
    """

    def __init__(
        self,
        collector: Collector[T],
        learn: Callable[[Outcome[T], float], None],
        *,
        interval: float,
        phase: float = 0.0,
        rest: int = 0,
    ) -> None:
        self._collector = collector
        self._learn = learn
        self._rest = rest
        self.retime(interval, phase)
        self._wanted = asyncio.Event()
        self._done = asyncio.Condition()
        self._readings = 0
        self._reading = False
        self._nothing = False

    @property
    def name(self) -> str:
        """Name of the source."""
        return self._collector.name

    async def run(self) -> None:
        """Read now, then at each grid moment or when wanted, for ever."""
        while True:
            self._wanted.clear()
            await self.read()
            ticker = self._seldom if self._nothing else self._ticker
            await ticker.wait(early=self._wanted)

    def want(self) -> None:
        """Ask for a reading soon, and wait for none."""
        self._wanted.set()

    def retime(self, interval: float, phase: float) -> None:
        """Read on another grid from the next reading on."""
        self._ticker = Ticker(interval, phase=phase)
        self._seldom = Ticker((1 + self._rest) * interval, phase=phase)

    async def refresh(self) -> None:
        """Wait for a reading that ends after now; ask for one if none is on its way."""
        async with self._done:
            seen = self._readings
            if not self._reading:
                self._wanted.set()
            await self._done.wait_for(lambda: self._readings > seen)

    async def close(self) -> None:
        """Close the source."""
        await self._collector.close()

    async def read(self) -> None:
        """Read once and hand the answer over."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._reading = True
        outcome: Outcome[T]
        try:
            async with asyncio.timeout(COLLECT_LIMIT):
                outcome = await self._collector.collect()
        except TimeoutError:
            outcome = Failed("Unresponsive", f"no answer within {COLLECT_LIMIT:g} s")
        except Exception as error:
            # A defect in one source must not silence the node; its heartbeat tells of it.
            log.exception("collector_error", source=self.name)
            outcome = Failed("CollectorError", clean(f"{type(error).__name__}: {error}"))
        self._nothing = isinstance(outcome, Absent)
        self._tell(outcome, loop.time() - started)
        async with self._done:
            self._reading = False
            self._readings += 1
            self._done.notify_all()

    def _tell(self, outcome: Outcome[T], duration: float) -> None:
        try:
            self._learn(outcome, duration)
        except Exception as error:
            # So is a defect in what is made of a reading.
            log.exception("collector_error", source=self.name)
            text = clean(f"{type(error).__name__}: {error}")
            self._learn(Failed("CollectorError", text), duration)
