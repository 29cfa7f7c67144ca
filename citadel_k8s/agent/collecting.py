"""All sources of an agent, each read on a grid of its own."""

import asyncio
from collections.abc import Callable, Coroutine
from math import ceil
from typing import Any, Final, TypeVar

from citadel_k8s.agent.board import Board
from citadel_k8s.agent.sources import COLLECT_INTERVAL, SourceLoop
from citadel_k8s.agent.wiring import Collectors
from citadel_k8s.collectors.base import Collector
from citadel_k8s.domain.keys import heartbeat_phase
from citadel_k8s.models.readings import GpuEvent, Gpus, Outcome
from citadel_k8s.telemetry.log import get_logger

log = get_logger("agent")

T = TypeVar("T")

QUICK_SOURCES: Final = frozenset({"engines"})
"""Sources that tell nothing by themselves and fail within a moment. GPUs are none: what befalls
one the driver tells at once, and they are read then."""

SLOW_INTERVAL: Final = 30.0
"""Seconds between two readings of the others, if heartbeats are not closer than that."""

FRESH_SOURCES: Final = ("host", "nvml", "fake-gpu", "drm", "engines", "processes")
"""Sources that are read for whoever asks for a fresh status."""

EVENT_PAUSE: Final = 1.0
"""Seconds after a driver's event at which the GPUs are read: what it did to them is seen then,
and a storm of events makes one reading a second."""

LEAD: Final = 1.0
"""Seconds by which a reading precedes the heartbeat that carries it."""

REST: Final = 1
"""Readings left out where there was nothing to read: what appears is seen in a minute. Not of a GPU
driver, which has to be seen at the next reading."""


class Collecting:
    """Reads the sources onto the board.

    Parameters
    ----------
    collectors : Collectors
        Where the readings come from; closed by `closers`.
    board : Board
        What is known.
    """

    def __init__(self, collectors: Collectors, board: Board) -> None:
        self._board = board
        self._loops: dict[str, SourceLoop[Any]] = {}
        self._gpus = collectors.gpus.name
        self._look_soon: asyncio.TimerHandle | None = None
        self._events: list[GpuEvent] = []
        self._add(collectors.host, board.learn_host)
        self._add(collectors.gpus, self._learn_gpus, rest=0)
        self._add(collectors.engines, board.learn_engines)
        self._add(collectors.drm, board.learn_drm)
        self._add(collectors.pods, board.learn_pods)
        self._add(collectors.processes, board.learn_processes)
        self._add(collectors.containers, board.learn_containers)
        collectors.feed.bind(board, self._learn_event)

    def jobs(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """Give what runs for ever, by name."""
        return {f"collect {name}": loop.run for name, loop in self._loops.items()}

    def closers(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """Give what closes the sources."""
        return [loop.close for loop in self._loops.values()]

    async def read(self) -> None:
        """Read every source once, and again those that can look at what the others named."""
        await self.look()
        await self._read("processes")
        await self._read("engines")

    async def look(self) -> None:
        """Read every source once, each with what the others named before."""
        await self._read(*self._loops)

    async def refresh(self) -> None:
        """Wait for readings that end after now, of what can be read in a moment."""
        async with asyncio.TaskGroup() as group:
            for name in FRESH_SOURCES:
                if name in self._loops:
                    group.create_task(self._loops[name].refresh(), name=f"refresh {name}")

    async def refresh_engines(self) -> None:
        """Wait for a reading of the engines that ends after now."""
        await self._loops["engines"].refresh()

    def reconfigured(self) -> None:
        """Take the speaker's interval as the new one, and ask the engines anew."""
        for name, loop in self._loops.items():
            loop.retime(*self._grid(name))
        self._loops["engines"].want()

    def _add(
        self,
        collector: Collector[T] | None,
        learn: Callable[[Outcome[T], float], None],
        *,
        rest: int = REST,
    ) -> None:
        if collector is not None:
            every, phase = self._grid(collector.name)
            loop = SourceLoop(collector, learn, interval=every, phase=phase, rest=rest)
            self._loops[collector.name] = loop

    def _grid(self, source: str) -> tuple[float, float]:
        """Give the interval and the phase of a source's readings."""
        interval = self._board.speaker.interval_seconds
        most = COLLECT_INTERVAL if source in QUICK_SOURCES else SLOW_INTERVAL
        # A whole number of readings to a heartbeat, the last one just before it.
        every = interval / ceil(interval / most)
        return every, heartbeat_phase(self._board.speaker.node_id, interval) - LEAD

    def _learn_gpus(self, outcome: Outcome[Gpus], duration: float) -> None:
        before = set(self._board.gpu_pids())
        self._board.learn_gpus(outcome, duration)
        if "processes" in self._loops and not before.issuperset(self._board.gpu_pids()):
            self._loops["processes"].want()

    def _learn_event(self, event: GpuEvent) -> None:
        # What came in one piece is taken in one: a storm of errors must not hold the loop up.
        if not self._events:
            asyncio.get_running_loop().call_soon(self._learn_events)
        self._events.append(event)

    def _learn_events(self) -> None:
        events, self._events = self._events, []
        try:
            self._board.learn_events(*events)
        except Exception:
            # The GPUs are looked at all the same, and the child that told is not to blame.
            log.exception("event_failed")
        if self._look_soon is None:
            loop = asyncio.get_running_loop()
            self._look_soon = loop.call_later(EVENT_PAUSE, self._look_at_gpus)

    def _look_at_gpus(self) -> None:
        self._look_soon = None
        self._loops[self._gpus].want()

    async def _read(self, *names: str) -> None:
        async with asyncio.TaskGroup() as group:
            for name in names:
                if name in self._loops:
                    group.create_task(self._loops[name].read(), name=f"read {name}")
