"""What one operator leaves, the next finds."""

import asyncio

import pytest

from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.memory import NODES, SPECS
from citadel_k8s.operator.records import KeptSpec
from citadel_k8s.operator.remembered import decoded
from tests.aio.operators import CountingStore, Operator, WorldClock, leader, running

pytestmark = pytest.mark.looptime


@pytest.fixture
def store() -> CountingStore:
    return CountingStore(WorldClock())


async def test_each_node_is_saved_within_five_seconds_and_then_only_when_it_spoke(store):
    one = leader(store)
    async with running(one):
        await asyncio.sleep(0.01)
        one.beat("a", "b", "c")
        await asyncio.sleep(5.1)
        assert set(store.of(NODES)) == {"a", "b", "c"}
        before = len(store.saves)
        one.beat("b")
        await asyncio.sleep(10)
        assert [s for s in store.saves[before:] if s[1]] == [(NODES, 1, 0)]
        ms = int(1000 * (one.world.clock.now() - 10))
        assert abs(decoded(store.of(NODES)["b"]).ms - ms) < 200


async def test_a_change_that_was_told_is_saved_at_once(store):
    one = leader(store)
    async with running(one):
        one.beat("a")
        await asyncio.sleep(6)
        one.move("a", NodeState.OFFLINE, "AgentSilent")
        await asyncio.sleep(0.2)
        assert decoded(store.of(NODES)["a"]).state == "Offline"


async def test_the_time_given_after_an_outage_is_saved_once_and_found_by_the_next(store):
    one, two = leader(store), Operator(store)
    async with running(one):
        one.beat("a")
        await asyncio.sleep(30)
        one.world.registry.defer(one.world.clock.monotonic())
        before = len(store.saves)
        await asyncio.sleep(10.1)
        assert [s for s in store.saves[before:] if s[1]] == [(NODES, 1, 0)]
        two.world.restore("a")
        await two.snapshot.load()
        assert two.world.live("a").deadline == pytest.approx(45, abs=0.1)


async def test_a_storm_of_changes_is_saved_in_chunks_and_not_one_by_one(store):
    one = leader(store)
    async with running(one):
        one.beat(*(f"n{i}" for i in range(2500)))
        await asyncio.sleep(6)
        before = len(store.saves)
        for i in range(2500):
            one.move(f"n{i}", NodeState.OFFLINE, "AgentSilent")
        await asyncio.sleep(0.2)
        assert [n for _, n, _ in store.saves[before:]] == [1000, 1000, 500]


async def test_nodes_that_are_gone_are_taken_out(store):
    await store.save_snapshot(NODES, {"long-gone": b"[]", "not/a node": b"x"})
    one = leader(store)
    async with running(one):
        one.beat("a", "b")
        await asyncio.sleep(6)
        del one.world.registry.nodes["b"]
        await asyncio.sleep(6)
        assert set(store.of(NODES)) == {"a"}


async def test_after_a_flush_all_is_written_anew(store):
    one = leader(store)
    async with running(one):
        one.beat("a", "b", "c")
        one.world.registry.kept_specs["a"] = KeptSpec({"maintenance": True}, 1_795_420_800.0)
        await asyncio.sleep(6)
        store.flush()
        await asyncio.sleep(10.1)
        assert set(store.of(NODES)) == {"a", "b", "c"}
        assert set(store.of(SPECS)) == {"a"}


async def test_while_redis_is_away_nothing_is_lost(store):
    one = leader(store)
    async with running(one):
        one.beat("a")
        await asyncio.sleep(6)
        store.down = "gone"
        one.move("a", NodeState.OFFLINE, "AgentSilent")
        one.beat("b")
        await asyncio.sleep(30)
        assert one.snapshot.trouble == "gone"
        store.down = ""
        await asyncio.sleep(5.1)
        assert decoded(store.of(NODES)["a"]).state == "Offline"
        assert "b" in store.of(NODES)
        assert one.snapshot.trouble is None
        name = "citadel_operator_snapshot_failures_total"
        assert one.metrics.registry.get_sample_value(name) >= 6


async def test_whoever_does_not_lead_writes_nothing(store):
    one = Operator(store)
    one.caught_up.set()
    async with running(one):
        one.beat("a")
        await asyncio.sleep(20)
        assert store.saves == []


async def test_a_deposed_leader_stops_in_the_middle_of_a_save(store):
    one = leader(store)
    async with running(one):
        await asyncio.sleep(1)
        one.beat(*(f"n{i}" for i in range(2500)))
        saving = store.save_snapshot

        async def once(name, fields, *, removed=()):
            one.depose()
            return await saving(name, fields, removed=removed)

        store.save_snapshot = once
        await asyncio.sleep(20)
        assert len(store.of(NODES)) == 1000


async def test_what_was_saved_is_given_to_the_next_registry_with_its_age(store):
    one = leader(store)
    async with running(one):
        one.beat("a", "b")
        one.world.registry.kept_specs["c"] = KeptSpec({"maintenance": True}, one.world.clock.now())
        await asyncio.sleep(6)
    await asyncio.sleep(20)
    two = Operator(store)
    recalled = {}
    two.world.registry.recall = lambda node_id, memory: recalled.update({node_id: memory})
    await two.snapshot.load()
    assert set(recalled) == {"a", "b"}
    assert 25.9 < recalled["a"].age < 26.1
    assert (recalled["a"].boot_id, recalled["a"].state) == ("boot-a", "Online")
    assert two.world.registry.kept_specs["c"].spec == {"maintenance": True}


async def test_garbage_is_passed_over_field_by_field_and_counted(store):
    one = leader(store)
    async with running(one):
        one.beat("a")
        await asyncio.sleep(6)
    old = {"b": b'{"state":"Online"}', "c": b"\xff", "d/e": store.of(NODES)["a"]}
    await store.save_snapshot(NODES, old)
    await store.save_snapshot(SPECS, {"x": b"nonsense"})
    two = Operator(store)
    recalled = []
    two.world.registry.recall = lambda node_id, memory: recalled.append(node_id)
    await two.snapshot.load()
    assert recalled == ["a"]
    name = "citadel_operator_snapshot_unreadable_total"
    assert two.metrics.registry.get_sample_value(name) == 4


async def test_specs_older_than_three_days_are_forgotten_and_taken_away(store):
    now = WorldClock().now()
    await store.save_snapshot(SPECS, {"old": b"[%d,{}]" % (now - 73 * 3600)})
    await store.save_snapshot(SPECS, {"young": b"[%d,{}]" % (now - 71 * 3600)})
    await store.save_snapshot(SPECS, {"ahead": b"[%d,{}]" % (now + 9e6)})
    one = leader(store)
    await one.snapshot.load()
    assert set(one.world.registry.kept_specs) == {"young", "ahead"}
    async with running(one):
        await asyncio.sleep(6)
    assert set(store.of(SPECS)) == {"young", "ahead"}


async def test_a_start_waits_for_redis(store):
    store.down = "loading"
    one = Operator(store)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(one.snapshot.load())
        await asyncio.sleep(30)
        assert not task.done()
        assert one.snapshot.trouble == "loading"
        store.down = ""
    assert one.snapshot.trouble is None
