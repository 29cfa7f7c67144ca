"""How nodes fared, summed in memory and added to the stored sums now and then."""

from collections.abc import Iterable, Mapping
from typing import Final, NoReturn, Protocol

from citadel_k8s.aio.periodic import Ticker
from citadel_k8s.domain.buckets import BucketKey, Sample, Sums, summed
from citadel_k8s.errors import DatabaseError
from citadel_k8s.telemetry.log import get_logger
from citadel_k8s.worker.metrics import WorkerMetrics

_log = get_logger("worker")

FLUSH_SECONDS: Final = 15.0
"""Seconds between two additions: one row in twenty is written anew, and a killed worker loses at
most so much of a curve."""

BUCKETS_MAX: Final = 100_000
"""Buckets kept while the database is away: ten thousand nodes for fifty minutes, 60 MB."""


class Sink(Protocol):
    """Adds sums to what is stored, all or none; raises `DatabaseError`."""

    async def add(self, sums: Mapping[BucketKey, Sums]) -> None:
        """Add them."""
        ...


class History:
    """Sums of all heartbeats that counted.

    A worker that is killed loses the last seconds of its curves; a redelivered heartbeat is summed
    twice. Neither is worth a transaction for each heartbeat.

    Parameters
    ----------
    sink : Sink
        Where the sums go.
    limit : int
        Buckets kept at most; the oldest go first, and are counted in ``dropped``.
    """

    def __init__(
        self, sink: Sink, *, limit: int = BUCKETS_MAX, metrics: WorkerMetrics | None = None
    ) -> None:
        self._sink = sink
        self._metrics = metrics or WorkerMetrics()
        self._metrics.history_waiting.set_function(lambda: len(self._waiting))
        self._limit = limit
        self._waiting: dict[BucketKey, Sums] = {}
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, samples: Iterable[Sample]) -> None:
        """Take heartbeats into account; cheap."""
        self._merge(summed(samples))

    async def run(self) -> NoReturn:
        """Flush until cancelled."""
        ticker = Ticker(FLUSH_SECONDS)
        while True:
            await ticker.wait()
            await self.flush()

    async def flush(self) -> None:
        """Add what waits; it waits on if the database is away."""
        taken, self._waiting = self._waiting, {}
        if not taken:
            return
        added = False
        try:
            await self._sink.add(taken)
            added = True
        except DatabaseError as error:
            _log.warning("history is not stored yet", buckets=len(taken), error=str(error))
        finally:
            if not added:
                self._merge(taken)

    def _merge(self, sums: Mapping[BucketKey, Sums]) -> None:
        for key, more in sums.items():
            known = self._waiting.get(key)
            if known is None:
                self._waiting[key] = more
            else:
                known.merge(more)
        if len(self._waiting) > self._limit:
            surplus = len(self._waiting) - self._limit
            for key in sorted(self._waiting, key=lambda key: key.bucket_ms)[:surplus]:
                del self._waiting[key]
            self.dropped += surplus
            self._metrics.history_dropped.inc(surplus)
