"""Something that is read once for all who ask for it at the same time, and kept for a moment.

Whoever comes while it is read waits for that reading; when the reader is called off, the next one
who waits reads. A failure is shared as well: a thousand requests must not queue up behind a
database that does not answer.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from citadel_k8s.aio.clock import Clock
from citadel_k8s.errors import DatabaseError

T = TypeVar("T")

KEYS_MAX: Final = 128
"""Orgs for which something is kept; the one that was asked for longest ago goes first."""

IDLE_SECONDS: Final = 120.0
"""Seconds after which something is let go that nobody asks for: 10,000 nodes are 40 MB."""


@dataclass(slots=True)
class _Place(Generic[T]):
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    value: T | None = None
    failure: DatabaseError | None = None
    read_at: float = float("-inf")
    asked_at: float = float("-inf")


class Single(Generic[T]):
    """Gives what was read for a key.

    Parameters
    ----------
    read : callable
        Reads it; may raise `DatabaseError`.
    clock : Clock
        What measures how old a reading is.
    hold : float
        Seconds for which a reading is given to everybody.
    """

    def __init__(self, read: Callable[[str], Awaitable[T]], clock: Clock, *, hold: float) -> None:
        self._read = read
        self._clock = clock
        self._hold = hold
        self._places: OrderedDict[str, _Place[T]] = OrderedDict()

    async def get(self, key: str) -> T:
        """Give what was read less than the time that it holds ago.

        Raises
        ------
        DatabaseError
            When that failed.
        """
        place = self._place(key)
        if (value := self._fresh(place)) is not None:
            return value
        async with place.lock:
            if (value := self._fresh(place)) is not None:
                return value
            return await self._renew(key, place)

    def last(self, key: str) -> T | None:
        """Give what was read last, however old."""
        place = self._places.get(key)
        return None if place is None else place.value

    def forget(self, key: str) -> None:
        """Have it read anew for the next one who asks: something was changed here."""
        place = self._places.get(key)
        if place is not None:
            place.read_at = float("-inf")

    def _place(self, key: str) -> _Place[T]:
        now = self._clock.monotonic()
        place = self._places.setdefault(key, _Place())
        place.asked_at = now
        self._places.move_to_end(key)
        while len(self._places) > 1:
            first = next(iter(self._places.values()))
            if len(self._places) <= KEYS_MAX and now - first.asked_at < IDLE_SECONDS:
                break
            self._places.popitem(last=False)
        return place

    def _fresh(self, place: _Place[T]) -> T | None:
        if self._clock.monotonic() - place.read_at >= self._hold:
            return None
        if place.failure is not None:
            raise DatabaseError(str(place.failure)) from place.failure
        return place.value

    async def _renew(self, key: str, place: _Place[T]) -> T:
        began = self._clock.monotonic()
        try:
            value = await self._read(key)
        except DatabaseError as error:
            # Counted from its end: who waited for it all the time gets it too.
            place.failure, place.read_at = error, self._clock.monotonic()
            raise
        # Counted from its beginning: what was changed meanwhile may not be in it.
        place.value, place.failure, place.read_at = value, None, began
        return value
