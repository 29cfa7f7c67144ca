"""Reads the stream and takes in what comes, a batch after the other."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from citadel_k8s.aio.backoff import Backoff
from citadel_k8s.aio.clock import Clock
from citadel_k8s.errors import DatabaseError, StreamError
from citadel_k8s.stores.entries import Entry
from citadel_k8s.stores.statusgroup import GroupGoneError, StatusGroup
from citadel_k8s.telemetry.log import RepeatLog, get_logger
from citadel_k8s.worker.metrics import WorkerMetrics
from citadel_k8s.worker.writing import Writer

_log = get_logger("worker")

BLOCK: Final = 2.0
"""Seconds that a read waits for the first entry, and how long an idle worker takes to stop."""

GATHER: Final = 0.025
"""Seconds between two reads at the stream's end: gathers what many nodes send into one transaction,
each of which costs 5 ms of CPU. A backlog is read without a pause."""

PAUSE_FIRST: Final = 0.2
"""Seconds before something that failed is tried again, doubled each time."""

PAUSE_MAX: Final = 5.0
"""Longest such pause before chance lengthens it, in seconds."""


@dataclass(slots=True)
class Reader:
    """Reads until it is told to stop.

    Parameters
    ----------
    group : StatusGroup
        Where entries come from.
    writer : Writer
        Who takes them in.
    clock : Clock
        The worker's clock.
    metrics : WorkerMetrics
        What is counted.
    batch : int
        Entries read at once.
    """

    group: StatusGroup
    writer: Writer
    clock: Clock
    metrics: WorkerMetrics
    batch: int
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: str | None = "has not read yet"
    turned_at: float | None = None
    _backoff: Backoff = field(default_factory=lambda: Backoff(PAUSE_FIRST, PAUSE_MAX))
    _repeats: RepeatLog | None = None

    async def run(self) -> None:
        """Read until told to stop, and say when that is done; runs until cancelled."""
        await self._until_stopped()
        self.finished.set()
        await asyncio.Event().wait()

    async def _until_stopped(self) -> None:
        """Take in what was left unconfirmed under this name, then what comes."""
        after = "0"
        own = True
        while not self.stopping.is_set():
            self.turned_at = self.clock.monotonic()
            try:
                if own:
                    after = await self._own(after)
                    own = bool(after)
                    continue
                entries = await self.group.read(self.batch, BLOCK)
            except GroupGoneError:
                await self._make_group()
            except StreamError as error:
                await self._failed("redis", error)
            else:
                self._well()
                await self._take(entries)

    async def _own(self, after: str) -> str:
        """Take in a batch of what this worker left when it was called the same before."""
        entries, gone = await self.group.own(self.batch, after)
        if gone:
            self.metrics.lost.labels(how="pending").inc(len(gone))
            await self.group.confirm(gone)
        if entries:
            await self.take(entries, again=True)
        last = max((*(entry.id for entry in entries), *gone), default=None)
        return "" if last is None else str(last)

    async def _take(self, entries: Sequence[Entry]) -> None:
        if entries:
            await self.take(entries)
        if len(entries) < self.batch // 4:
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER):
                    await self.stopping.wait()

    async def take(self, entries: Sequence[Entry], *, again: bool = False) -> None:
        """Take entries in and confirm them, however long a server is away.

        When it is to stop meanwhile they stay unconfirmed, for another worker.
        """
        began = self.clock.monotonic()
        while True:
            self.turned_at = self.clock.monotonic()
            try:
                await self.writer.take(entries, again=again)
                await self.group.confirm([entry.id for entry in entries])
            except StreamError as error:
                await self._failed("redis", error)
            except DatabaseError as error:
                await self._failed("postgres", error)
            else:
                self._well()
                self.metrics.batch_seconds.observe(self.clock.monotonic() - began)
                return
            if self.stopping.is_set():
                return
            # It may be that all was done but the confirmation.
            again = True

    async def _make_group(self) -> None:
        try:
            await self.group.ensure()
        except StreamError as error:
            await self._failed("redis", error)

    async def _failed(self, peer: str, error: Exception) -> None:
        self.trouble = str(error)
        self.metrics.failures.labels(peer=peer).inc()
        log = self._repeats = self._repeats or RepeatLog(_log, "cannot_take_in", clock=self.clock)
        log.failed(peer=peer, error=str(error))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._backoff.pause()):
                await self.stopping.wait()

    def _well(self) -> None:
        self.trouble = None
        self._backoff.reset()
        if self._repeats is not None:
            self._repeats.recovered()
