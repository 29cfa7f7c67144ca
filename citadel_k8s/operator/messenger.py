"""Sends messages about alerts to people: one for many of a kind, and each once."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.alertgroups import GroupKey, Groups, Message
from citadel_k8s.domain.alerttext import text
from citadel_k8s.domain.tokens import TokenBucket
from citadel_k8s.errors import StreamError
from citadel_k8s.operator.board import Board
from citadel_k8s.operator.delivery import Delivery
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.alerts")

BOOK: Final = "citadel:operator:alerts"
"""Start of the names of hashes with what was told, one for each receiver."""

TICK: Final = 1.0
"""Seconds between two looks at what is due."""

SYNC_INTERVAL: Final = 15.0
"""Seconds between two comparisons of what fires with what was told while nothing changes; with
10,000 alerts one takes 6 ms."""

RECALL_SECONDS: Final = 30.0
"""Seconds for which a new leader tries to learn what was told before it tells anything: without
that it tells again what is known."""

RATE: Final = 0.5
"""Messages per second to one receiver. Slack takes one a second."""

BURST: Final = 5.0
"""Messages at once after a quiet time."""


class MessageReceiver(Protocol):
    """What takes messages; `clients.webhook.Webhook` and `clients.slack.Slack` do."""

    async def send(self, message: Message) -> None:
        """Send a message; DeliveryError if it was not taken."""
        ...


class Book(Protocol):
    """Keeps what was told; `stores.streams.RedisStatusStream` does."""

    async def load_snapshot(self, name: str) -> dict[str, bytes]:
        """Give a hash."""
        ...

    async def save_snapshot(
        self, name: str, fields: Mapping[str, bytes], *, removed: Collection[str] = ()
    ) -> object:
        """Change a hash."""
        ...


class Messenger:
    """The way to one receiver.

    Parameters
    ----------
    groups : Groups
        What is to be told of when.
    book : Book
        What outlives a leader: what was told, so that the next one neither tells it again nor
        forgets to tell that it is over.
    """

    def __init__(
        self,
        receiver: MessageReceiver,
        board: Board,
        groups: Groups,
        *,
        book: Book,
        delivery: Delivery,
        clock: Clock,
        leads: Callable[[], bool],
        tick: float = TICK,
    ) -> None:
        self._receiver = receiver
        self._board = board
        self._groups = groups
        self._book = book
        self._delivery = delivery
        self._clock = clock
        self._leads = leads
        self._tick = tick
        self._bucket = TokenBucket(RATE, BURST)
        self._recalled = False
        self._asking_since: float | None = None
        self._synced = -1
        self._synced_at = 0.0
        self._unsaved: set[GroupKey] = set()
        self._trouble = RepeatLog(_log, "alert_book_failing", clock=clock)

    @property
    def _hash(self) -> str:
        return f"{BOOK}:{self._delivery.name}"

    async def run(self) -> None:
        """Tell for ever."""
        while True:
            await asyncio.sleep(self._tick)
            await self.once()

    async def once(self) -> None:
        """Tell what is due, as far as it is taken."""
        if not self._board.active:
            self._forget()
            return
        if not self._recalled and not await self._recall():
            return
        now = self._clock.monotonic()
        if self._synced != self._board.version or now - self._synced_at >= SYNC_INTERVAL:
            self._synced, self._synced_at = self._board.version, now
            self._groups.sync(self._board.firing.values(), now)
        await self._send_due()
        await self._save()

    async def _send_due(self) -> None:
        for key in self._groups.due(self._clock.monotonic()):
            if not (self._leads() and self._delivery.ready):
                return
            if not self._bucket.take(self._clock.monotonic()):
                return
            message = self._groups.message(key)
            send = self._receiver.send(message)
            if await self._delivery.attempt(send, message.id, text(message)) == "failed":
                return
            # What was refused is not tried again: it is a dead letter.
            self._groups.told(message, self._clock.monotonic())
            self._unsaved.add(key)

    def _forget(self) -> None:
        self._recalled = False
        self._asking_since = None
        self._synced = -1
        self._groups.clear()
        self._unsaved.clear()

    async def _recall(self) -> bool:
        """Learn what the leader before told; False while that is to be tried again."""
        now = self._clock.monotonic()
        if self._asking_since is None:
            self._asking_since = now
        try:
            told = await self._book.load_snapshot(self._hash)
        except StreamError as error:
            self._trouble.failed(error=str(error))
            told = {}
            self._recalled = now - self._asking_since >= RECALL_SECONDS
        else:
            self._recalled = True
            self._trouble.recovered()
        self._groups.recall(told, self._clock.monotonic(), self._clock.now())
        # The leader may have changed while Redis was asked.
        return self._recalled and self._board.active

    async def _save(self) -> None:
        if not self._unsaved or not self._leads():
            return
        now, wall = self._clock.monotonic(), self._clock.now()
        records = {key: self._groups.record(key, now, wall) for key in self._unsaved}
        fields = {_field(key): data for key, data in records.items() if data is not None}
        removed = [_field(key) for key, data in records.items() if data is None]
        try:
            await self._book.save_snapshot(self._hash, fields, removed=removed)
        except StreamError as error:
            self._trouble.failed(error=str(error))
        else:
            self._unsaved.clear()
            self._trouble.recovered()


def _field(key: GroupKey) -> str:
    return f"{key.name}/{key.reason}"
