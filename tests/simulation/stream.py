"""A status stream that fills by itself, on a server with clocks and troubles of its own."""

import asyncio
from bisect import bisect_right
from collections import deque
from typing import Final, NamedTuple

from typing_extensions import override

from citadel_k8s.errors import StreamError
from citadel_k8s.stores.entries import Entry, EntryId
from citadel_k8s.stores.fake import FakeStatusStream
from tests.simulation.virtual import VirtualLoop
from tests.simulation.weather import ANSWER, RETENTION, Closure, Weather

EPOCH: Final = 1_795_420_800.0
"""Seconds since the epoch at the beginning of a simulation."""


class Landing(NamedTuple):
    """A message that arrives at a moment of true time."""

    landed: float
    node_id: str
    payload: bytes


class SimulatedStream(FakeStatusStream):
    """Redis, seen from the operator.

    Parameters
    ----------
    sky : Weather
        When it is away, loses data, or is told another time.
    landings : list of Landing
        What the agents send, in order.
    """

    def __init__(self, sky: Weather, landings: list[Landing]) -> None:
        super().__init__()
        self._sky = sky
        self._landings = deque(landings)
        self._arrived: deque[float] = deque()
        self._losses = deque(closure for closure in sky.closures if closure.reset)
        self._trimmed_at = 0.0

    @override
    async def read(self, after: EntryId, *, count: int = 500, block: float = 2.0) -> list[Entry]:
        await self._answered()
        end = self._moment + block
        while not (found := self._after(after, count)) and self._moment < end:
            until = end
            if self._landings:
                until = min(until, self._landings[0].landed)
            until = min([until, *(c.start for c in self._sky.closures if c.start > self._moment)])
            await asyncio.sleep(until - self._moment + 1e-6)
            await self._answered()
        return found

    @override
    def _after(self, after: EntryId, count: int) -> list[Entry]:
        first = bisect_right(self._entries, after, key=lambda entry: entry[0])
        return [Entry.from_fields(*entry) for entry in self._entries[first : first + count]]

    @override
    def _check(self) -> None:
        """Give what has arrived; a server that is away raises instead."""
        closure = self._away()
        if closure is not None:
            raise StreamError(closure.trouble)
        self._arrive()

    @override
    def _now_ms(self) -> int:
        moment = self._moment
        return int((EPOCH + moment + self._sky.stretch(moment).offset) * 1000)

    @property
    def _moment(self) -> float:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return loop.moment

    async def _answered(self) -> None:
        """Wait for an answer as long as a client does."""
        closure = self._away()
        if closure is not None and closure.trouble == "hung":
            await asyncio.sleep(min(ANSWER, closure.end - self._moment + 1e-6))
        self._check()

    def _away(self) -> Closure | None:
        now = self._moment
        for closure in self._sky.closures:
            if closure.redis_away and closure.start <= now < closure.end:
                return closure
        return None

    def _arrive(self) -> None:
        now = self._moment
        while True:
            loss = self._losses[0].end if self._losses else float("inf")
            landed = self._landings[0].landed if self._landings else float("inf")
            if min(loss, landed) > now:
                break
            if loss <= landed:
                self._lose(self._losses.popleft())
                continue
            landing = self._landings.popleft()
            offset = self._sky.stretch(landed).offset
            fields = {b"nodeId": landing.node_id.encode(), b"payload": landing.payload}
            self.put(fields, at_ms=int((EPOCH + landed + offset) * 1000))
            self._arrived.append(landed)
        if now - self._trimmed_at > 60.0:
            self._trimmed_at = now
            old = bisect_right(self._arrived, now - RETENTION)
            self._arrived = deque(list(self._arrived)[old:])
            del self._entries[:old]

    def _lose(self, closure: Closure) -> None:
        if closure.emptied:
            self.flush()
            self._arrived.clear()
            return
        while self._arrived and self._arrived[-1] >= closure.start - closure.lost:
            self._arrived.pop()
            self._entries.pop()
            self._added -= 1
        if self._entries:
            self._last = self._entries[-1][0]
