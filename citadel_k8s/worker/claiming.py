"""Inherits what other workers left, trims the stream, and tidies the group up."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.frontier import trim_below
from citadel_k8s.errors import DatabaseError, StreamError
from citadel_k8s.stores.entries import Entry
from citadel_k8s.stores.statusgroup import DELIVERIES_MAX, StatusGroup
from citadel_k8s.stores.statusletters import Letter, StatusLetters
from citadel_k8s.telemetry.log import RepeatLog, get_logger
from citadel_k8s.worker.looking import Looker
from citadel_k8s.worker.metrics import WorkerMetrics
from citadel_k8s.worker.reading import Reader

_log = get_logger("worker")

EVERY: Final = 30.0
"""Seconds between two rounds, before chance changes it by a tenth. Source: the design."""


@dataclass(slots=True)
class Claims:
    """Makes the round.

    Parameters
    ----------
    group : StatusGroup
        Whose entries.
    reader : Reader
        Takes them in.
    letters : StatusLetters
        Takes those that nobody can.
    looker : Looker
        Knows the stream's epoch.
    metrics : WorkerMetrics
        What is counted.
    clock : Clock
        The worker's clock.
    trim : bool
        Whether old entries are dropped.
    every : float
        Seconds between two rounds.
    """

    group: StatusGroup
    reader: Reader
    letters: StatusLetters
    looker: Looker
    metrics: WorkerMetrics
    clock: Clock
    trim: bool
    every: float = EVERY
    chance: Callable[[], float] = random.random

    async def run(self) -> None:
        """Make the round until cancelled."""
        repeats = RepeatLog(_log, "cannot_make_the_round", clock=self.clock)
        while True:
            await asyncio.sleep(self.every * (0.9 + 0.2 * self.chance()))
            # Who cannot take in its own must not wear out what others hold: five deliveries to
            # workers without a database would make dead letters of the healthiest entries.
            if self.reader.trouble is not None or self.looker.trouble is not None:
                continue
            try:
                await self.once()
            except (StreamError, DatabaseError) as error:
                repeats.failed(error=str(error))
            else:
                repeats.recovered()

    async def once(self) -> None:
        """Make one round."""
        await self._inherit()
        await self.group.bury_consumers()
        if self.trim:
            below = trim_below(await self.group.now_ms(), await self.group.unread())
            self.metrics.trimmed.inc(await self.group.trim(below))
        self.metrics.letters_kept.set(await self.letters.count())

    async def _inherit(self) -> None:
        after: str | None = "0-0"
        while after is not None and not self.reader.stopping.is_set():
            found = await self.group.inherit(after)
            after = found.after
            if found.lost:
                self.metrics.lost.labels(how="pending").inc(found.lost)
                _log.warning("entries_lost", count=found.lost)
            if found.worn:
                await self._bury(found.worn)
            if found.entries:
                self.metrics.claimed.inc(len(found.entries))
                await self.reader.take(found.entries, again=True)

    async def _bury(self, worn: list[Entry]) -> None:
        epoch = self.looker.epoch
        detail = f"taken more than {DELIVERIES_MAX} times and never confirmed"
        await self.letters.append([Letter(one, epoch, "Undeliverable", detail) for one in worn])
        self.metrics.entries.labels(result="letter").inc(len(worn))
        self.metrics.letters.labels(reason="Undeliverable").inc(len(worn))
        await self.group.confirm([entry.id for entry in worn])
