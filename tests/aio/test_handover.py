"""Over a handover nothing is told twice or never."""

import asyncio
from collections import Counter

import pytest

from citadel_k8s.models.fabricnode import NodeState
from tests.aio.operators import CountingStore, Operator, WorldClock, leader, running

pytestmark = pytest.mark.looptime


@pytest.fixture
def store() -> CountingStore:
    return CountingStore(WorldClock())


async def both(store: CountingStore) -> tuple[Operator, Operator]:
    one, two = leader(store), Operator(store)
    two.caught_up.set()
    return one, two


async def test_a_change_in_the_gap_is_told_once_by_the_next(store):
    one, two = await both(store)
    async with running(one, two):
        one.beat("a", "b")
        two.beat("a", "b")
        await asyncio.sleep(6)
        one.depose()
        two.move("a", NodeState.OFFLINE, "AgentSilent")
        await asyncio.sleep(15)
        two.elect()
        await asyncio.sleep(6)
    assert two.told == [("a", "Online", "Offline")]


async def test_what_the_one_before_told_is_not_told_again(store):
    one, two = await both(store)
    async with running(one, two):
        one.beat("a")
        two.beat("a")
        await asyncio.sleep(6)
        for operator in (one, two):
            operator.move("a", NodeState.OFFLINE, "AgentSilent")
        await asyncio.sleep(0.2)  # killed before the object was written
        one.depose()
        two.elect()
        await asyncio.sleep(6)
    assert one.told[-1] == ("a", "Online", "Offline")
    assert two.told == []


async def test_a_node_back_in_the_gap_is_told_though_the_standby_first_saw_it_alive(store):
    one, two = await both(store)
    async with running(one, two):
        one.beat("a")
        two.beat("a")
        await asyncio.sleep(6)
        for operator in (one, two):
            operator.move("a", NodeState.OFFLINE, "AgentSilent")
        await asyncio.sleep(1)
        one.depose()
        two.move("a", NodeState.ONLINE, "Heartbeat")
        two.elect()
        await asyncio.sleep(1)
    assert two.told == [("a", "Offline", "Online")]


async def test_nothing_is_told_or_saved_before_the_stream_was_read_to_its_end(store):
    two = Operator(store)
    async with running(two):
        two.elect()
        two.beat("a")
        await asyncio.sleep(30)
        assert two.told == []
        assert store.saves == []
        two.caught_up.set()
        await asyncio.sleep(0.1)
        assert two.told == [("a", "Unknown", "Online")]


async def test_without_redis_the_objects_say_what_was_told(store):
    two = Operator(store)
    two.caught_up.set()
    async with running(two):
        two.beat("a")
        store.down = "gone"
        two.elect()
        await asyncio.sleep(3)
        assert not two.ready()
        await asyncio.sleep(3)
        assert two.ready()
        assert two.told == [("a", "Unknown", "Online")]


async def test_a_leader_that_is_deposed_while_it_takes_over_tells_nothing(store):
    two = Operator(store)
    two.caught_up.set()
    async with running(two):
        two.beat("a")
        store.down = "gone"
        two.elect()
        await asyncio.sleep(1)
        two.depose()
        store.down = ""
        await asyncio.sleep(10)
        assert two.told == []
        two.elect()
        await asyncio.sleep(0.1)
        assert two.told == [("a", "Unknown", "Online")]


async def test_over_many_handovers_each_change_is_told_exactly_once(store):
    one, two = await both(store)
    told: Counter[tuple[str, str]] = Counter()
    async with running(one, two):
        states = (NodeState.OFFLINE, NodeState.ONLINE)
        for operator in (one, two):
            operator.beat("a")
        for turn in range(40):
            await asyncio.sleep(0.3 if turn % 3 else 7)
            state = states[turn % 2]
            if turn % 4 == 1:
                one.depose()
                two.depose()
            for operator in (one, two):
                operator.move("a", state, f"Turn{turn}")
            if turn % 4 == 1:
                await asyncio.sleep(1)
                (one if turn % 8 == 1 else two).elect()
        await asyncio.sleep(1)
    for operator in (one, two):
        told.update((before, after) for _, before, after in operator.told)
    assert told == {("Unknown", "Online"): 1, ("Online", "Offline"): 20, ("Offline", "Online"): 20}
