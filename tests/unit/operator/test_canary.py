"""The canary: what comes back proves that entries can arrive."""

import asyncio
import math

import pytest
from typing_extensions import override

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.errors import StreamError
from citadel_k8s.operator.canary import Canary
from citadel_k8s.stores.entries import EntryId
from citadel_k8s.stores.fake import FakeStatusStream
from tests.unit.operator.fakes import METRICS


class Forgetful(FakeStatusStream):
    """Takes what is written and does not have it."""

    @override
    async def append(self, node_id: str, payload: bytes) -> EntryId:
        entry = await super().append(node_id, payload)
        self.flush()
        return entry


def made(stream: FakeStatusStream | None = None) -> tuple[Canary, FakeStatusStream, ManualClock]:
    clock = ManualClock()
    stream = stream or FakeStatusStream(clock)
    return Canary(stream, "op-1", clock, METRICS()), stream, clock


async def test_nothing_is_proved_before_one_came_back():
    canary, _, _ = made()
    assert (canary.proved_until, canary.age(), canary.trouble) == (None, None, None)
    samples = [s.value for m in canary.metrics.canary_age.collect() for s in m.samples]
    assert all(math.isnan(value) for value in samples)


async def test_what_comes_back_proves_the_moment_at_which_it_was_sent():
    canary, _, clock = made()
    sent = clock.monotonic()
    await canary.step()
    clock.advance(4)
    assert (canary.proved_until, canary.age()) == (sent, 4)
    samples = {s.name: s.value for m in canary.metrics.canary_age.collect() for s in m.samples}
    assert samples == {"citadel_operator_canary_age_seconds": 4}


async def test_each_finds_its_own_among_those_of_others():
    canary, stream, clock = made()
    other = Canary(stream, "op-2", clock, METRICS())
    for _ in range(3):
        await asyncio.gather(canary.step(), other.step())  # noqa: TID251 - at the very same time
        clock.advance(5)
    assert canary.age() == other.age() == 5


async def test_what_was_written_and_is_not_there_proves_nothing():
    canary, _, _ = made(Forgetful())
    with pytest.raises(StreamError, match="not there"):
        await canary.step()
    assert canary.proved_until is None


@pytest.mark.parametrize(
    ("error", "told", "forbidden"),
    [
        ("appending: command not allowed when used memory > 'maxmemory'.", "Redis is full", False),
        ("appending: You can't write against a read only replica.", "read-only replica", False),
        ("appending: MISCONF Errors writing to the AOF file", "save to its disk", False),
        ("appending: this user has no permissions to run the 'xadd' command", "grant", True),
        ("appending: No permissions to access a key", "grant ~citadel:* +@stream", True),
        ("appending: no answer within 3 s", "no answer within 3 s", False),
    ],
)
async def test_trouble_says_what_to_do(*, error: str, told: str, forbidden: bool):
    canary, stream, _ = made()
    stream.down = error
    task = asyncio.Task(canary.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    assert told in (canary.trouble or "")
    assert error in (canary.trouble or "")
    assert canary.forbidden is forbidden
    with pytest.raises(asyncio.CancelledError):
        await task
