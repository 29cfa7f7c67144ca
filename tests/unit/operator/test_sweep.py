"""What a watch forgot, a LIST tells."""

import pytest

from citadel_k8s.errors import KubeError
from citadel_k8s.operator.sweep import REFUSED_MAX, RETRY_DELAY, Sweep, retry_delay
from tests.unit.operator.fakes import FakeKube, World


class Setting:
    def __init__(self, selector: str | None = None) -> None:
        self.world = World()
        self.kube = FakeKube()
        self.sweep = Sweep(self.kube, self.world.registry, self.world.clock, selector)

    async def add(self, name: str, owner: str | None = None) -> None:
        owners = [{"kind": "Node", "name": name, "uid": owner}] if owner else []
        body = {"metadata": {"name": name, "ownerReferences": owners}, "spec": {"nodeId": name}}
        await self.kube.create_fabric_node(body)


async def test_a_sweep_finds_objects_and_nodes():
    setting = Setting()
    await setting.add("gpu-1")
    setting.kube.add_node("gpu-1", "n1")
    await setting.sweep.once()
    assert set(setting.world.registry.nodes) == {"gpu-1"}
    assert set(setting.world.registry.kube_nodes) == {"gpu-1"}


async def test_an_object_deleted_while_nobody_watched_is_forgotten():
    setting = Setting()
    await setting.add("gpu-1")
    await setting.sweep.once()
    setting.kube.objects.clear()
    await setting.sweep.once()
    assert not setting.world.registry.nodes


async def test_a_living_node_whose_object_was_deleted_unseen_is_due_for_a_new_one():
    setting = Setting()
    await setting.add("gpu-1")
    await setting.sweep.once()
    setting.world.beat()
    list(setting.world.registry.checks.pop_due(1e9))
    setting.kube.objects.clear()
    await setting.sweep.once()
    assert setting.world.registry.nodes["gpu-1"].observed is None
    assert setting.world.registry.checks.get("gpu-1") is not None


async def test_the_object_of_a_node_that_left_the_cluster_is_deleted():
    setting = Setting()
    await setting.add("gpu-1", owner="n1")
    await setting.sweep.once()
    assert not setting.kube.objects
    assert not setting.world.registry.nodes


async def test_the_object_of_a_node_that_still_speaks_is_kept():
    setting = Setting()
    await setting.add("gpu-1", owner="n1")
    setting.world.beat()
    await setting.sweep.once()
    assert setting.kube.objects


async def test_the_object_of_a_node_without_a_kube_node_is_kept():
    setting = Setting()
    await setting.add("bare-metal")
    await setting.sweep.once()
    assert setting.kube.objects


async def test_a_node_that_only_lost_its_label_keeps_its_object():
    setting = Setting(selector="gpu=true")
    setting.kube.add_node("gpu-1", "n1", other="true")
    await setting.add("gpu-1", owner="n1")
    await setting.sweep.once()
    assert setting.kube.objects


async def test_a_failed_list_changes_nothing():
    setting = Setting()
    await setting.add("gpu-1")
    await setting.sweep.once()
    setting.kube.fault = KubeError(500, "no")
    with pytest.raises(KubeError):
        await setting.sweep.once()
    assert set(setting.world.registry.nodes) == {"gpu-1"}


async def test_an_orphan_that_somebodys_finalizer_holds_is_deleted_once():
    setting = Setting()
    await setting.add("gpu-1", owner="n1")
    setting.kube.objects["gpu-1"]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    for _ in range(3):
        await setting.sweep.once()
    assert ("delete", "gpu-1") not in setting.kube.requests
    assert set(setting.world.registry.nodes) == {"gpu-1"}


@pytest.mark.parametrize(
    ("asked", "waits"), [(None, RETRY_DELAY), (1.0, RETRY_DELAY), (20.0, 20.0), (3600.0, 60.0)]
)
def test_a_sweep_waits_as_long_as_the_server_asks_within_reason(asked, waits):
    assert retry_delay(KubeError(429, "too many requests", asked)) == waits


async def test_an_operator_that_does_not_lead_deletes_no_orphans():
    setting = Setting()
    setting.sweep.leads = lambda: False
    await setting.add("gpu-1", owner="uid-of-a-node-that-is-gone")
    await setting.sweep.once()
    assert set(setting.kube.objects) == {"gpu-1"}
    assert set(setting.world.registry.nodes) == {"gpu-1"}


async def test_a_sweep_that_breaks_off_forgets_nobody():
    setting = Setting()
    for number in range(5):
        await setting.add(f"gpu-{number}")
    await setting.sweep.once()
    whole = setting.kube.fabric_node_chunks

    async def broken():
        async for chunk in whole():
            yield chunk
            raise KubeError(500, "away")

    setting.kube.fabric_node_chunks = broken
    with pytest.raises(KubeError):
        await setting.sweep.once()
    assert len(setting.world.registry.nodes) == 5


@pytest.mark.parametrize("status", [403, 422, 500])
async def test_a_deletion_that_is_refused_is_no_failed_sweep_and_keeps_no_other_orphan(status):
    setting = Setting()
    for name in ("gpu-1", "gpu-2", "gpu-3"):
        await setting.add(name, owner="gone")
    delete = setting.kube.delete_fabric_node

    async def guarded(name, *, uid=None):
        if name == "gpu-1":
            raise KubeError(status, "a webhook guards it")
        return await delete(name, uid=uid)

    setting.kube.delete_fabric_node = guarded
    await setting.sweep.once()
    assert set(setting.kube.objects) == {"gpu-1"}


@pytest.mark.parametrize(("status", "times"), [(403, REFUSED_MAX), (0, 1)])
async def test_a_server_that_takes_no_deletion_is_not_asked_for_all_of_them(status, times):
    setting = Setting()
    for number in range(REFUSED_MAX + 5):
        await setting.add(f"gpu-{number}", owner="gone")
    asked = []

    async def refuse(name, *, uid=None):
        asked.append((name, uid))
        raise KubeError(status, "no rights")

    setting.kube.delete_fabric_node = refuse
    await setting.sweep.once()
    assert len(asked) == times


async def test_the_object_of_a_node_that_came_during_the_sweep_is_no_orphan():
    setting = Setting()
    whole = setting.kube.fabric_node_chunks

    async def later():
        setting.world.kube_node("gpu-1")
        await setting.add("gpu-1", owner="node-gpu-1")
        async for chunk in whole():
            yield chunk

    setting.kube.fabric_node_chunks = later
    await setting.sweep.once()
    assert set(setting.kube.objects) == {"gpu-1"}


async def test_an_object_of_which_nothing_can_be_made_keeps_no_other_from_being_seen():
    setting = Setting()
    for name in ("gpu-1", "gpu-2"):
        await setting.add(name)
    observe = setting.world.registry.observe

    def picky(raw):
        if raw["metadata"]["name"] == "gpu-1":
            raise TypeError("unforeseen")
        observe(raw)

    setting.world.registry.observe = picky
    await setting.sweep.once()
    assert set(setting.world.registry.nodes) == {"gpu-2"}
