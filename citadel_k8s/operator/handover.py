"""What an operator does when its turn comes, before it tells or writes anything.

It looks up what the one before it told last, and tells what has changed since, once. Until that is
done it leads in name only: an object written before would make the change look told.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from citadel_k8s.errors import StreamError
from citadel_k8s.operator.memory import Told
from citadel_k8s.telemetry.log import get_logger

_log = get_logger("operator.leader")

TRIES: Final = 5
"""Times that the snapshot is asked for; then the objects alone say what was told. Without Redis
nobody's silence counts, so that there is little to tell."""

RETRY_DELAY: Final = 1.0
"""Seconds between them."""

PAUSE: Final = 0.1
"""Seconds until the election has noticed that a term is over."""


class Leader(Protocol):
    """What is asked of the election; `operator.leader.Leadership` has it."""

    term: int
    led: asyncio.Event

    def leads(self) -> bool:
        """Say whether this operator may write at this moment."""
        ...


@dataclass(slots=True)
class Handover:
    """The taking over, each time that this operator begins to lead.

    Parameters
    ----------
    leader : Leader
        The election.
    caught_up : asyncio.Event
        Set once the stream has been read to its end.
    told : callable
        Gives what was told last of each node; see `Snapshot.told`.
    catch_up : callable
        Tells what differs from that; see `Broadcast.catch_up`.
    """

    leader: Leader
    caught_up: asyncio.Event
    told: Callable[[], Awaitable[dict[str, Told]]]
    catch_up: Callable[[Mapping[str, Told]], None]
    _done: int = -1
    _begun: asyncio.Event = field(default_factory=asyncio.Event)

    def ready(self) -> bool:
        """Say whether this operator may tell and write now: it leads, and knows what was told."""
        return self._done == self.leader.term and self.leader.leads()

    def begin(self) -> None:
        """Take note that a new term has begun."""
        self._begun.set()

    async def run(self) -> None:
        """Take over, as often as it is this operator's turn."""
        await self.caught_up.wait()
        while True:
            if self.leader.led.is_set() and self._done != self.leader.term:
                await self._take_over(self.leader.term)
                continue
            await self._begun.wait()
            self._begun.clear()

    async def _take_over(self, term: int) -> None:
        told = await self._told()
        if self.leader.term != term or not self.leader.leads():
            await asyncio.sleep(PAUSE)  # another term, or none that has been noticed yet
            return
        # In this order and without a pause: what is told in here is not held back.
        self._done = term
        self.catch_up(told)
        _log.info("took_over", term=term, known=len(told))

    async def _told(self) -> dict[str, Told]:
        for attempt in range(TRIES):
            try:
                return await self.told()
            except StreamError as error:
                if attempt == TRIES - 1:
                    _log.warning("took_over_without_snapshot", error=str(error))
                    break
                await asyncio.sleep(RETRY_DELAY)
        return {}
