"""The right to cordon, on an API server of its own: the shared one gives it to nobody."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.domain import cordoning
from citadel_k8s.errors import KubeError
from citadel_k8s.local.binaries import Binaries
from citadel_k8s.local.parts import documents
from citadel_k8s.local.stack import Stack

NODES = "/api/v1/nodes"
FORBIDDEN = 403
TAINT = cordoning.Taint.parse("fabric.aceteam.ai/broken:NoSchedule")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(binaries: Binaries) -> AsyncIterator[KubeClient]:
    async with Stack(binaries=binaries) as running:
        client = await KubeClient.connect(running.kubeconfig)
        await client.apply(documents("namespace.yaml", "rbac.yaml"))
        metadata = {
            "name": "gpu-1",
            "labels": {"nvidia.com/gpu.present": "true"},
            "annotations": {"somebody": "else"},
            "finalizers": ["kept.example.org/here"],
        }
        await client.request("POST", NODES, body={"metadata": metadata, "spec": {}})
        yield client
        await client.close()


@pytest_asyncio.fixture(loop_scope="module")
async def operator(admin: KubeClient) -> AsyncIterator[KubeClient]:
    client = admin.with_token(await admin.create_token("citadel", "citadel-operator"))
    yield client
    await client.close()


@pytest_asyncio.fixture(loop_scope="module")
async def bounded(admin: KubeClient, operator: KubeClient) -> KubeClient:
    """Give the operator with the right, and with what binds it, which the server takes on late."""
    await admin.apply(documents("cordon.yaml"))
    async with asyncio.timeout(30):
        while True:
            try:
                await operator.patch_node("gpu-1", {"metadata": {"annotations": {"tried": "x"}}})
            except KubeError as error:
                if "the operator sets no annotation" in str(error):
                    return operator
            await admin.patch_node("gpu-1", {"metadata": {"annotations": {"tried": None}}})
            await asyncio.sleep(0.2)


async def refused(client: KubeClient, patch: dict[str, Any], told: str = "forbidden") -> None:
    with pytest.raises(KubeError, match=told) as caught:
        await client.patch_node("gpu-1", patch)
    assert caught.value.status == FORBIDDEN


async def test_without_the_further_right_the_operator_changes_no_node(operator: KubeClient) -> None:
    await refused(operator, {"spec": {"unschedulable": True}})


async def test_with_it_the_operator_cordons_and_uncordons(
    admin: KubeClient, bounded: KubeClient
) -> None:
    node = await admin.request("GET", f"{NODES}/gpu-1")
    node = await bounded.patch_node("gpu-1", cordoning.cordoning(node, ["GPU 3 GpuLost"], 8, TAINT))
    assert node["spec"]["unschedulable"] is True
    node = await bounded.patch_node("gpu-1", cordoning.uncordoning(node, TAINT))
    assert "unschedulable" not in node["spec"]
    assert node["metadata"]["annotations"] == {"somebody": "else"}


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}},
        {"metadata": {"labels": {"nvidia.com/gpu.present": None}}},
        {"metadata": {"annotations": {"somebody": "me"}}},
        {"metadata": {"annotations": {"somebody": None}}},
        {"metadata": {"finalizers": ["x.example.org/y"]}},
        {"metadata": {"finalizers": ["kept.example.org/here", "x.example.org/y"]}},
        {"metadata": {"finalizers": None}},
        {"spec": {"providerID": "x://y"}},
        {"spec": {"podCIDR": "10.0.0.0/24"}},
    ],
)
async def test_and_changes_nothing_else_of_a_node(
    bounded: KubeClient, patch: dict[str, Any]
) -> None:
    await refused(bounded, patch, "the operator")
