"""Takes entries in: written in one transaction, told, and what cannot be written put aside."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.ingest import Course, Word, arrivals_of, coalesced
from citadel_k8s.errors import StreamError
from citadel_k8s.stores.entries import Entry
from citadel_k8s.stores.postgres.events import Kept
from citadel_k8s.stores.postgres.statuses import (
    EpochMovedError,
    Key,
    RowsRefusedError,
    Statuses,
    Won,
)
from citadel_k8s.stores.statusletters import Letter, StatusLetters
from citadel_k8s.worker.judging import Judge
from citadel_k8s.worker.looking import Looker
from citadel_k8s.worker.metrics import WorkerMetrics
from citadel_k8s.worker.telling import Teller

ADOPTED_SECONDS: Final = 60.0
"""Seconds that a node's row is believed to be there; one that is not is noticed all the same."""

ADOPTED_MAX: Final = 100_000
"""Nodes remembered; beyond that all are made sure of anew."""

EPOCH_TRIES: Final = 3
"""Times that a batch is written as of another epoch: it moves once in a failover."""


class History(Protocol):
    """Who keeps figures over time; `worker.history` does."""

    def add(self, words: Sequence[Word]) -> None:
        """Take messages that were written, in the order of their entries; returns at once."""
        ...


@dataclass(slots=True)
class Outcome:
    """What became of entries."""

    won: list[Won] = field(default_factory=list[Won])
    events: list[Kept] = field(default_factory=list[Kept])
    letters: list[Letter] = field(default_factory=list[Letter])
    nodes: int = 0


@dataclass(slots=True)
class Writer:
    """Takes entries in.

    Parameters
    ----------
    judge : Judge
        Reads them.
    statuses : Statuses
        Writes rows.
    letters : StatusLetters
        Takes what cannot be taken in.
    teller : Teller
        Tells orgs.
    looker : Looker
        Knows the stream's epoch.
    metrics : WorkerMetrics
        What is counted.
    clock : Clock
        The worker's clock.
    interval : float
        Heartbeat of nodes that name none, in seconds.
    adopt : bool
        Whether nodes that are in no table get a row.
    history : History or None
        Who keeps figures over time.
    """

    judge: Judge
    statuses: Statuses
    letters: StatusLetters
    teller: Teller
    looker: Looker
    metrics: WorkerMetrics
    clock: Clock
    interval: float
    adopt: bool
    history: History | None = None
    _adopted: dict[Key, float] = field(default_factory=dict[Key, float])

    async def take(
        self,
        entries: Sequence[Entry],
        *,
        again: bool = False,
        epoch: int | None = None,
        bury: bool = True,
    ) -> Outcome:
        """Take entries in, so far that they can be confirmed.

        Parameters
        ----------
        entries : sequence of Entry
            In their order.
        again : bool
            Whether somebody may have taken them in before.
        epoch : int or None
            The stream's epoch that they are of; found out if None.
        bury : bool
            Whether those that cannot be taken in become dead letters.

        Raises
        ------
        DatabaseError, StreamError
            If a server is away; then all of them are to be taken in again.
        """
        for _ in range(EPOCH_TRIES):
            of = await self.looker.epoch_of(entries) if epoch is None else epoch
            try:
                return await self._take(entries, of, again=again, bury=bury)
            except EpochMovedError:
                await self.looker.look()
        raise StreamError("the stream begins anew again and again")

    async def _take(
        self, entries: Sequence[Entry], epoch: int, *, again: bool, bury: bool
    ) -> Outcome:
        words, letters = await self.judge.sort(entries, epoch)
        outcome = Outcome(letters=letters)
        await self._write(words, outcome, again=again)
        if bury:
            await self.letters.append(outcome.letters)
        arrivals = arrivals_of(word for _, word in words)
        await self.teller.tell(outcome.won, outcome.events, arrivals)
        if self.history is not None and not again:
            self.history.add([word for _, word in words])
        self._count(len(words), outcome)
        return outcome

    async def _write(
        self, words: Sequence[tuple[Entry, Word]], outcome: Outcome, *, again: bool
    ) -> None:
        """Write messages; where the database refuses them, halves of them, down to the one."""
        if not words:
            return
        courses = coalesced((word for _, word in words), interval=self.interval)
        try:
            unknown = await self._upsert(courses, outcome, again=again)
        except RowsRefusedError as error:
            if len(words) == 1:
                entry, word = words[0]
                letter = Letter(entry, word.position.epoch, "Refused", str(error))
                outcome.letters.append(letter)
                return
            half = len(words) // 2
            # In their order: what a message did to the row is what the next one finds.
            await self._write(words[:half], outcome, again=again)
            await self._write(words[half:], outcome, again=again)
            return
        outcome.letters += [
            Letter(entry, word.position.epoch, "UnknownNode", "no such node, none is adopted")
            for entry, word in words
            if word.key in unknown
        ]

    async def _upsert(
        self, courses: Sequence[Course], outcome: Outcome, *, again: bool
    ) -> frozenset[Key]:
        epoch = self.looker.epoch
        new = self._new(courses)
        written = await self.statuses.write(courses, adopt=new, epoch=epoch, again=again)
        if written.unknown and self.adopt:
            # Somebody deleted them within the minute for which their rows are believed in.
            missing = [course for course in courses if course.last.key in written.unknown]
            outcome.won += written.won
            outcome.events += written.events
            written = await self.statuses.write(
                missing, adopt=written.unknown, epoch=epoch, again=again
            )
        self._remember(courses)
        outcome.won += written.won
        outcome.events += written.events
        outcome.nodes += len(courses)
        return written.unknown

    def _new(self, courses: Sequence[Course]) -> list[Key]:
        if not self.adopt:
            return []
        now = self.clock.monotonic()
        keys = [course.last.key for course in courses]
        return [key for key in keys if self._adopted.get(key, 0.0) <= now]

    def _remember(self, courses: Sequence[Course]) -> None:
        if len(self._adopted) > ADOPTED_MAX:
            self._adopted.clear()
        until = self.clock.monotonic() + ADOPTED_SECONDS
        for course in courses:
            if self._adopted.get(course.last.key, 0.0) < until - ADOPTED_SECONDS:
                self._adopted[course.last.key] = until

    def _count(self, words: int, outcome: Outcome) -> None:
        metrics = self.metrics
        metrics.entries.labels(result="taken").inc(words)
        metrics.upserts.labels(result="won").inc(len(outcome.won))
        metrics.upserts.labels(result="lost").inc(max(0, outcome.nodes - len(outcome.won)))
        metrics.details.inc(sum(1 for one in outcome.won if one.slow))
        for letter in outcome.letters:
            metrics.entries.labels(result="letter").inc()
            metrics.letters.labels(reason=letter.reason).inc()
        for _, happening in outcome.events:
            metrics.events.labels(kind=happening.kind).inc()
            if happening.state is not None:
                metrics.transitions.labels(state=happening.state).inc()
