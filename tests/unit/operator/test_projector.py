"""Bringing objects into line: seldom, the worst first, until it is done."""

import pytest
import structlog

from citadel_k8s.errors import KubeError
from citadel_k8s.operator import projector
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.projector import Projector
from tests.unit.domain.samples import gpu
from tests.unit.operator.fakes import FakeKube, World


class Setting:
    def __init__(self, org_id: str | None = None) -> None:
        self.world = World(org_id)
        self.kube = FakeKube()
        self.metrics = OperatorMetrics()
        self.projector = Projector(
            self.kube, self.world.registry, self.world.clock, self.metrics, jitter=lambda: 0.0
        )

    async def write(self) -> list[str]:
        """Do what is due now, and what that makes due."""
        written: list[str] = []
        for _ in range(5):
            chosen = self.projector.due()
            for node_id in chosen:
                await self.projector._write(node_id)
            written += chosen
        return written

    async def pass_time(self, seconds: float, **kwargs) -> None:
        for _ in range(int(seconds / 10)):
            self.world.clock.advance(10)
            self.world.beat(**kwargs)
            await self.write()

    def status(self, name: str = "gpu-1"):
        return self.kube.objects[name]["status"]


@pytest.fixture
def setting() -> Setting:
    return Setting()


async def test_a_new_node_gets_an_object_and_a_status(setting):
    setting.world.beat()
    await setting.write()
    assert setting.kube.requests == [("create", "gpu-1"), ("status", "gpu-1")]
    assert setting.kube.objects["gpu-1"]["spec"] == {"nodeId": "gpu-1"}
    assert setting.status()["state"] == "Online"


async def test_an_object_belongs_to_its_node_and_org():
    setting = Setting(org_id="acme")
    setting.world.registry.observe_kube_node(setting.kube.add_node("gpu-1", "node-uid"))
    setting.world.beat()
    await setting.write()
    made = setting.kube.objects["gpu-1"]
    assert made["spec"]["orgId"] == "acme"
    assert made["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Node", "name": "gpu-1", "uid": "node-uid"}
    ]


async def test_a_node_that_joins_the_cluster_later_adopts_its_object(setting):
    setting.world.beat()
    await setting.write()
    setting.world.registry.observe_kube_node(setting.kube.add_node("gpu-1", "node-uid"))
    setting.world.clock.advance(3)
    await setting.write()
    assert ("patch", "gpu-1") in setting.kube.requests
    assert setting.kube.objects["gpu-1"]["metadata"]["ownerReferences"][0]["uid"] == "node-uid"
    assert setting.kube.objects["gpu-1"]["spec"]["nodeName"] == "gpu-1"


async def test_a_steady_node_is_written_every_five_minutes(setting):
    setting.world.beat()
    await setting.write()
    setting.kube.requests.clear()
    await setting.pass_time(3600)
    assert len(setting.kube.requests) == pytest.approx(3600 / 300, abs=1)


async def test_a_changing_column_is_written_every_thirty_seconds_at_most(setting):
    setting.world.beat()
    await setting.write()
    setting.kube.requests.clear()
    for number in range(60):
        setting.world.clock.advance(10)
        busy = [gpu(0, utilization_percent=float(number * 37 % 100))]
        setting.world.beat(gpu=busy)
        await setting.write()
    texts = len(setting.kube.requests)
    assert 600 / 30 - 3 <= texts <= 600 / 30 + 2


async def test_offline_is_written_at_once(setting):
    setting.world.beat()
    await setting.write()
    setting.kube.requests.clear()
    setting.world.clock.advance(35)
    setting.world.silence()
    await setting.write()
    assert setting.kube.requests == [("status", "gpu-1")]
    assert setting.status()["state"] == "Offline"


async def test_what_somebody_wrote_into_the_status_is_put_right(setting):
    setting.world.beat()
    await setting.write()
    found = setting.kube.objects["gpu-1"]
    found["status"]["state"] = "Decommissioned"
    found["metadata"]["resourceVersion"] = "999"
    setting.world.registry.observe(found)
    setting.world.clock.advance(2)
    await setting.write()
    assert setting.status()["state"] == "Online"


async def test_an_object_deleted_unseen_is_made_anew(setting):
    setting.world.beat()
    await setting.write()
    setting.kube.objects.clear()
    setting.world.clock.advance(10)
    setting.world.beat(gpu=[gpu(0, health="failed", reason="GpuLost")])
    await setting.write()
    await setting.write()
    assert setting.status()["state"] == "Degraded"


async def test_an_object_deleted_while_it_is_written_is_nobodys_trouble(setting):
    setting.world.beat()
    await setting.write()
    setting.world.clock.advance(10)
    setting.world.beat(gpu=[gpu(0, health="failed", reason="GpuLost")])
    (node_id,) = setting.projector.due()
    gone = setting.kube.objects.pop("gpu-1")

    async def deleted(name, patch):
        setting.world.registry.forget_object(name, gone["metadata"]["uid"])
        raise KubeError(404, "it is not there")

    setting.projector.api.patch_fabric_node_status, kept = deleted, FakeKube()
    await setting.projector._write(node_id)
    assert "gpu-1" not in setting.projector._refusals
    setting.projector.api = kept
    await setting.write()
    assert kept.objects["gpu-1"]["status"]["state"] == "Degraded"


async def test_an_api_server_that_is_away_is_asked_less_and_less_and_told_all_when_it_is_back(
    setting,
):
    setting.world.beat()
    setting.kube.fault = KubeError(0, "connection refused")
    for _ in range(600):
        await setting.write()
        setting.world.clock.advance(0.1)
    assert 3 <= len(setting.kube.requests) <= 12
    setting.kube.fault = None
    setting.world.clock.advance(60)
    await setting.write()
    assert setting.status()["state"] == "Online"


async def test_a_server_that_asks_to_wait_is_left_alone_by_all_nodes(setting):
    setting.world.beat("gpu-1")
    setting.kube.fault = KubeError(429, "too many requests", retry_after=20)
    await setting.write()
    setting.kube.fault = None
    setting.world.beat("gpu-2")
    setting.world.clock.advance(19)
    assert await setting.write() == []
    setting.world.clock.advance(2)
    await setting.write()
    assert set(setting.kube.objects) == {"gpu-1", "gpu-2"}


async def test_an_object_that_the_server_refuses_does_not_hold_up_the_others(setting):
    setting.kube.objects["gpu-1"] = {"metadata": {"uid": "x"}}
    setting.world.beat("gpu-1")
    setting.world.beat("gpu-2")
    await setting.write()
    assert setting.status("gpu-2")["state"] == "Online"


async def test_the_worst_states_are_written_first(setting):
    for number in range(12):
        setting.world.beat(f"gpu-{number}", boot=f"b{number}")
    while await setting.write():
        setting.world.clock.advance(1)
    setting.world.clock.advance(5)
    for number in range(11):
        setting.world.beat(f"gpu-{number}", gpu=[gpu(0, health="failed", reason="GpuLost")])
    setting.world.clock.advance(30)
    for number in range(11):
        setting.world.beat(f"gpu-{number}", gpu=[gpu(0, health="failed", reason="GpuLost")])
    setting.world.silence()
    assert setting.projector.due()[0] == "gpu-11"


async def test_a_large_fleet_is_written_within_the_rate(setting):
    for number in range(200):
        setting.world.beat(f"gpu-{number}")
    begun = len(await setting.write())
    assert begun <= 50
    setting.world.clock.advance(1)
    assert len(await setting.write()) <= 50


async def test_a_restored_node_that_was_not_heard_yet_is_not_touched(setting):
    setting.world.beat()
    await setting.write()
    stored = setting.kube.objects["gpu-1"]
    fresh = Setting()
    fresh.kube.objects["gpu-1"] = stored
    fresh.world.registry.observe(stored)
    await fresh.write()
    assert fresh.kube.requests == []


async def test_a_restart_does_not_write_what_is_still_true(setting):
    setting.world.beat()
    await setting.write()
    stored = setting.kube.objects["gpu-1"]
    fresh = Setting()
    fresh.kube.objects["gpu-1"] = stored
    fresh.world.registry.observe(stored)
    fresh.world.beat()
    await fresh.write()
    assert fresh.kube.requests == []


async def test_a_restarted_operator_writes_nothing_for_a_node_that_goes_on_as_before(setting):
    setting.world.beat()
    await setting.pass_time(60)
    successor = Setting()
    clock = setting.world.clock
    successor.world.clock = successor.world.registry.clock = successor.projector.clock = clock
    successor.world._seq = setting.world._seq
    successor.world.registry.observe(setting.kube.objects["gpu-1"])
    await successor.pass_time(60)
    assert successor.kube.requests == []


async def test_a_node_of_which_nothing_can_be_made_does_not_stop_the_others(setting):
    setting.world.beat("gpu-1")
    setting.world.beat("gpu-2")
    setting.world.registry.nodes["gpu-1"].heard_ms = 2**63  # a date beyond all calendars
    await setting.write()
    await setting.pass_time(60, node_id="gpu-2")
    assert setting.status("gpu-2")["state"] == "Online"
    assert setting.projector.due() == []


async def test_one_object_that_the_server_fails_on_does_not_hold_up_the_others(setting):
    for number in range(100):
        setting.world.beat(f"n{number:03}")
    ask = setting.kube._ask

    def fail_on_one(what: str, name: str) -> None:
        ask(what, name)
        if name == "n000":
            raise KubeError(500, "failed calling webhook")

    setting.kube._ask = fail_on_one
    for _ in range(20):
        setting.world.clock.advance(0.5)
        await setting.write()
    assert len(setting.kube.objects) == 99


async def test_what_the_server_does_not_keep_is_not_written_again_and_again(setting):
    touch = setting.kube._touch

    def prune(name: str):
        setting.kube.objects[name]["status"].pop("moreGpus", None)
        return touch(name)

    setting.kube._touch = prune
    gpus = [gpu(index) for index in range(64)]
    setting.world.beat(gpu=gpus)
    await setting.write()
    await setting.pass_time(290, gpu=gpus)
    assert setting.kube.requests == [("create", "gpu-1"), ("status", "gpu-1")]
    gpus[0] = gpu(0, health="failed", reason="GpuLost")
    await setting.pass_time(10, gpu=gpus)
    assert setting.status()["state"] == "Degraded"


async def test_a_write_whose_answer_was_lost_is_made_again_until_the_server_answers(setting):
    setting.world.beat()
    await setting.write()
    setting.world.clock.advance(35)
    setting.world.silence()
    patch = setting.kube.patch_fabric_node_status

    async def cut_off(name, document):
        setting.world.registry.observe(await patch(name, document))  # as the watch tells it
        raise KubeError(0, "connection lost")

    setting.kube.patch_fabric_node_status = cut_off
    await setting.write()
    assert setting.projector.trouble == "connection lost"
    setting.kube.patch_fabric_node_status = patch
    setting.world.clock.advance(3)
    await setting.write()
    assert setting.projector.trouble is None


async def test_a_short_wait_does_not_end_a_longer_one(setting):
    setting.world.beat("gpu-1")
    setting.world.beat("gpu-2")
    setting.kube.fault = KubeError(429, "too many requests", retry_after=20)
    first, second = setting.projector.due()
    await setting.projector._write(first)
    setting.kube.fault = KubeError(500, "no")
    await setting.projector._write(second)
    setting.kube.fault = None
    setting.world.clock.advance(19)
    assert await setting.write() == []


@pytest.mark.parametrize("status", [0, 200, 401, 403, 429, 500, 502, 503, 504])
async def test_what_every_write_would_get_is_the_servers_trouble(setting, status):
    setting.world.beat()
    setting.kube.fault = KubeError(status, "no")
    await setting.write()
    assert setting.projector.trouble == "no"


@pytest.mark.parametrize("status", [-2, -1, 400, 409, 413, 422])
async def test_what_one_write_gets_is_not_the_servers_trouble(setting, status):
    setting.world.beat()
    setting.kube.fault = KubeError(status, "no")
    await setting.write()
    assert setting.projector.trouble is None


async def test_a_refused_object_is_tried_seldom_however_much_happens_to_it(setting):
    setting.kube.objects["gpu-1"] = {"metadata": {"uid": "x"}}  # another's, under this name
    for number in range(60):
        setting.world.beat(gpu=[gpu(0, utilization_percent=float(number * 37 % 100))])
        await setting.write()
        setting.world.clock.advance(5)
    assert 300 / 30 <= len(setting.kube.requests) <= 300 / 30 + 6


async def test_a_server_that_does_not_answer_a_write_is_told_soon(setting):
    setting.world.beat()
    assert setting.projector.due() == ["gpu-1"]
    setting.world.clock.advance(4)
    assert setting.projector.trouble is None
    setting.world.clock.advance(3)
    assert setting.projector.trouble == "no answer to a write for 7 s"


async def test_an_object_refused_for_good_is_one_line_however_well_the_others_fare(setting):
    setting.kube.objects["gpu-1"] = {"metadata": {"uid": "x"}}
    setting.world.beat("gpu-1")
    setting.world.beat("gpu-2")
    with structlog.testing.capture_logs() as lines:
        await setting.write()
        await setting.pass_time(700, node_id="gpu-2")
    assert [(line["event"], line["node"]) for line in lines] == [("write_refused", "gpu-1")]


async def test_a_state_is_told_however_many_others_are_to_be_looked_at(setting, monkeypatch):
    for number in range(30):
        setting.world.restore(f"gpu-{number}")
        setting.world.beat(f"gpu-{number}")
    monkeypatch.setattr(projector, "LOOK_SECONDS", 0.0)
    setting.world.restore("down", state="Offline")
    setting.world.beat("down", boot_id="anew")
    assert setting.world.state("down") == "Online"
    setting.world.clock.advance(3)
    assert set(await setting.write()) == {"down"}
    monkeypatch.setattr(projector, "LOOK_SECONDS", 1.0)
    setting.world.clock.advance(15)
    assert set(await setting.write()) <= {f"gpu-{number}" for number in range(30)}
    assert not setting.projector._unlooked


async def test_an_echo_of_a_write_makes_nobody_look(setting):
    setting.world.beat()
    await setting.write()
    registry = setting.world.registry
    due, observed = registry.checks.get("gpu-1"), registry.nodes["gpu-1"].observed
    registry.observe(setting.kube.objects["gpu-1"])
    assert registry.checks.get("gpu-1") == due > setting.world.clock.monotonic()
    assert registry.nodes["gpu-1"].observed is observed
