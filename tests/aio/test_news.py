"""What tells of nodes, over hours of virtual time."""

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from citadel_k8s.clients.post import DeliveryError
from citadel_k8s.operator.letters import Letters
from citadel_k8s.operator.newsmetrics import NewsMetrics
from tests.unit.operator.newsworld import News, Store

pytestmark = pytest.mark.looptime


class LoopClock:
    """The loop's own time on both clocks."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        return 1_795_420_800.0 + asyncio.get_running_loop().time()


async def keep_time(news: News) -> None:
    while True:
        news.clock.advance(1.0)
        await news.board.refresh()
        await asyncio.sleep(1.0)


async def test_a_receiver_that_stalls_delays_neither_verdicts_nor_others() -> None:
    news = News()

    async def stall(_: Any) -> None:
        await asyncio.sleep(10)
        raise DeliveryError("no answer")

    news.alertmanager.send = stall  # type: ignore[method-assign]
    news.lose("gpu-1")
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(part)
            for part in (keep_time(news), news.feed.run(), news.messenger.run())
        ]
        for _ in range(600):
            began = loop.time()
            news.board.stir("gpu-1")
            assert loop.time() == began
            await asyncio.sleep(1)
        assert len(news.messages) == 1
        for task in tasks:
            task.cancel()


async def test_hours_with_everything_down_cost_few_tries_and_are_told_when_they_are_over() -> None:
    news = News()
    news.alertmanager.fault = news.people.fault = DeliveryError("away")
    news.store.down = True
    news.lose("gpu-1")
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(part)
            for part in (
                keep_time(news), news.feed.run(), news.messenger.run(), news.letters.run(),
            )
        ]  # fmt: skip
        await asyncio.sleep(7200)
        assert news.people.tries < 2 * 3600 / 60 + 10
        news.alertmanager.fault = news.people.fault = None
        news.store.down = False
        await asyncio.sleep(70)
        for task in tasks:
            task.cancel()
    assert len(news.messages) == 1
    assert len(news.alertmanager.taken) in {1, 2}
    assert 0 < len(news.store.letters) < 30


async def test_letters_wait_for_redis_with_growing_pauses_and_end_at_once() -> None:
    store, tries = Store(), 0

    async def refuse(letter: Any) -> None:
        nonlocal tries
        tries += 1
        store.down = tries < 20
        await Store.bury(store, letter)

    store.bury = refuse  # type: ignore[method-assign]
    letters = Letters(store, LoopClock(), NewsMetrics(CollectorRegistry()))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(letters.run())
        letters.put("slack", "1", "why", "x")
        await asyncio.sleep(60)
        assert tries < 8
        await asyncio.sleep(3600)
        assert len(store.letters) == 1
        began = asyncio.get_running_loop().time()
        task.cancel()
    assert asyncio.get_running_loop().time() == began
