import asyncio
from collections.abc import Mapping

import pytest

from citadel_k8s.domain.buckets import BUCKET_MS, BucketKey, Sample, Sums
from citadel_k8s.errors import DatabaseError
from citadel_k8s.worker.history import FLUSH_SECONDS, History

pytestmark = pytest.mark.looptime


class Sink:
    def __init__(self) -> None:
        self.away = False
        self.added: list[Mapping[BucketKey, Sums]] = []

    async def add(self, sums: Mapping[BucketKey, Sums]) -> None:
        await asyncio.sleep(0.1)
        if self.away:
            raise DatabaseError("away")
        self.added.append(dict(sums))


def sample(node: str = "n", at: int = 0) -> Sample:
    return Sample("acme", node, at, {"cpu": 0.5})


async def test_heartbeats_are_added_together_now_and_then() -> None:
    sink = Sink()
    history = History(sink)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(history.run())
        history.add([sample(), sample()])
        history.add([sample()])
        await asyncio.sleep(FLUSH_SECONDS + 1)
        running.cancel()
    (added,) = sink.added
    assert [sums.beats for sums in added.values()] == [3]
    assert len(history) == 0


async def test_nothing_is_lost_while_the_database_is_away() -> None:
    sink = Sink()
    history = History(sink)
    sink.away = True
    history.add([sample()])
    await history.flush()
    history.add([sample()])
    sink.away = False
    await history.flush()
    assert [sums.beats for sums in sink.added[0].values()] == [2]


async def test_a_flush_that_is_cancelled_keeps_what_waited() -> None:
    history = History(Sink())
    history.add([sample()])
    async with asyncio.TaskGroup() as group:
        flushing = group.create_task(history.flush())
        await asyncio.sleep(0.05)
        history.add([sample()])
        flushing.cancel()
    assert len(history) == 1


async def test_the_oldest_goes_when_too_much_waits() -> None:
    history = History(Sink(), limit=2)
    history.add([sample(at=number * BUCKET_MS) for number in range(3)])
    assert len(history) == 2
    assert history.dropped == 1
