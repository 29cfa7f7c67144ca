"""What is cleared up, by whom, and what is left alone."""

from dataclasses import replace
from typing import Any

import pytest

from citadel_k8s.errors import KubeError, StreamError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.housekeeping import Housekeeping
from citadel_k8s.stores.fake import FakeStatusStream
from citadel_k8s.stores.housekeeping import ConfigGroup
from tests.unit.operator.fakes import METRICS, FakeKube, World

HOUR = 3600.0


class Groups:
    """Groups in memory: seconds of idleness by node id."""

    def __init__(self) -> None:
        self.known: dict[str, float | None] = {}
        self.looks = 0
        self.down = False

    async def nodes(self) -> list[str]:
        self.looks += 1
        if self.down:
            raise StreamError("gone")
        return list(self.known)

    async def idle(self, node_ids) -> list[ConfigGroup]:
        return [ConfigGroup(id_, self.known[id_]) for id_ in node_ids if id_ in self.known]

    async def destroy(self, node_id: str) -> bool:
        return self.known.pop(node_id, 0) != 0

    async def close(self) -> None:
        pass


class House:
    def __init__(self) -> None:
        self.world = World()
        self.kube = FakeKube()
        self.stream = FakeStatusStream(self.world.clock)
        self.groups = Groups()
        self.metrics = METRICS()
        self.leads = True
        self.removed: list[tuple[str, str]] = []
        self.keeping = Housekeeping(
            self.stream,
            self.groups,
            self.kube,
            self.world.registry,
            self.world.clock,
            self.metrics,
            lambda: self.leads,
            self.world.clock.monotonic,
            72.0,
            on_removed=lambda record, reason: self.removed.append((record.node_id, reason)),
        )

    async def add(self, name: str = "gpu-1", owner: str | None = None, **status: Any) -> None:
        owners = [{"kind": "Node", "name": name, "uid": owner}] if owner else []
        body = {"metadata": {"name": name, "ownerReferences": owners}, "spec": {"nodeId": name}}
        raw = await self.kube.create_fabric_node(body)
        self.world.registry.observe({**raw, "status": {"state": "Offline", **status}})

    def put(self, state: NodeState, node: str = "gpu-1", **more: Any) -> None:
        record = self.world.registry.nodes[node]
        now = self.world.clock.monotonic()
        record.live = replace(record.live, state=state, since=now, **more)

    def silent_since(self, hours: float) -> dict[str, Any]:
        return {"lastHeartbeatTime": format_timestamp(self.world.clock.now() - hours * HOUR)}

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"citadel_operator_{name}_total", labels)


@pytest.fixture
def house() -> House:
    return House()


async def test_entries_are_dropped_after_a_quarter_of_an_hour(house):
    now = int(house.world.clock.now() * 1000)
    for minutes in (20, 16, 14, 1):
        house.stream.put({}, at_ms=now - minutes * 60_000)
    await house.keeping.once()
    assert (await house.stream.head()).length == 2
    assert house.metric("stream_trimmed_entries") == 2


async def test_whoever_does_not_lead_clears_nothing_up(house):
    house.leads = False
    house.stream.put({}, at_ms=1)
    house.groups.known["gone"] = 100 * HOUR
    await house.add(**house.silent_since(100))
    house.world.clock.advance(HOUR)
    await house.keeping.once()
    assert (await house.stream.head()).length == 1
    assert set(house.groups.known) == {"gone"}
    assert set(house.kube.objects) == {"gpu-1"}


async def test_one_trouble_keeps_nothing_else_from_being_cleared_up(house):
    house.groups.known = {"gone": 73 * HOUR}
    await house.add(**house.silent_since(100))
    house.kube.fault = KubeError(500, "broken")
    house.world.clock.advance(HOUR)
    await house.keeping.once()
    assert house.groups.known == {}
    house.kube.fault = None
    await house.keeping.once()
    assert house.kube.objects == {}


async def test_an_object_that_the_server_keeps_does_not_keep_the_others(house):
    for name in ("gpu-1", "gpu-2", "gpu-3"):
        await house.add(name, **house.silent_since(100))
    delete = house.kube.delete_fabric_node

    async def guarded(name, *, uid=None):
        if name != "gpu-3":
            raise KubeError(403, "a webhook guards it")
        return await delete(name, uid=uid)

    house.kube.delete_fabric_node = guarded
    house.world.clock.advance(HOUR)
    for _ in range(3):
        await house.keeping.once()
    assert set(house.kube.objects) == {"gpu-1", "gpu-2"}
    house.kube.delete_fabric_node = delete
    await house.keeping.once()
    assert house.kube.objects == {}
    await house.keeping.once()
    assert house.keeping._refused == set()


async def test_without_redis_nobody_is_given_up(house):
    await house.add(**house.silent_since(100))
    house.world.clock.advance(HOUR)
    house.stream.down = "gone"
    await house.keeping.once()
    assert set(house.kube.objects) == {"gpu-1"}


# --- groups


async def test_a_group_goes_when_nobody_asked_in_its_name_for_three_days(house):
    house.groups.known = {"gone": 73 * HOUR, "away": 71 * HOUR, "here": 0.1}
    await house.keeping.once()
    assert set(house.groups.known) == {"away", "here"}
    assert house.metric("config_groups_destroyed") == 1


async def test_the_group_of_a_node_that_is_known_stays(house):
    await house.add("known")
    house.groups.known = {"known": 1000 * HOUR}
    await house.keeping.once()
    assert set(house.groups.known) == {"known"}


async def test_a_group_that_nobody_ever_used_goes_three_days_after_it_was_seen(house):
    house.groups.known = {"never": None}
    for _ in range(73):
        await house.keeping.once()
        assert set(house.groups.known) == {"never"}
        house.world.clock.advance(HOUR)
    await house.keeping.once()
    assert house.groups.known == {}


async def test_groups_are_looked_at_once_an_hour_and_again_after_a_failure(house):
    for _ in range(5):
        await house.keeping.once()
    assert house.groups.looks == 1
    house.world.clock.advance(HOUR)
    house.groups.down = True
    await house.keeping.once()
    house.groups.down = False
    await house.keeping.once()
    assert house.groups.looks == 3


# --- objects


async def test_a_node_outside_the_cluster_is_given_up_after_its_time(house):
    await house.add(**house.silent_since(71))
    house.world.clock.advance(0.9 * HOUR)
    await house.keeping.once()
    assert set(house.kube.objects) == {"gpu-1"}
    house.world.clock.advance(0.2 * HOUR)
    await house.keeping.once()
    assert house.kube.objects == {}
    assert house.removed == [("gpu-1", "OfflineTooLong")]
    assert not house.world.registry.nodes
    assert house.metric("objects_removed", reason="OfflineTooLong") == 1


async def test_right_after_a_start_dates_are_not_believed(house):
    await house.add(**house.silent_since(1000))
    house.world.clock.advance(60)
    await house.keeping.once()
    assert set(house.kube.objects) == {"gpu-1"}


async def test_a_date_of_this_machine_that_is_wrong_gives_nobody_up(house):
    await house.add(**house.silent_since(1))
    house.world.registry.nodes["gpu-1"].heard_ms = int(house.world.clock.now() * 1000)
    house.world.clock.advance(HOUR)
    await house.keeping.once()
    assert set(house.kube.objects) == {"gpu-1"}


@pytest.mark.parametrize("status", [{}, {"lastHeartbeatTime": "long ago"}])
async def test_a_node_without_a_date_is_not_given_up(house, status):
    await house.add(**status)
    house.world.clock.advance(1000 * HOUR)
    await house.keeping.once()
    assert set(house.kube.objects) == {"gpu-1"}


async def test_a_node_of_the_cluster_is_not_given_up(house):
    await house.add(owner="n1", **house.silent_since(100))
    await house.add("gpu-2", **house.silent_since(100))
    house.world.registry.observe_kube_node(house.kube.add_node("gpu-2", "n2"))
    house.world.clock.advance(HOUR)
    await house.keeping.once()
    assert set(house.kube.objects) == {"gpu-1", "gpu-2"}


async def test_a_node_that_speaks_while_another_is_deleted_keeps_its_object(house):
    await house.add("gpu-1", **house.silent_since(100))
    await house.add("gpu-2", **house.silent_since(100))
    house.world.clock.advance(HOUR)
    delete = house.kube.delete_fabric_node

    async def delete_and_hear(name: str, *, uid: str | None = None) -> bool:
        for other in {"gpu-1", "gpu-2"} - {name}:
            house.put(NodeState.ONLINE, other)
        return await delete(name, uid=uid)

    house.kube.delete_fabric_node = delete_and_hear
    await house.keeping.once()
    assert len(house.kube.objects) == 1
    assert len(house.removed) == 1


async def test_a_decommissioned_node_goes_once_it_is_silent(house):
    await house.add()
    house.put(NodeState.DECOMMISSIONED, last_beat=house.world.clock.monotonic())
    house.world.clock.advance(30)
    await house.keeping.once()
    assert set(house.kube.objects) == {"gpu-1"}
    house.world.clock.advance(10)
    await house.keeping.once()
    assert house.removed == [("gpu-1", "Decommissioned")]


@pytest.mark.parametrize("status", [404, 409])
async def test_an_object_that_is_another_by_now_is_left_to_the_watch(house, status):
    await house.add(**house.silent_since(100))
    house.world.clock.advance(HOUR)
    house.kube.fault = KubeError(status, "not that one")
    await house.keeping.once()
    assert house.removed == []
    assert "gpu-1" in house.world.registry.nodes


async def test_a_fleet_given_up_by_mistake_goes_slowly(house):
    for number in range(150):
        await house.add(f"n{number}", **house.silent_since(100))
    house.world.clock.advance(HOUR)
    await house.keeping.once()
    assert len(house.kube.objects) == 50
