"""Who may write how nodes fare, on a real API server: not even a role that is too wide helps."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.errors import KubeError
from citadel_k8s.local.stack import Stack
from tests.integration.manifests.conftest import documents

GROUP = "fabric.aceteam.ai"
RBAC = "rbac.authorization.k8s.io"
NODE = {"apiVersion": f"{GROUP}/v1alpha1", "kind": "FabricNode"}
STATUS = {"apiVersion": f"{GROUP}/v1alpha1", "kind": "FabricStatus"}
FORBIDDEN = 403
ONLINE = {"status": {"state": "Online"}}

ALL_BUT_REPAIR = ["get", "list", "watch", "create", "update", "patch", "delete"]

Account = Callable[[str, list[dict[str, Any]]], Awaitable[KubeClient]]


@pytest_asyncio.fixture
async def account(kube: KubeClient, namespace: str) -> AsyncIterator[Account]:
    """Make accounts with a role each; gives clients that are them."""
    clients: list[KubeClient] = []

    async def make(name: str, rules: list[dict[str, Any]]) -> KubeClient:
        whole = f"{namespace}-{name}"
        role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": whole}
        subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        await kube.apply(
            [
                {
                    "apiVersion": "v1",
                    "kind": "ServiceAccount",
                    "metadata": {"name": name, "namespace": namespace},
                },
                {
                    "apiVersion": f"{RBAC}/v1",
                    "kind": "ClusterRole",
                    "metadata": {"name": whole},
                    "rules": rules,
                },
                {
                    "apiVersion": f"{RBAC}/v1",
                    "kind": "ClusterRoleBinding",
                    "metadata": {"name": whole},
                    "roleRef": role,
                    "subjects": [subject],
                },
            ]
        )
        client = kube.with_token(await kube.create_token(namespace, name))
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


def rules_of(role: str) -> list[dict[str, Any]]:
    """Give the rules of a role of the manifests: here no controller gathers them."""
    (found,) = (
        d for d in documents() if d["kind"] == "ClusterRole" and d["metadata"]["name"] == role
    )
    return found["rules"]


@pytest_asyncio.fixture
async def operator(kube: KubeClient) -> AsyncIterator[KubeClient]:
    client = kube.with_token(await kube.create_token("citadel", "citadel-operator"))
    yield client
    await client.close()


@pytest_asyncio.fixture
async def node(operator: KubeClient, name: str) -> str:
    """A FabricNode as the operator makes it."""
    body = NODE | {"metadata": {"name": name}, "spec": {"nodeId": name}}
    await operator.create_fabric_node(body)
    return name


async def refused(call: Awaitable[Any], told: str = "forbidden") -> None:
    with pytest.raises(KubeError, match=told) as caught:
        await call
    assert caught.value.status == FORBIDDEN


async def enforced(client: KubeClient, node: str) -> None:
    """Wait until the policy holds: the API server takes a new one on after a moment."""
    async with asyncio.timeout(30):
        while True:
            try:
                await client.patch_fabric_node_status(node, ONLINE)
            except KubeError as error:
                if error.status == FORBIDDEN:
                    return
                raise
            await asyncio.sleep(0.2)


@pytest_asyncio.fixture
async def wide(account: Account, node: str) -> KubeClient:
    """Give an account whose role is too wide: all that rights can give but one verb."""
    everything = {"apiGroups": [GROUP], "resources": ["*"], "verbs": ALL_BUT_REPAIR}
    client = await account("wide", [everything])
    await enforced(client, node)
    return client


async def test_only_the_operator_writes_how_a_node_fares(
    operator: KubeClient, wide: KubeClient, node: str
) -> None:
    await refused(wide.patch_fabric_node_status(node, ONLINE), "only the operator")
    path = f"/apis/{GROUP}/v1alpha1/fabricnodes/{node}"
    whole = await wide.request("GET", path)
    await refused(wide.request("PUT", f"{path}/status", body=whole | ONLINE), "only the operator")
    told = await operator.patch_fabric_node_status(node, ONLINE)
    assert told["status"] == {"state": "Online"}


async def test_only_the_operator_writes_how_the_pipeline_fares(
    operator: KubeClient, wide: KubeClient
) -> None:
    fabric = STATUS | {"metadata": {"name": "fabric"}}
    await refused(wide.create_fabric_status(fabric), "only the operator")
    if await operator.get_fabric_status("fabric") is None:
        await operator.create_fabric_status(fabric)
    await refused(wide.patch_fabric_status_status("fabric", {"status": {}}), "only the operator")
    await operator.patch_fabric_status_status("fabric", {"status": {"conditions": []}})


@pytest.mark.parametrize("key", ["nodeName", "orgId"])
async def test_only_the_operator_says_which_node_it_is(
    operator: KubeClient, wide: KubeClient, node: str, key: str
) -> None:
    await refused(wide.patch_fabric_node(node, {"spec": {key: "mine"}}), "operator's to set")
    await operator.patch_fabric_node(node, {"spec": {key: "x"}})
    await wide.patch_fabric_node(node, {"spec": {"maintenance": True}})
    with pytest.raises(KubeError) as caught:
        await wide.patch_fabric_node(node, {"spec": {key: None}})
    assert caught.value.status in {403, 422}


async def test_an_object_made_by_hand_lets_an_unknown_node_in_and_says_nothing_of_it(
    wide: KubeClient, name: str
) -> None:
    spec = {"nodeId": name}
    body = NODE | {"metadata": {"name": f"{name}-x"}, "spec": spec}
    made = await wide.create_fabric_node(body | ONLINE)
    assert "status" not in made


async def test_who_has_all_verbs_may_repair_and_who_is_given_the_one(
    account: Account, wide: KubeClient, node: str
) -> None:
    del wide  # the policy holds
    admin = await account("admin", [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])
    await admin.patch_fabric_node_status(node, {"status": {"state": "Offline"}})
    await admin.patch_fabric_node(node, {"spec": {"orgId": "mended"}})
    resources = ["fabricnodes", "fabricnodes/status"]
    given = {"apiGroups": [GROUP], "resources": resources, "verbs": ["get", "patch", "repair"]}
    mender = await account("mender", [given])
    await mender.patch_fabric_node_status(node, ONLINE)


async def test_whoever_may_edit_says_what_a_node_is_to_have_and_not_how_it_fares(
    account: Account, node: str
) -> None:
    editor = await account("editor", rules_of("citadel-edit") + rules_of("citadel-view"))
    asked = await editor.patch_fabric_node(
        node,
        {"spec": {"config": {"deviceName": "rack 7"}, "maintenance": True, "decommission": False}},
    )
    assert asked["spec"]["config"] == {"deviceName": "rack 7"}
    await refused(editor.patch_fabric_node_status(node, ONLINE))
    await refused(editor.delete_fabric_node(node))
    await refused(editor.create_fabric_node(NODE | {"metadata": {"name": f"{node}-2"}, "spec": {}}))
    await refused(editor.patch_fabric_node(node, {"spec": {"orgId": "mine"}}))


async def test_whoever_may_view_changes_nothing(account: Account, node: str) -> None:
    viewer = await account("viewer", rules_of("citadel-view"))
    assert await viewer.get_fabric_node(node)
    await refused(viewer.patch_fabric_node(node, {"spec": {"maintenance": True}}))
    await refused(viewer.patch_fabric_node_status(node, ONLINE))


async def test_the_agents_account_does_nothing_at_all(kube: KubeClient, node: str) -> None:
    agent = kube.with_token(await kube.create_token("citadel", "citadel-agent"))
    await refused(agent.get_fabric_node(node))
    await refused(agent.list_fabric_nodes())
    await refused(agent.patch_fabric_node(node, {"spec": {"maintenance": True}}))
    await refused(agent.patch_fabric_node_status(node, ONLINE))
    await refused(agent.list_nodes())
    await agent.close()


@pytest.mark.parametrize(
    "words",
    [
        ("get", "fabricnodes"),
        ("patch", "fabricnode", "NODE", "--type=merge", "-p", '{"spec":{"maintenance":true}}'),
        (
            "patch", "fabricnode", "NODE", "--type=merge", "--subresource=status",
            "-p", '{"status":{"state":"Online"}}',
        ),
        ("delete", "fabricnode", "NODE"),
    ],
)  # fmt: skip
async def test_a_node_of_the_cluster_says_nothing_of_itself(
    stack: Stack, node: str, words: tuple[str, ...]
) -> None:
    as_node = [f"--as=system:node:{node}", "--as-group=system:nodes"]
    as_node += ["--as-group=system:authenticated"]
    told = await denied(stack, *(node if word == "NODE" else word for word in words), *as_node)
    assert "Forbidden" in told


async def test_a_policy_leaves_the_rest_of_the_cluster_alone(
    account: Account, wide: KubeClient, namespace: str
) -> None:
    del wide  # the policy holds
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}
    somebody = await account("somebody", [rule])
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    await somebody.request("POST", path, body={"metadata": {"name": "x"}})


async def denied(stack: Stack, *words: str) -> str:
    command = [str(stack.kubectl), "--kubeconfig", str(stack.kubeconfig), *words]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode != 0
    return err.decode()
