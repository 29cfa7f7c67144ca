"""What keeps the database from growing: days made ahead and dropped, and what is over swept out."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from citadel_k8s.aio.clock import Clock
from citadel_k8s.config.server import Retention
from citadel_k8s.errors import DatabaseError
from citadel_k8s.stores.postgres import leftovers, partitions
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.telemetry.log import get_logger
from citadel_k8s.worker.metrics import WorkerMetrics

_log = get_logger("worker")

EVERY: Final = 3600.0
"""Seconds between two rounds; partitions are ready days ahead."""

AGAIN: Final = 60.0
"""Seconds until the next round after one that failed."""

JITTER: Final = 0.1
"""Share by which a wait is longer, at most, so that replicas are not at it together."""

Round = Callable[[], Awaitable[None]]


class Housekeeping:
    """Does a round now and then; any number of workers may.

    Parameters
    ----------
    round_ : callable
        One round; raises `DatabaseError`. See `rounds`.
    """

    def __init__(
        self,
        round_: Round,
        *,
        chance: random.Random | None = None,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._round = round_
        self._metrics = metrics or WorkerMetrics()
        self._chance = chance or random.Random()  # noqa: S311 - spreads waits
        self.failures = 0
        self.done = 0

    async def run(self) -> NoReturn:
        """Begin at once and go on until cancelled."""
        while True:
            wait = EVERY if await self.once() else AGAIN
            await asyncio.sleep(wait * (1 + self._chance.uniform(0, JITTER)))

    async def once(self) -> bool:
        """Do one round; False if it failed."""
        try:
            await self._round()
        except DatabaseError as error:
            self.failures += 1
            self._metrics.housekeeping.labels("failed").inc()
            _log.warning("housekeeping failed; it is tried again soon", error=str(error))
            return False
        self.done += 1
        self._metrics.housekeeping.labels("done").inc()
        return True


def rounds(database: Database, clock: Clock, retention: Retention) -> Round:
    """Give what one round is on a database."""

    async def one() -> None:
        now = clock.now()
        made = await partitions.ensure(database, now)
        dropped = await partitions.drop_expired(database, now, retention)
        gone = await leftovers.sweep(database)
        if made.changed or dropped.changed or gone:
            _log.info(
                "housekeeping",
                made=len(made.changed),
                dropped=len(dropped.changed),
                postponed=len(made.postponed) + len(dropped.postponed),
                leftovers=gone,
            )

    return one
