"""Looks at the stream once a second, and writes down how far it was taken in."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.frontier import Progress, View
from citadel_k8s.errors import DatabaseError, StreamError
from citadel_k8s.stores.entries import Entry
from citadel_k8s.stores.postgres.ingests import Ingests
from citadel_k8s.stores.statusgroup import GroupGoneError, StatusGroup
from citadel_k8s.telemetry.log import RepeatLog, get_logger
from citadel_k8s.worker.metrics import WorkerMetrics

_log = get_logger("worker")

EVERY: Final = 1.0
"""Seconds between two looks: how much later than its timeout a silent node is found. One costs
each server a millisecond."""

PROOF_MAX: Final = 10.0
"""Seconds without a look after which this worker is not ready."""


@dataclass(slots=True)
class Looker:
    """Knows how far the stream was taken in.

    Parameters
    ----------
    group : StatusGroup
        What is looked at.
    ingests : Ingests
        Where it is written down.
    clock : Clock
        The worker's clock.
    metrics : WorkerMetrics
        What is counted.
    """

    group: StatusGroup
    ingests: Ingests
    clock: Clock
    metrics: WorkerMetrics
    known: Progress | None = None
    trouble: str | None = None
    _view: View | None = None
    _looked_at: float | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def epoch(self) -> int:
        """The stream's epoch, as of the last look."""
        return self.known.epoch if self.known else 0

    def proof_age(self) -> float | None:
        """Give the seconds since the last look; None before the first."""
        return None if self._looked_at is None else self.clock.monotonic() - self._looked_at

    async def run(self) -> None:
        """Look until cancelled."""
        repeats = RepeatLog(_log, "cannot_look", clock=self.clock)
        while True:
            try:
                await self.look()
            except (StreamError, DatabaseError) as error:
                self.trouble = str(error)
                repeats.failed(error=str(error))
            else:
                self.trouble = None
                repeats.recovered()
            await asyncio.sleep(EVERY)

    async def look(self) -> Progress:
        """Look now. StreamError or DatabaseError if a server is away."""
        async with self._turn:
            if self.known is None:
                self.known = await self.ingests.read()
            view = await self._seen()
            lost = self._lost(view)
            before = self.known
            now = await self.ingests.looked(view, before=before, lost=lost > 0)
            self.known, self._view, self._looked_at = now, view, self.clock.monotonic()
        self._tell(before, now, view, lost)
        return now

    async def epoch_of(self, entries: Sequence[Entry]) -> int:
        """Give the epoch of entries that were read just now, or a while ago.

        Entries that come after all that is known are of the present epoch. Others may be of a
        stream that began anew unnoticed, or of the one before.
        """
        newest = max(tuple(entry.id) for entry in entries)
        if self.known is not None and newest >= self.known.last:
            return self.known.epoch
        now = await self.look()
        view = self._view
        return now.epoch - 1 if view is not None and newest > view.last and now.epoch else now.epoch

    async def _seen(self) -> View:
        try:
            return await self.group.look()
        except GroupGoneError:
            await self.group.ensure()
            return await self.group.look()

    def _lost(self, view: View) -> int:
        before = self._view.lost if self._view else view.lost
        return max(0, (view.lost or 0) - (before or 0))

    def _tell(self, before: Progress | None, now: Progress, view: View, lost: int) -> None:
        metrics = self.metrics
        metrics.lag.set(max(0, view.now_ms - now.frontier_ms) / 1000)
        metrics.pending.set(view.pending_count)
        metrics.waiting.set(float("nan") if view.waiting is None else view.waiting)
        metrics.stream_length.set(view.length)
        if lost:
            metrics.lost.labels(how="unread").inc(lost)
            _log.warning("entries_lost", count=lost)
        if before is None:
            return
        if now.epoch != before.epoch:
            metrics.epochs.inc()
            _log.warning("stream_began_anew", epoch=now.epoch)
        if now.clear_since_ms != before.clear_since_ms:
            metrics.gaps.inc()
            _log.info("silence_counts_anew", since_ms=now.clear_since_ms)
