"""What one operator leaves, the next finds; and nothing is told twice or never."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.broadcast import Broadcast
from citadel_k8s.operator.handover import Handover
from citadel_k8s.operator.memory import NODES, SPECS, Snapshot
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.records import KeptSpec
from citadel_k8s.operator.remembered import decoded
from citadel_k8s.stores.fake import FakeStatusStream
from tests.unit.operator.fakes import World

pytestmark = pytest.mark.looptime


class WorldClock:
    """The loop's time as both clocks."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        return 1_795_420_800 + asyncio.get_running_loop().time()


class CountingStore(FakeStatusStream):
    def __init__(self, clock) -> None:
        super().__init__(clock)
        self.saves: list[tuple[str, int, int]] = []
        self.reads = 0

    async def save_snapshot(self, name, fields, *, removed=()):
        self.saves.append((name, len(fields), len(removed)))
        return await super().save_snapshot(name, fields, removed=removed)

    async def load_snapshot(self, name):
        self.reads += 1
        return await super().load_snapshot(name)

    def of(self, name: str) -> dict[str, bytes]:
        return self._hashes.get(name, {})


class Operator:
    """Registry, snapshot, handover and broadcast of one operator; the test elects."""

    def __init__(self, store: CountingStore) -> None:
        self.world = World()
        self.world.clock = self.world.registry.clock = WorldClock()
        self.told: list[tuple[str, str, str]] = []
        self.term = 0
        self.led = asyncio.Event()
        self.metrics = OperatorMetrics()
        self.caught_up = asyncio.Event()
        self.snapshot = Snapshot(
            store, self.world.registry, self.world.clock, self.metrics, self.ready
        )
        self.broadcast = Broadcast(self.ready, [self._listen, self.snapshot.note])
        self.world.registry._on_transition = self.broadcast
        self.handover = Handover(
            self,
            self.caught_up,
            self.snapshot.told,
            lambda told: self.broadcast.catch_up(self.world.registry.nodes, told),
        )

    def leads(self) -> bool:
        return self.led.is_set()

    def ready(self) -> bool:
        return self.handover.ready()

    def elect(self) -> None:
        self.term += 1
        self.led.set()
        self.handover.begin()

    def depose(self) -> None:
        self.led.clear()

    def beat(self, *nodes: str) -> None:
        for node in nodes:
            self.world.beat(node)

    def move(self, node: str, state: NodeState, reason: str) -> None:
        """Let a node be in a state, as a heartbeat or silence would."""
        record = self.world.registry.nodes[node]
        before = record.live
        record.live = replace(before, state=state, reason=reason)
        self.broadcast(record, before)

    def _listen(self, record, before) -> None:
        self.told.append((record.node_id, before.state.value, record.live.state.value))


@asynccontextmanager
async def running(*operators: Operator) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(o.snapshot.run()) for o in operators]
        tasks += [group.create_task(o.handover.run()) for o in operators]
        yield
        for task in tasks:
            task.cancel()


@pytest.fixture
def store() -> CountingStore:
    return CountingStore(WorldClock())


def leader(store: CountingStore) -> Operator:
    operator = Operator(store)
    operator.caught_up.set()
    operator.elect()
    return operator


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


# --- taking over


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
