import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import NoReturn

import pytest

from citadel_k8s.agent.rivals import RivalWatch
from citadel_k8s.domain.report import Speaker
from citadel_k8s.errors import StreamError

pytestmark = pytest.mark.looptime


class LoopClock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        return 1_795_420_800 + asyncio.get_running_loop().time()


class Air:
    """A channel: everybody hears everybody, oneself included."""

    def __init__(self) -> None:
        self.ears: list[Callable[[bytes], Awaitable[None]]] = []
        self.down = False

    async def say(self, data: bytes) -> None:
        if self.down:
            raise StreamError("down")
        for ear in self.ears:
            await ear(data)


class Post:
    """One agent's end of it."""

    name = "node:presence:n1"

    def __init__(self, air: Air) -> None:
        self.air = air
        self.closed = False

    async def listen(self, heard: Callable[[bytes], Awaitable[None]]) -> NoReturn:
        if self.air.down:
            raise StreamError("down")
        self.air.ears.append(heard)
        try:
            await asyncio.sleep(float("inf"))
        finally:
            self.air.ears.remove(heard)
        raise AssertionError

    async def say(self, data: bytes) -> None:
        await self.air.say(data)

    async def close(self) -> None:
        self.closed = True
        raise StreamError("gone")


def watch(air: Air, boot_id: str, interval: float = 30.0) -> RivalWatch:
    speaker = Speaker("n1", "n1", boot_id, interval, "1")
    return RivalWatch(lambda: speaker, Post(air), clock=LoopClock())


def reasons(agent: RivalWatch) -> list[str | None]:
    return [notice.reason for notice in agent.notices()]


async def test_an_agent_alone_has_no_rival():
    agent = watch(Air(), "a")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(agent.run())
        await asyncio.sleep(300)
        assert reasons(agent) == []
        task.cancel()


async def test_two_agents_of_one_name_tell_of_each_other_until_one_is_gone():
    air = Air()
    first, second = watch(air, "a"), watch(air, "b")
    async with asyncio.TaskGroup() as group:
        one = group.create_task(first.run())
        await asyncio.sleep(40)
        two = group.create_task(second.run())
        await asyncio.sleep(70)
        assert reasons(first) == reasons(second) == ["DuplicateAgent"]
        assert "boot id b" in str(first.notices()[0].message)
        two.cancel()
        await asyncio.sleep(100)
        assert reasons(first) == []
        one.cancel()


async def test_a_channel_that_is_down_is_no_rival_and_is_tried_again():
    air = Air()
    air.down = True
    agent = watch(air, "a")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(agent.run())
        await asyncio.sleep(600)
        air.down = False
        await asyncio.sleep(700)
        assert len(air.ears) == 1
        assert reasons(agent) == []
        task.cancel()


@pytest.mark.parametrize("word", [b"", b"[]", b"{", b"[" * 900, b'{"bootId":' + b"1" * 2000])
async def test_nonsense_on_the_channel_is_passed_over(word: bytes):
    air = Air()
    agent = watch(air, "a")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(agent.run())
        await asyncio.sleep(1)
        for _ in range(3):
            await air.say(word)
            await asyncio.sleep(20)
        assert reasons(agent) == []
        task.cancel()


async def test_a_status_of_a_client_without_a_boot_id_is_that_of_a_rival():
    agent = RivalWatch(lambda: Speaker("n1", "n1", "a", 30.0, "1"), None, clock=LoopClock())
    await agent.run()
    for _ in range(2):
        agent.hear({"nodeId": "n1"})
        await asyncio.sleep(30)
    assert reasons(agent) == ["DuplicateAgent"]
    await agent.close()


async def test_closing_never_raises():
    agent = watch(Air(), "a")
    await agent.close()
    assert json.dumps(reasons(agent)) == "[]"


@pytest.mark.parametrize(("one", "other"), [(5.0, 30.0), (5.0, 300.0), (300.0, 5.0)])
async def test_agents_of_unlike_intervals_tell_of_each_other_all_the_same(one: float, other: float):
    air = Air()
    first, second = watch(air, "a", one), watch(air, "b", other)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(agent.run()) for agent in (first, second)]
        await asyncio.sleep(1000)
        assert reasons(first) == reasons(second) == ["DuplicateAgent"]
        for task in tasks:
            task.cancel()
