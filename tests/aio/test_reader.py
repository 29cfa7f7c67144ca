"""What an outage of the stream that is over in a moment costs whom."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from typing_extensions import override

from citadel_k8s.errors import StreamError
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.reader import PIPE_GAP, Reader
from citadel_k8s.stores.entries import Entry
from citadel_k8s.stores.fake import FakeStatusStream
from tests.aio.operators import WorldClock
from tests.unit.operator.fakes import FAST, World

pytestmark = pytest.mark.looptime

BLIP = 2.0
"""Seconds for which the stream is away: less than the pipe has to be silent for."""


class Stream(FakeStatusStream):
    """A stream whose server can be taken away."""

    away = False

    @override
    async def read(self, *args: Any, **kwargs: Any) -> list[Entry]:
        if self.away:
            raise StreamError("away")
        return await super().read(*args, **kwargs)


class Listening:
    """A reader that runs, and two nodes: one repeats what was lost, the other has no boot id."""

    def __init__(self) -> None:
        self.world = World()
        self.world.clock = self.world.registry.clock = WorldClock()
        self.stream = Stream(self.world.clock)
        self.reader = Reader(self.stream, self.world.registry, self.world.clock, OperatorMetrics())

    def speak(self) -> None:
        nameless = {"bootId": None, "seq": None}
        for entry in self.world.entry("repeats"), self.world.entry("once", envelope=nameless):
            fields = {b"nodeId": entry.node_id.encode(), b"payload": entry.payload}
            self.stream.put(fields, at_ms=int(self.world.clock.now() * 1000))

    def patience(self, node_id: str) -> float:
        """Give for how long a node's silence is borne from now on."""
        return self.world.live(node_id).deadline - self.world.clock.monotonic()


@asynccontextmanager
async def listening() -> AsyncIterator[Listening]:
    """Run the reader, and have it hear both nodes once, not long before they are missed."""
    one = Listening()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(one.reader.run())
        one.speak()
        await asyncio.sleep(FAST.timeout - 2 * BLIP)
        yield one
        task.cancel()


async def test_who_sends_its_words_only_once_is_given_time_after_the_shortest_outage():
    async with listening() as one:
        one.stream.away = True
        await asyncio.sleep(BLIP)
        one.stream.away = False
        await asyncio.sleep(BLIP)
        assert BLIP < PIPE_GAP
        assert FAST.stale_after - BLIP <= one.patience("once") < FAST.stale_after


async def test_who_repeats_what_was_lost_needs_no_time_after_a_short_outage():
    async with listening() as one:
        one.stream.away = True
        await asyncio.sleep(BLIP)
        one.stream.away = False
        await asyncio.sleep(BLIP)
        assert one.patience("repeats") <= 0.1


async def test_where_nothing_failed_nobody_is_given_time():
    async with listening() as one:
        await asyncio.sleep(2 * BLIP)
        assert max(one.patience("once"), one.patience("repeats")) <= 0.1
