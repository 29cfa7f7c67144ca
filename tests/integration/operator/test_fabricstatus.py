"""FabricStatus as a real API server keeps it and kubectl shows it."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.domain.pipe import PipeCondition
from citadel_k8s.local.parts import documents
from citadel_k8s.local.stack import Stack
from citadel_k8s.models.fabricstatus import FabricStatusStatus
from citadel_k8s.operator.fabricstatus import FabricStatusWriter
from tests.unit.operator.fakes import World

BROKEN = PipeCondition("False", "ArrivalCollapse", "3 of 3 nodes fell silent at once")


@pytest_asyncio.fixture
async def kube(stack: Stack) -> AsyncIterator[KubeClient]:
    client = await KubeClient.connect(stack.kubeconfig)
    await client.apply(documents("crds/fabricstatuses.yaml"))
    yield client
    await client.close()


async def columns(stack: Stack, *words: str) -> list[str]:
    command = [str(stack.kubectl), "--kubeconfig", str(stack.kubeconfig), "get", "fstatus", *words]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    aged = re.sub(r"\b(\d+[smhdy])+(?=\s|$)|<invalid>", "<age>", out.decode())
    return [re.sub(r"\s+", " ", line).strip() for line in aged.strip().splitlines()]


async def test_the_writer_makes_the_object_and_kubectl_shows_what_matters(
    stack: Stack, kube: KubeClient
) -> None:
    await kube.request(
        "DELETE", "/apis/fabric.aceteam.ai/v1alpha1/fabricstatuses", body={"kind": "DeleteOptions"}
    )
    world = World()
    world.clock = clock = ManualClock()
    for name in ("a", "b", "c"):
        world.beat(name)
    world.registry.quarantined["stranger"] = 0.0
    told = [PipeCondition("True", "Healthy", "heartbeats can arrive")]
    writer = FabricStatusWriter(kube, world.registry, lambda: told[0], clock, lambda: True, "op-1")

    async def run(seconds: int) -> None:
        for _ in range(seconds):
            await writer.step()
            clock.advance(1)

    await run(5)
    header = "NAME PIPELINE NODES REASON SINCE AGE"
    assert await columns(stack) == [header, "fabric True 3/3 Healthy <age> <age>"]
    told[0] = BROKEN
    await run(10)
    assert await columns(stack) == [header, "fabric False 3/3 ArrivalCollapse <age> <age>"]
    wide = await columns(stack, "-o", "wide")
    assert wide == [
        "NAME PIPELINE NODES REASON SINCE SILENT UNKNOWN-IDS LEADER CONFIRMED MESSAGE AGE",
        f"fabric False 3/3 ArrivalCollapse <age> 0 1 op-1 <age> {BROKEN.message} <age>",
    ]
    found = await kube.get_fabric_status("fabric")
    assert found is not None
    status = FabricStatusStatus.model_validate(found["status"])
    assert status.quarantined == ["stranger"]
    assert status.nodes is not None
    assert (status.nodes.total, status.nodes.online) == (3, 3)


@pytest.mark.parametrize("count", [0, 17])
async def test_more_ids_than_the_object_holds_are_counted(kube: KubeClient, count: int) -> None:
    world = World()
    world.registry.quarantined.update({f"{n:02}" + "x" * 62: 0.0 for n in range(count)})
    writer = FabricStatusWriter(
        kube, world.registry, lambda: BROKEN, world.clock, lambda: True, f"op-{count}"
    )
    for _ in range(5):
        await writer.step()
        world.clock.advance(1)
    found = await kube.get_fabric_status("fabric")
    assert found is not None
    assert len(found["status"]["quarantined"]) == min(16, count)
    assert found["status"]["quarantinedCount"] == count
