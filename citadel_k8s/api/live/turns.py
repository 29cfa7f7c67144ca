"""One question to a node at a time, its answer for all who ask meanwhile, and only so many at once.

Whoever comes while a node is asked waits for that answer. When the one who asks is called off, the
next one who waits asks; no one's waiting depends on another's connection.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from citadel_k8s.api.frame.refusal import RefusalError

T = TypeVar("T")

ALL_AT_ONCE: Final = 64
"""Questions of one process at the same time: 4 MiB each at worst are 256 MiB."""

ORG_AT_ONCE: Final = 24
"""Questions of one org at the same time: no org takes them all."""

HOLD_SECONDS: Final = 1.0
"""Seconds for which an answer is given to everybody. The agent's own is not younger."""


@dataclass(slots=True)
class _Flight(Generic[T]):
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    answer: T | None = None
    done_at: float = float("-inf")


class Turns(Generic[T]):
    """Lets one ask at a time.

    Parameters
    ----------
    all_at_once, org_at_once : int
        Questions at the same time, in all and of one org.
    hold : float
        Seconds for which an answer is given to everybody.
    """

    def __init__(
        self,
        *,
        all_at_once: int = ALL_AT_ONCE,
        org_at_once: int = ORG_AT_ONCE,
        hold: float = HOLD_SECONDS,
    ) -> None:
        self._all_at_once = all_at_once
        self._org_at_once = org_at_once
        self._hold = hold
        self._flights: dict[tuple[str, str], _Flight[T]] = {}
        self._open: Counter[str] = Counter()

    async def shared(self, org_id: str, node_id: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Give the answer of a node that is asked now, or was a moment ago.

        Raises
        ------
        RefusalError
            429, when too many are asked already.
        """
        loop = asyncio.get_running_loop()
        self._prune(loop.time())
        arrived = loop.time()
        flight = self._flights.setdefault((org_id, node_id), _Flight())
        flight.waiting += 1
        try:
            async with flight.lock:
                if flight.answer is not None and flight.done_at >= arrived - self._hold:
                    return flight.answer
                with self._slot(org_id):
                    flight.answer = await ask()
                flight.done_at = loop.time()
                return flight.answer
        finally:
            flight.waiting -= 1

    @contextmanager
    def _slot(self, org_id: str) -> Generator[None]:
        if self._open.total() >= self._all_at_once or self._open[org_id] >= self._org_at_once:
            raise RefusalError(
                429, "too_many_requests", "many nodes are being asked already", retry_after=1
            )
        self._open[org_id] += 1
        try:
            yield
        finally:
            self._open[org_id] -= 1
            if not self._open[org_id]:
                del self._open[org_id]

    def _prune(self, now: float) -> None:
        """Let go of answers that nobody can be given any more, the oldest first."""
        for key, flight in list(self._flights.items()):
            if flight.waiting or flight.done_at >= now - self._hold:
                continue
            del self._flights[key]
