"""Events and cordons on a real API server."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from prometheus_client import CollectorRegistry

from citadel_k8s.aio.clock import ManualClock, SystemClock
from citadel_k8s.clients.kube import EVENT_NAMESPACE, KubeClient
from citadel_k8s.config.operator import Cordon as Settings
from citadel_k8s.domain.liveness import Policy
from citadel_k8s.errors import KubeError
from citadel_k8s.local.stack import Stack
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.cordon import CLEAN, SETTLE, Cordon
from citadel_k8s.operator.events import Recorder
from citadel_k8s.operator.newsmetrics import NewsMetrics
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.registry import Registry
from tests.unit.domain.samples import gpu
from tests.unit.operator.fakes import World

CRDS = Path(__file__).parents[3] / "manifests" / "crds"


@pytest_asyncio.fixture
async def kube(stack: Stack) -> AsyncIterator[KubeClient]:
    client = await KubeClient.connect(stack.kubeconfig)
    await client.apply(yaml.safe_load(file.read_text()) for file in sorted(CRDS.glob("*.yaml")))
    yield client
    await client.close()


@pytest.fixture
def reason() -> str:
    return f"Storm{secrets.token_hex(4)}"


async def events_of(kube: KubeClient, reason: str) -> list[dict[str, Any]]:
    path = f"/api/v1/namespaces/{EVENT_NAMESPACE}/events"
    found = await kube.request("GET", path, query={"fieldSelector": f"reason={reason}"})
    items: list[dict[str, Any]] = found["items"]
    return items


async def recording(kube: KubeClient, tell: Callable[[Recorder], None], seconds: float) -> None:
    metrics = NewsMetrics(CollectorRegistry())
    recorder = Recorder(kube, SystemClock(), metrics, lambda: True)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(recorder.run())
        tell(recorder)
        await asyncio.sleep(seconds)
        task.cancel()


def lost(name: str, reason: str, uid: str | None = None) -> tuple[NodeRecord, Any]:
    world = World()
    world.beat(name)
    record = world.registry.nodes[name]
    before = record.live
    record.live = replace(before, state=NodeState.OFFLINE, reason=reason, message="no heartbeat")
    if uid is not None:
        world.restore(name)
        assert record.observed is not None
        record.observed = replace(record.observed, uid=uid)
    return record, before


async def test_one_node_a_thousand_times_is_one_event_with_a_count(
    kube: KubeClient, reason: str
) -> None:
    name = f"n-{secrets.token_hex(4)}"
    body = {
        "apiVersion": "fabric.aceteam.ai/v1alpha1",
        "kind": "FabricNode",
        "metadata": {"name": name},
        "spec": {"nodeId": name},
    }
    uid = (await kube.create_fabric_node(body))["metadata"]["uid"]
    record, before = lost(name, reason, uid)

    def storm(recorder: Recorder) -> None:
        for _ in range(1000):
            recorder.told(record, before)

    await recording(kube, storm, 4)
    (event,) = await events_of(kube, reason)
    assert (event["count"], event["type"]) == (1000, "Warning")
    assert event["involvedObject"]["name"] == name
    assert event["involvedObject"]["uid"] == uid


async def test_a_thousand_nodes_once_are_one_event_with_a_count(
    kube: KubeClient, reason: str
) -> None:
    first, before = lost("gpu-0", reason)

    def storm(recorder: Recorder) -> None:
        for number in range(1000):
            name = f"gpu-{number}"
            recorder.told(replace(first, node_id=name, name=name), before)

    await recording(kube, storm, 4)
    (event,) = await events_of(kube, reason)
    assert event["count"] == 1000
    assert event["message"] == "1,000 nodes: gpu-0, gpu-1, gpu-2 and 997 more"
    assert (event["involvedObject"]["kind"], event["involvedObject"]["name"]) == (
        "FabricStatus", "fabric",
    )  # fmt: skip


async def test_a_count_is_patched_into_the_event_that_is_there(
    kube: KubeClient, reason: str
) -> None:
    metrics, clock = NewsMetrics(CollectorRegistry()), ManualClock()
    recorder = Recorder(kube, clock, metrics, lambda: True)
    for count in (1, 2, 3):
        recorder.tell(reason, "again")
        clock.advance(11)
        await recorder.flush()
        (event,) = await events_of(kube, reason)
        assert event["count"] == count


class Cluster:
    """Twenty Nodes of the API server, one of them with a broken GPU."""

    def __init__(self, kube: KubeClient) -> None:
        self.kube = kube
        self.clock = ManualClock()
        self.registry = Registry(self.clock, Policy(), None, lambda *_: None)
        self.names = [f"c-{secrets.token_hex(4)}" for _ in range(20)]
        self.told: list[str] = []
        self.cordon = Cordon(
            Settings(mode="on", taint="example.org/broken=gpu:NoSchedule"),
            kube,
            self.registry,
            self.clock,
            NewsMetrics(CollectorRegistry()),
            self,
            lambda: True,
        )

    def tell(self, reason: str, _: str, **__: Any) -> None:
        self.told.append(reason)

    async def start(self) -> None:
        for name in self.names:
            body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
            self.registry.observe_kube_node(
                await self.kube.request("POST", "/api/v1/nodes", body=body)
            )
        self.break_gpu(broken=True)

    def break_gpu(self, *, broken: bool) -> None:
        world = World()
        gpus = [gpu(i) for i in range(8)]
        if broken:
            gpus[0] = gpu(0, health="failed", reason="GpuLost")
        world.beat("x", gpu=gpus)
        known = world.registry.nodes["x"]
        name = self.names[0]
        self.registry.nodes[name] = replace(known, node_id=name, name=name)

    async def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 5)):
            self.clock.advance(5)
            await self.cordon.once()

    async def node(self) -> dict[str, Any]:
        found = await self.kube.get_node(self.names[0])
        assert found is not None
        return found


@pytest_asyncio.fixture
async def cluster(kube: KubeClient) -> AsyncIterator[Cluster]:
    scene = Cluster(kube)
    await scene.start()
    yield scene
    for name in scene.names:
        await kube.request("DELETE", f"/api/v1/nodes/{name}")


async def test_a_node_is_cordoned_tainted_and_freed_without_a_trace(cluster: Cluster) -> None:
    before = await cluster.node()
    await cluster.pass_time(SETTLE + 10)
    node = await cluster.node()
    assert node["spec"]["unschedulable"] is True
    assert {"key": "example.org/broken", "value": "gpu", "effect": "NoSchedule"} in node["spec"][
        "taints"
    ]
    assert node["metadata"]["annotations"]["fabric.aceteam.ai/cordoned-by"] == "citadel-operator"
    cluster.break_gpu(broken=False)
    await cluster.pass_time(CLEAN + 10)
    after = await cluster.node()
    assert after["spec"] == before["spec"]
    assert after["metadata"].get("annotations") == before["metadata"].get("annotations")
    assert cluster.told == ["Cordoned", "Uncordoned"]


async def test_a_person_with_kubectl_uncordon_wins(cluster: Cluster) -> None:
    await cluster.pass_time(SETTLE + 10)
    name = cluster.names[0]
    await cluster.kube.patch_node(name, {"spec": {"unschedulable": None}})
    await cluster.pass_time(300)
    node = await cluster.node()
    assert "unschedulable" not in node["spec"]
    assert "fabric.aceteam.ai/cordoned-by" not in node["metadata"]["annotations"]
    assert cluster.told == ["Cordoned", "CordonDeclined"]


async def test_a_patch_of_an_older_version_is_refused(cluster: Cluster) -> None:
    node = await cluster.node()
    version = node["metadata"]["resourceVersion"]
    name = cluster.names[0]
    await cluster.kube.patch_node(name, {"metadata": {"labels": {"a": "b"}}})
    stale = {"metadata": {"resourceVersion": version}, "spec": {"unschedulable": True}}
    with pytest.raises(KubeError) as caught:
        await cluster.kube.patch_node(name, stale)
    assert caught.value.status == 409
    assert await cluster.kube.get_node("nobody") is None
