"""Feeds Alertmanager: all that fires, again and again, and at once what is new or over."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.alertledger import REPEAT, REPEATS_HELD, Ledger, batches
from citadel_k8s.domain.alerts import Alert, Labels, posted, summary
from citadel_k8s.operator.board import Board
from citadel_k8s.operator.delivery import Delivery

TICK: Final = 1.0
"""Seconds between two looks at what is due."""


class AlertReceiver(Protocol):
    """What takes alerts; `clients.alertmanager.Alertmanager` does."""

    async def send(self, body: bytes) -> None:
        """Send a JSON array of alerts; DeliveryError if it was not taken."""
        ...


class Feed:
    """The way to one Alertmanager.

    It keeps no state but what it was told last: after its restart it has all alerts within one
    repeat, and whoever becomes the leader goes on without a word from the one before.

    Parameters
    ----------
    repeat : float
        Seconds between two tellings of an alert; it holds for `REPEATS_HELD` of them.
    """

    def __init__(
        self,
        receiver: AlertReceiver,
        board: Board,
        labels: Labels,
        *,
        delivery: Delivery,
        clock: Clock,
        leads: Callable[[], bool],
        repeat: float = REPEAT,
        tick: float = TICK,
    ) -> None:
        self._receiver = receiver
        self._board = board
        self._labels = labels
        self._delivery = delivery
        self._clock = clock
        self._leads = leads
        self._holds = repeat * REPEATS_HELD
        self._tick = tick
        self._ledger = Ledger(repeat)
        self._epoch = board.epoch

    async def run(self) -> None:
        """Feed for ever."""
        while True:
            await asyncio.sleep(self._tick)
            await self.once()

    async def once(self) -> None:
        """Tell what is due, as far as it is taken."""
        if self._epoch != self._board.epoch:
            self._epoch = self._board.epoch
            self._ledger.clear()
        if not (self._board.active or self._board.early):
            return
        if not self._delivery.ready:
            return
        due = self._ledger.due(self._board.firing, self._clock.monotonic())
        told = 0
        for count, body in batches(self._documents(due)):
            if not self._leads():
                return
            part = due[told : told + count]
            send = self._receiver.send(body)
            outcome = await self._delivery.attempt(send, part[0][0].name, _payload(part))
            if outcome == "failed":
                return
            # What was refused is not tried again before it is repeated anyway.
            self._ledger.told(part, self._clock.monotonic())
            told += count

    def _documents(self, due: Sequence[tuple[Alert, bool]]) -> Iterator[bytes]:
        for alert, fires in due:
            now = self._clock.now()
            yield posted(alert, self._labels, now + self._holds if fires else now)


def _payload(part: Sequence[tuple[Alert, bool]]) -> str:
    return "\n".join(f"{'firing' if fires else 'resolved'} {summary(a)}" for a, fires in part)
