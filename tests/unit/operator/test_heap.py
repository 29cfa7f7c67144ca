"""What is known of nodes is out of the collector's sight once they are known."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from citadel_k8s.operator import heap
from citadel_k8s.operator.heap import YOUNG, Heap


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    gc.unfreeze()  # whatever ran in this process before
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


async def test_it_waits_until_the_stream_was_read_and_ends_when_told(monkeypatch) -> None:
    monkeypatch.setattr(heap, "SETTLED", 0.0)
    first_proof = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(Heap(first_proof).run())
        await asyncio.sleep(0.01)
        assert gc.get_threshold()[0] == YOUNG
        assert gc.get_freeze_count() == 0
        first_proof.set()
        await asyncio.sleep(0.01)
        assert gc.get_freeze_count() > 0
        assert not task.done()
        task.cancel()


def test_a_cycle_made_later_is_still_found() -> None:
    heap.settle()
    one: list[object] = []
    one.append(one)
    del one
    assert gc.collect() >= 1
