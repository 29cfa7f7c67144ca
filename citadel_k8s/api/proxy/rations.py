"""How much of the shared Redis one caller may fill, hold and keep busy.

All orgs share its memory, and a full one stops everybody's heartbeats: what each caller writes is
measured in bytes, not in requests. Each replica measures by itself, and forgets when it ends.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.models.identity import Principal

GATEWAY_SHARE: Final = 64
"""Nodes for which a credential that is bound to none has room: it is a gateway's, made by hand."""

WRITE_PACE: Final = (32 * 1024.0, 8 * 1024 * 1024.0)
"""Bytes of heartbeats a second and at once, of one node: the largest status every three seconds, or
2,000 usual ones that an outage held back. In the 15 minutes until they are trimmed: 37 MB."""

KEPT_PACE: Final = (64 * 1024 * 1024 / 86_400, 64 * 1024 * 1024.0)
"""Bytes a second and at once that lie until they end, of one org, each counted for as many days as
it lies. So at most 128 MiB lie at any moment; ten thousand jobs of a day have 5 MB."""

NAME_PACE: Final = (1000 / 86_400, 1000.0)
"""New names of queues, groups and consumers a second and at once, of one node: each takes up to
1 kB for ever. A node that starts anew has five."""

FRAME_PACE: Final = (1000.0, 4000.0)
"""Frames a second and at once, of one node's sockets: eight engines that stream 100 tokens each.
Whoever sends more is read from more slowly."""

SOCKETS_MAX: Final = 8
"""Sockets of one node at once: it has one, and half-open ones of its former connections."""

DAY: Final = 86_400
"""Seconds for which a byte that is kept is counted once."""

CALLERS_MAX: Final = 50_000
"""Callers and names that are remembered of each kind, about 10 MB; those longest unheard go."""


class Budget:
    """A budget of each caller, which comes back with time.

    Parameters
    ----------
    pace : tuple of float
        Units a second, and units at once.
    """

    def __init__(self, clock: Clock, pace: tuple[float, float]) -> None:
        self._clock = clock
        self._rate, self._burst = pace
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, units: float, share: float = 1) -> float:
        """Take units if they are there; give the seconds to wait, 0 if they were taken."""
        now, most = self._clock.monotonic(), self._burst * share
        left, at = self._left.get(key, (most, now))
        left = min(most, left + (now - at) * self._rate * share)
        needed = min(units, most)
        wait = max(0.0, needed - left) / (self._rate * share)
        self._left[key] = (left if wait else left - needed, now)
        self._left.move_to_end(key)
        if len(self._left) > CALLERS_MAX:
            self._left.popitem(last=False)
        return wait


class Rations:
    """What callers have left.

    Parameters
    ----------
    clock : Clock
        Measures.
    """

    def __init__(self, clock: Clock) -> None:
        self._writes = Budget(clock, WRITE_PACE)
        self._kept = Budget(clock, KEPT_PACE)
        self._new = Budget(clock, NAME_PACE)
        self._frames = Budget(clock, FRAME_PACE)
        self._names: OrderedDict[tuple[str, ...], None] = OrderedDict()
        self._sockets: Counter[str] = Counter()

    def write(self, who: Principal, size: int) -> None:
        """Let bytes into a stream that is trimmed by time; 429 if they are too many."""
        _check(self._writes.take(_caller(who), size, _share(who)), "bytes are written")

    def keep(self, who: Principal, size: int, seconds: float) -> None:
        """Let bytes lie for so long; 429 if the org has too many lying."""
        days = max(1.0, seconds / DAY)
        _check(self._kept.take(who.org_id, size * days), "bytes are kept of this org")

    def names(self, who: Principal, lines: Iterable[tuple[str, ...]]) -> None:
        """Let a caller read as these consumers of groups of queues; 429 for too many new ones."""
        for line in lines:
            name = (_caller(who), *line)
            if name not in self._names:
                wait = self._new.take(_caller(who), 1, _share(who))
                _check(wait, "queues, groups and consumers are named")
            self._names[name] = None
            self._names.move_to_end(name)
            if len(self._names) > CALLERS_MAX:
                self._names.popitem(last=False)

    async def frame(self, who: Principal) -> None:
        """Wait until one more frame may be read."""
        while wait := self._frames.take(_caller(who), 1, _share(who)):  # noqa: ASYNC110 - time itself
            await asyncio.sleep(wait)

    @contextmanager
    def socket(self, who: Principal) -> Generator[None]:
        """Hold a place for a socket; 429 if the caller has none left."""
        key = _caller(who)
        if self._sockets[key] >= SOCKETS_MAX * _share(who):
            _check(15.0, "sockets are open")
        self._sockets[key] += 1
        try:
            yield
        finally:
            self._sockets[key] -= 1
            if not self._sockets[key]:
                del self._sockets[key]


def _caller(who: Principal) -> str:
    return f"{who.org_id}:{who.subject}:{who.node_id or ''}"


def _share(who: Principal) -> int:
    return GATEWAY_SHARE if who.node_id is None else 1


def _check(wait: float, what: str) -> None:
    if wait:
        raise RefusalError(429, "rate_limited", f"too many {what}", retry_after=wait)
