"""FabricNode and FabricStatus as a real API server takes them and kubectl shows them."""

import asyncio
import re
from typing import Any

import pytest

from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.errors import KubeError
from citadel_k8s.local.stack import Stack
from citadel_k8s.models.fabricnode import (
    AgentStatus,
    Condition,
    FabricNodeSpec,
    FabricNodeStatus,
    GpuStatus,
    Hardware,
    HeartbeatSpec,
    NodeState,
    ServiceStatus,
    Summary,
)

MOMENT = "2026-01-01T00:00:00Z"

NARROW = """\
NAME  STATE   READY  GPUS  UTIL  VRAM       MODELS    RUN/WAIT  CONFIRMED  AGE
{n}   Online  True   7/8   80%   512/640Gi  llama +1  3/1       <age>      <age>
"""

WIDE = """\
NAME STATE READY GPUS UTIL VRAM MODELS RUN/WAIT CONFIRMED AGE \
ORG ADDRESS GPU-MODEL DRIVER AGENT LAST-HEARTBEAT REASON
{n} Online True 7/8 80% 512/640Gi llama +1 3/1 <age> <age> \
acme 10.0.0.1 NVIDIA H100 580.1 0.1.0 <age> GpuFailed
"""


async def kubectl(stack: Stack, *words: str) -> str:
    command = [str(stack.kubectl), "--kubeconfig", str(stack.kubeconfig), *words]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, err.decode()
    return out.decode()


def shape(table: str) -> list[str]:
    """Give the lines of a table with one blank between cells and no ages."""
    aged = re.sub(r"\b(\d+[smhdy])+(?=\s|$)", "<age>", table)
    return [re.sub(r"\s+", " ", line).strip() for line in aged.strip().splitlines()]


def full_spec(name: str) -> FabricNodeSpec:
    return FabricNodeSpec(
        node_id=name,
        node_name=name,
        org_id="acme",
        heartbeat=HeartbeatSpec(interval_seconds=12.5, missed_heartbeats=3, skew_seconds=10),
        config={"anything": {"goes": [1, "two", None]}},
        maintenance=False,
        decommission=False,
    )


def full_status() -> FabricNodeStatus:
    condition = Condition(
        type="Ready",
        status="True",
        reason="Online",
        message="",
        last_transition_time=MOMENT,
        observed_generation=1,
    )
    summary = Summary(
        gpus="7/8",
        util="80%",
        vram="512/640Gi",
        models="llama +1",
        requests="3/1",
        address="10.0.0.1",
        gpu_model="NVIDIA H100",
        driver="580.1",
        agent="0.1.0",
        reason="GpuFailed",
    )
    return FabricNodeStatus(
        state=NodeState.ONLINE,
        conditions=[condition],
        agent=AgentStatus(version="0.1.0", boot_id="b"),
        addresses=["10.0.0.1", "fd7a::1"],
        hardware=Hardware(
            gpu_count=8,
            gpu_model="NVIDIA H100",
            gpu_memory_bytes=2**63 - 1,
            driver="580.1",
            cpu_count=96,
            memory_bytes=2**40,
        ),
        gpus=[GpuStatus(index=0, uuid="GPU-0", name="x", health="failed", reason="XID79")] * 16,
        more_gpus=1,
        services=[ServiceStatus(name="v", type="llm", health="ok", port=8000, models=["llama"])],
        more_services=2,
        summary=summary,
        confirmed_time=MOMENT,
        last_heartbeat_time="2026-01-01T00:00:00.123456789Z",
        config_revision="r1",
        observed_generation=1,
    )


async def create(kube: KubeClient, name: str, spec: dict[str, Any] | None = None) -> dict[str, Any]:
    whole = full_spec(name).model_dump(mode="json", by_alias=True, exclude_none=True)
    return await kube.create_fabric_node(
        {
            "apiVersion": "fabric.aceteam.ai/v1alpha1",
            "kind": "FabricNode",
            "metadata": {"name": name},
            "spec": whole if spec is None else spec,
        }
    )


async def create_with_status(kube: KubeClient, name: str) -> dict[str, Any]:
    await create(kube, name)
    status = full_status().model_dump(mode="json", by_alias=True, exclude_none=True)
    return await kube.patch_fabric_node_status(name, {"status": status})


async def test_every_field_of_the_model_is_kept(kube: KubeClient, name: str) -> None:
    kept = await create_with_status(kube, name)
    assert FabricNodeSpec.model_validate(kept["spec"]) == full_spec(name)
    assert FabricNodeStatus.model_validate(kept["status"]) == full_status()


async def test_the_table_reads_as_documented(stack: Stack, kube: KubeClient, name: str) -> None:
    await create_with_status(kube, name)
    for word in ("fabricnodes", "fabricnode", "fnode"):
        assert shape(await kubectl(stack, "get", word, name)) == shape(NARROW.format(n=name))
    wide = await kubectl(stack, "get", "fnode", name, "-o", "wide")
    assert shape(wide) == shape(WIDE.format(n=name))


async def test_all_kinds_are_listed_by_their_category(
    stack: Stack, kube: KubeClient, name: str
) -> None:
    await create(kube, name)
    status = {"apiVersion": "fabric.aceteam.ai/v1alpha1", "kind": "FabricStatus"}
    await kube.apply([status | {"metadata": {"name": "fabric"}}])
    listed = await kubectl(stack, "get", "fabric", "-o", "name")
    assert f"fabricnode.fabric.aceteam.ai/{name}\n" in listed
    assert "fabricstatus.fabric.aceteam.ai/fabric\n" in listed


async def test_nodes_are_picked_by_state_org_and_name(
    stack: Stack, kube: KubeClient, name: str
) -> None:
    await create_with_status(kube, name)
    other = f"{name}-other"
    await create(kube, other, {"nodeId": other, "orgId": "else"})
    await kube.patch_fabric_node_status(other, {"status": {"state": "Offline"}})

    async def picked(selector: str) -> set[str]:
        out = await kubectl(stack, "get", "fnode", "--field-selector", selector, "-o", "name")
        found = {line.rpartition("/")[2] for line in out.splitlines()}
        return found & {name, other}

    assert await picked("status.state=Offline") == {other}
    assert await picked("status.state!=Offline") == {name}
    assert await picked("spec.orgId=acme") == {name}
    assert await picked(f"spec.nodeName={name}") == {name}


@pytest.mark.parametrize("key", ["nodeName", "orgId", "nodeId"])
@pytest.mark.parametrize("value", ["other", None])
async def test_a_name_that_was_set_cannot_change(
    kube: KubeClient, name: str, key: str, value: str | None
) -> None:
    await create(kube, name)
    told = "Required value" if key == "nodeId" and value is None else f"{key} cannot change"
    with pytest.raises(KubeError, match=f"spec.{key}: .*{told}|{told}") as caught:
        await kube.patch_fabric_node(name, {"spec": {key: value}})
    assert caught.value.status == 422


async def test_a_name_that_is_missing_can_be_set_later(kube: KubeClient, name: str) -> None:
    await create(kube, name, {"nodeId": name})
    patched = await kube.patch_fabric_node(name, {"spec": {"nodeName": "k", "orgId": "o"}})
    assert patched["spec"] == {"nodeId": name, "nodeName": "k", "orgId": "o"}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"nodeId": ""},
        {"nodeId": "a/b"},
        {"nodeId": "x" * 65},
        {"nodeName": ""},
        {"orgId": "x" * 129},
        {"heartbeat": {"intervalSeconds": 4.9}},
        {"heartbeat": {"intervalSeconds": 301}},
        {"heartbeat": {"missedHeartbeats": 0}},
        {"heartbeat": {"missedHeartbeats": 1.5}},
        {"heartbeat": {"skewSeconds": -1}},
        {"config": ["a list"]},
        {"maintenance": "yes"},
    ],
)
async def test_a_spec_that_makes_no_sense_is_refused(
    kube: KubeClient, name: str, spec: dict[str, Any]
) -> None:
    whole = {"nodeId": name, **spec} if spec else {}
    with pytest.raises(KubeError, match="spec") as caught:
        await create(kube, name, whole)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    "status",
    [
        {"state": "Stale"},
        {"state": "online"},
        {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": MOMENT}]},
        {"confirmedTime": "yesterday"},
        {"addresses": ["a"] * 17},
        {"hardware": {"gpuMemoryBytes": 1.5}},
        {"gpus": [{"index": 0}]},
        {"summary": {"gpus": "1/1"}},
    ],
)
async def test_a_status_that_makes_no_sense_is_refused(
    kube: KubeClient, name: str, status: dict[str, Any]
) -> None:
    await create(kube, name)
    with pytest.raises(KubeError, match="status") as caught:
        await kube.patch_fabric_node_status(name, {"status": status})
    assert caught.value.status == 422


async def test_the_generation_counts_changes_of_the_spec_alone(kube: KubeClient, name: str) -> None:
    await create(kube, name)
    told = await kube.patch_fabric_node_status(name, {"status": {"state": "Online"}})
    asked = await kube.patch_fabric_node(name, {"spec": {"maintenance": True}})
    assert (told["metadata"]["generation"], asked["metadata"]["generation"]) == (1, 2)


async def test_there_is_one_fabric_status_and_its_columns_tell_the_pipeline(
    stack: Stack, kube: KubeClient, name: str
) -> None:
    one = {"apiVersion": "fabric.aceteam.ai/v1alpha1", "kind": "FabricStatus"}
    with pytest.raises(KubeError, match="its name is fabric"):
        await kube.create_fabric_status(one | {"metadata": {"name": name}})
    await kube.apply([one | {"metadata": {"name": "fabric"}}])
    condition = {
        "type": "HeartbeatPipelineHealthy",
        "status": "False",
        "reason": "StreamUnreachable",
        "lastTransitionTime": MOMENT,
    }
    status = {"conditions": [condition], "summary": {"nodes": "4980/5000"}}
    await kube.patch_fabric_status_status("fabric", {"status": status})
    assert shape(await kubectl(stack, "get", "fstatus")) == [
        "NAME PIPELINE NODES REASON SINCE AGE",
        "fabric False 4980/5000 StreamUnreachable <age> <age>",
    ]


async def test_kubectl_explains_the_fields(stack: Stack, kube: KubeClient) -> None:
    del kube
    explained = await kubectl(stack, "explain", "fabricnode.spec.heartbeat")
    assert "Seconds between heartbeats" in explained
