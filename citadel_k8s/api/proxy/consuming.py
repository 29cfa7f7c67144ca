"""A socket's own loop over queues: each entry as a frame, as many at a time as were asked for."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from citadel_k8s.errors import StreamError
from citadel_k8s.stores.queues import Given, Order, Queues
from citadel_k8s.stores.streamwatch import Waiter

UNACKNOWLEDGED_MAX: Final = 16
"""Most entries that a socket may hold unacknowledged, whatever it asks for: what is held by one is
not worked at by others."""

PAUSE: Final = 2.0
"""Seconds before Redis is asked again after it did not answer."""


class ConsumeLoop:
    """Takes entries off queues until told to stop.

    Parameters
    ----------
    queues : Queues
        Where they lie.
    orders : sequence of Order
        Which; the one that had the last entry is asked last.
    limit : int
        Entries that may be unacknowledged.
    block : float
        Seconds that one wait takes at most.
    give : callable
        Takes an entry; says whether it could.
    on_error : callable
        Told that Redis does not answer.
    """

    def __init__(
        self,
        queues: Queues,
        orders: Sequence[Order],
        *,
        limit: int,
        block: float,
        give: Callable[[Given], bool],
        on_error: Callable[[str], None],
    ) -> None:
        self._queues, self._orders = queues, list(orders)
        self._limit = min(max(1, limit), UNACKNOWLEDGED_MAX)
        self._block = block
        self._give, self._on_error = give, on_error
        self._held: set[tuple[str, str]] = set()
        self._room = asyncio.Event()
        self._waiter = Waiter()
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Take nothing more; what is being taken goes back."""
        self._stopped.set()
        self._room.set()
        self._waiter.called.set()

    def acknowledged(self, queue: str, entry_id: str) -> None:
        """Make room for another entry."""
        self._held.discard((queue, entry_id))
        self._room.set()

    async def run(self) -> None:
        """Take entries until `stop`."""
        while not self._stopped.is_set():
            if len(self._held) >= self._limit:
                self._room.clear()
                await self._room.wait()
                continue
            try:
                given = await self._queues.take(
                    self._orders, self._block, self._stopped.is_set, self._waiter
                )
                if given is not None:
                    await self._hand_over(given)
            except StreamError:
                self._on_error("unavailable: Redis is away or slow; consuming goes on")
                await self._rest()

    async def _hand_over(self, given: Given) -> None:
        self._orders.remove(given.order)
        self._orders.append(given.order)
        self._held.add((given.order.queue, given.id))
        if not self._give(given):
            await self._queues.hand_back(given)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(PAUSE):
                await self._stopped.wait()
        except TimeoutError:
            return
