"""The canary's pace."""

import asyncio

import pytest

from citadel_k8s.operator.canary import Canary
from citadel_k8s.stores.fake import FakeStatusStream
from tests.aio.fleet import LoopClock
from tests.unit.operator.fakes import METRICS

pytestmark = pytest.mark.looptime


async def test_one_is_sent_each_five_seconds_and_each_second_while_none_comes_back():
    clock = LoopClock()
    stream = FakeStatusStream(clock)
    canary = Canary(stream, "op-1", clock, METRICS())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(canary.run())
        await asyncio.sleep(60)
        assert 12 <= (await stream.head()).length <= 13
        assert (canary.age() or 0.0) <= 5
        stream.down = "connection refused"
        await asyncio.sleep(100)
        assert canary.trouble == "connection refused"
        assert 100 <= (canary.age() or 0.0) <= 105
        stream.down = ""
        await asyncio.sleep(1.1)
        assert canary.trouble is None
        assert (canary.age() or 0.0) < 1.2
        task.cancel()
