"""One item on its way out: the latest wins, and an outage is sat out in memory.

Backoff is jittered upwards only, so that a fleet that lost its server together does not come
back together and never polls more tightly than it was told to.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from citadel_k8s.aio.clock import Clock, SystemClock

T = TypeVar("T")

BACKOFF_FIRST: Final = 1.0
"""Seconds before the first retry: a server that restarts is back in about that."""

BACKOFF_MAX: Final = 15.0
"""Longest base of a pause, in seconds, where the owner sets none. With the jitter a pause stays
under 30 s, one heartbeat interval."""

SEND_TIMEOUT: Final = 10.0
"""Seconds that one attempt may take, connecting included; a publisher's own limits are shorter."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """What is known of the way out. Dates are seconds since the epoch; None is "never"."""

    last_success: float | None = None
    last_attempt: float | None = None
    consecutive_failures: int = 0
    last_error: str | None = None
    sent: int = 0
    failed: int = 0

    @property
    def state(self) -> str:
        """``ok``, ``failing``, or ``unknown`` as long as nothing ever got through."""
        if self.last_success is None:
            return "unknown"
        return "failing" if self.consecutive_failures else "ok"


class Outbox(Generic[T]):
    """Holds the latest item until it is sent.

    Parameters
    ----------
    send : callable
        Delivers one item or raises one of ``errors``; bounded by ``timeout``. An error may carry
        ``retry_after``, seconds that the server asked to wait: they are waited in full.
    errors : tuple of exception types
        What counts as "try again"; everything else is a bug and ends `run`.
    clock : Clock or None
        What dates the attempts.
    timeout : float
        Seconds that one attempt may take.
    longest_pause : float
        Seconds that no pause between two attempts exceeds, unless the server asked for more.
    jitter : callable
        Gives a factor in [0, 1) by which a pause is lengthened, up to twice its base.
    """

    def __init__(
        self,
        send: Callable[[T], Awaitable[None]],
        *,
        errors: tuple[type[Exception], ...],
        clock: Clock | None = None,
        timeout: float = SEND_TIMEOUT,
        longest_pause: float = 2 * BACKOFF_MAX,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._send = send
        self._errors: tuple[type[Exception], ...] = (*errors, TimeoutError)
        self._clock = clock or SystemClock()
        self._timeout = timeout
        self._base_max = 0.0
        self._jitter = jitter
        self._item: T | None = None
        self._filled = asyncio.Event()
        self._base = BACKOFF_FIRST
        self._asked = 0.0
        self.freshness = Freshness()
        self.limit_pause(longest_pause)

    @property
    def waiting(self) -> int:
        """How many items wait: 0 or 1."""
        return int(self._item is not None)

    def put(self, item: T) -> None:
        """Make this the item to send; one that still waits is forgotten."""
        self._item = item
        self._filled.set()

    def limit_pause(self, longest: float) -> None:
        """Let no pause from the next one on be longer, in seconds, unless the server asks so."""
        self._base_max = longest / 2
        self._base = min(self._base, self._base_max)

    async def run(self) -> None:
        """Send items as they come, for ever."""
        while True:
            await self._filled.wait()
            if not await self._attempt():
                await asyncio.sleep(self._pause())

    async def send_now(self, item: T, timeout: float) -> bool:
        """Send this item past any pause, in one attempt; say whether it got through.

        Past one that the server asked for as well: a last word is one request, and there is no
        later for it.

        Call it when `run` is over: two writers on one connection take each other's answers.
        """
        self._item = item
        return await self._attempt(timeout)

    async def _attempt(self, timeout: float | None = None) -> bool:
        item = self._item
        if item is None:
            return True
        started = self._clock.now()
        try:
            async with asyncio.timeout(self._timeout if timeout is None else timeout):
                await self._send(item)
        except self._errors as error:
            self._failure(started, str(error) or type(error).__name__)
            # By its name alone: what an error of the way out is, is not known here.
            self._asked = getattr(error, "retry_after", None) or 0.0
            return False
        self._success(started)
        if self._item is item:
            self._item = None
            self._filled.clear()
        return True

    def _success(self, started: float) -> None:
        self._base = min(BACKOFF_FIRST, self._base_max)
        self.freshness = Freshness(
            last_success=self._clock.now(),
            last_attempt=started,
            sent=self.freshness.sent + 1,
            failed=self.freshness.failed,
        )

    def _failure(self, started: float, error: str) -> None:
        before = self.freshness
        self.freshness = Freshness(
            last_success=before.last_success,
            last_attempt=started,
            consecutive_failures=before.consecutive_failures + 1,
            last_error=error,
            sent=before.sent,
            failed=before.failed + 1,
        )

    def _pause(self) -> float:
        # A fleet that was told the same moment does not come back at it as one.
        pause = max(self._base, self._asked) + self._base * self._jitter()
        self._base = min(self._base_max, self._base * 2)
        return pause
