"""How much one caller may ask: so much a second, and so much a day over all replicas.

Nobody waits for Redis here. Each replica counts by itself and exchanges counts every few seconds,
so that a quota is overdrawn at most by what is asked meanwhile; with Redis away it goes on by what
it knows, and refuses nobody for that.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.config.server import Quota
from citadel_k8s.errors import DatabaseError, StreamError
from citadel_k8s.telemetry.log import RepeatLog, get_logger

DAY: Final = 86_400
"""Seconds of the quota's window, which begins at midnight UTC. Source: the wire contract."""

EXCHANGE_SECONDS: Final = 2.0
"""Seconds between two exchanges of counts: at 50 requests a second a caller of two replicas gets
200 of 50,000 too many, and Redis is asked once in 2 s, not at each request."""

METERS_MAX: Final = 50_000
"""Callers kept in mind, about 15 MB. Beyond it those longest unheard are forgotten; their counts
of the day are in Redis."""

OWN_QUOTAS_EVERY: Final = 60.0
"""Seconds between two looks at which orgs have quotas of their own."""

UNIT: Final = 1000
"""Parts of a request that are counted, for costs below one."""


class Counts(Protocol):
    """Counters that replicas share; see `stores.quotas`."""

    async def add(self, counts: Mapping[str, int], expire_at: int) -> dict[str, int]:
        """Add, and give the sums."""
        ...


OwnQuotas = Callable[[], Awaitable[Mapping[str, int]]]
"""Gives the daily quota of orgs that have one of their own; raises DatabaseError."""


@dataclass(slots=True)
class _Meter:
    """One caller: requests that may come at once, when that was; units of the day and unsent."""

    tokens: float
    at: float
    day: int
    used: int = 0
    unsent: int = 0


class Limiter:
    """Counts, and refuses what is too much.

    Parameters
    ----------
    quota : Quota
        What one caller may ask.
    clock : Clock
        Durations for the rate, dates for the day.
    counts : Counts or None
        Shared counters; None counts for this process alone.
    own_quotas : callable or None
        Gives quotas that hold for each credential of an org in place of the settings'.
    """

    def __init__(
        self,
        quota: Quota,
        clock: Clock,
        counts: Counts | None = None,
        own_quotas: OwnQuotas | None = None,
    ) -> None:
        self._rate = quota.requests_per_second
        self._burst = float(quota.burst)
        self._daily = quota.daily_requests
        self._clock = clock
        self._counts = counts
        self._own_quotas = own_quotas
        self._by_org: Mapping[str, int] = {}
        self._meters: dict[str, _Meter] = {}
        self._dirty: dict[str, _Meter] = {}
        self._trouble = RepeatLog(get_logger("api.limiter"), "quotas_not_shared", clock=clock)

    def take(self, key: str, cost: float, *, paced: bool = True, daily: bool = True) -> None:
        """Count a request.

        Parameters
        ----------
        key : str
            Whose it is; a credential's begins with its org and a colon.
        cost : float
            Requests that it counts for; nothing is counted at 0.
        paced, daily : bool
            Which of the limits hold.

        Raises
        ------
        RefusalError
            429, with what was used up and when to come again. It counts for nothing.
        """
        if cost <= 0:
            return
        now = self._clock.monotonic()
        meter = self._meter(key, now)
        units = int(cost * UNIT)
        if daily:
            limit = self._limit(key)
            if meter.used + units > limit * UNIT:
                raise self._used_up(limit)
        if paced:
            self._pace(meter, now, cost)
        if daily:
            meter.used += units
            meter.unsent += units
            self._dirty[key] = meter

    def _pace(self, meter: _Meter, now: float, cost: float) -> None:
        tokens = min(self._burst, meter.tokens + (now - meter.at) * self._rate)
        meter.at = now
        # A request of more than a whole burst would wait for ever.
        needed = min(cost, self._burst)
        if tokens < needed:
            meter.tokens = tokens
            wait = (needed - tokens) / self._rate
            raise _too_many(max(1, round(self._rate)), 1, wait, "too many requests a second")
        meter.tokens = tokens - needed

    def _limit(self, key: str) -> int:
        if not self._by_org:
            return self._daily
        return self._by_org.get(key.partition(":")[0], self._daily)

    def _used_up(self, limit: int) -> RefusalError:
        left = DAY - self._clock.now() % DAY
        return _too_many(limit, DAY, left, "the quota of the day is used up")

    def _meter(self, key: str, now: float) -> _Meter:
        day = int(self._clock.now() // DAY)
        # Taken out and put in again: the first in the dict is the one longest unheard.
        meter = self._meters.pop(key, None)
        if meter is None:
            meter = _Meter(self._burst, now, day)
            if len(self._meters) >= METERS_MAX:
                del self._meters[next(iter(self._meters))]
        elif meter.day != day:
            meter.day, meter.used, meter.unsent = day, 0, 0
        self._meters[key] = meter
        return meter

    async def run(self) -> None:
        """Exchange counts with the other replicas for ever, and learn of orgs' own quotas."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if loop.time() >= due:
                await self.learn()
                due = loop.time() + OWN_QUOTAS_EVERY
            await asyncio.sleep(EXCHANGE_SECONDS)
            await self.exchange()

    async def learn(self) -> None:
        """Learn which orgs have quotas of their own; what was known stays where that fails."""
        if self._own_quotas is None:
            return
        with suppress(DatabaseError):  # requests will tell of it loudly enough
            self._by_org = await self._own_quotas()

    async def exchange(self) -> None:
        """Exchange counts once."""
        dirty, self._dirty = self._dirty, {}
        if self._counts is None or not dirty:
            return
        day = int(self._clock.now() // DAY)
        unsent: dict[str, int] = {}
        for key, meter in dirty.items():
            if meter.day == day:
                unsent[f"{day}:{key}"] = meter.unsent
            # Taken as sent whatever comes of it: to count twice would refuse somebody wrongly.
            meter.unsent = 0
        try:
            totals = await self._counts.add(unsent, (day + 2) * DAY)
        except StreamError as error:
            self._trouble.failed(error=str(error))
            return
        self._trouble.recovered()
        for key, meter in dirty.items():
            total = totals.get(f"{day}:{key}", 0) + meter.unsent
            if meter.day == day:
                meter.used = max(meter.used, total)


def _too_many(limit: int, window: int, wait: float, text: str) -> RefusalError:
    seconds = max(1, math.ceil(wait))
    return RefusalError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "rate_limited",
        f"{text}: at most {limit} in {window} s; come again in {seconds} s",
        retry_after=wait,
        limit=limit,
        window=window,
    )
