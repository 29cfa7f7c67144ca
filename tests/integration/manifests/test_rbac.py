"""What the accounts may do: all that they need and nothing beyond."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.errors import KubeError

FABRIC = "/apis/fabric.aceteam.ai/v1alpha1"
NODES = f"{FABRIC}/fabricnodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"

ALL_OVER = {
    ("fabric.aceteam.ai", "fabricnodes", "get list watch create delete patch"),
    ("fabric.aceteam.ai", "fabricstatuses", "get create"),
    ("fabric.aceteam.ai", "fabricnodes/status", "patch"),
    ("fabric.aceteam.ai", "fabricstatuses/status", "patch"),
    ("", "nodes", "get list watch"),
}
IN_PLACES = {
    "citadel": {
        ("coordination.k8s.io", "leases", "create"),
        ("coordination.k8s.io", "leases:citadel-operator", "get update"),
    },
    "default": {("", "events", "create patch")},
    "kube-node-lease": {("coordination.k8s.io", "leases", "get list")},
    "kube-system": set[tuple[str, str, str]](),
}


@pytest_asyncio.fixture
async def operator(kube: KubeClient) -> AsyncIterator[KubeClient]:
    client = kube.with_token(await kube.create_token("citadel", "citadel-operator"))
    yield client
    await client.close()


@pytest_asyncio.fixture
async def agent(kube: KubeClient) -> AsyncIterator[KubeClient]:
    client = kube.with_token(await kube.create_token("citadel", "citadel-agent"))
    yield client
    await client.close()


async def rights(client: KubeClient, namespace: str) -> set[tuple[str, str, str]]:
    """Give (group, resource[:name], verbs), one line per resource, as the API server sees it."""
    answer = await client.request(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        body={"spec": {"namespace": namespace}},
    )
    assert not answer["status"].get("incomplete")
    return {
        (group, f"{resource}:{name}" if name else resource, " ".join(rule["verbs"]))
        for rule in answer["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    }


@pytest.mark.parametrize("namespace", list(IN_PLACES))
async def test_the_operator_has_the_rights_that_are_written_here_and_no_other(
    operator: KubeClient, agent: KubeClient, namespace: str
) -> None:
    everybody = await rights(agent, namespace)
    found = await rights(operator, namespace) - everybody
    assert found == ALL_OVER | IN_PLACES[namespace]


async def test_the_agent_has_no_rights_but_those_of_everybody(
    kube: KubeClient, agent: KubeClient, namespace: str
) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    await kube.apply([account | {"metadata": {"name": "nobody", "namespace": namespace}}])
    nobody = kube.with_token(await kube.create_token(namespace, "nobody"))
    for place in IN_PLACES:
        assert await rights(agent, place) == await rights(nobody, place)
    await nobody.close()


async def test_the_operator_can_do_its_work(operator: KubeClient, name: str) -> None:
    body = {"apiVersion": "fabric.aceteam.ai/v1alpha1", "kind": "FabricNode"}
    node = await operator.create_fabric_node(
        body | {"metadata": {"name": name}, "spec": {"nodeId": name}}
    )
    await operator.patch_fabric_node(name, {"spec": {"orgId": "o"}})
    await operator.patch_fabric_node_status(name, {"status": {"state": "Online"}})
    assert await operator.list_fabric_nodes()
    await operator.list_nodes()
    event = await operator.create_event(
        node, reason="Online", message="m", first_time="2026-01-01T00:00:00Z"
    )
    await operator.patch_event(event["metadata"]["name"], {"count": 2})
    assert await operator.delete_fabric_node(name, uid=node["metadata"]["uid"])


async def test_the_operator_can_tell_how_the_pipeline_fares(operator: KubeClient) -> None:
    one = {"apiVersion": "fabric.aceteam.ai/v1alpha1", "kind": "FabricStatus"}
    if await operator.get_fabric_status("fabric") is None:
        await operator.create_fabric_status(one | {"metadata": {"name": "fabric"}})
    condition = {
        "type": "HeartbeatPipelineHealthy",
        "status": "True",
        "reason": "Healthy",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    await operator.patch_fabric_status_status("fabric", {"status": {"conditions": [condition]}})


async def test_the_operator_sees_which_kubelets_are_alive(operator: KubeClient) -> None:
    answer = await operator.request(
        "GET", f"{LEASES}/kube-node-lease/leases", query={"resourceVersion": "0"}
    )
    assert answer["kind"] == "LeaseList"


async def test_the_operator_can_lead(kube: KubeClient, operator: KubeClient) -> None:
    metadata = {"name": "citadel-operator", "namespace": "citadel"}
    lease = await operator.create_lease({"metadata": metadata, "spec": {"holderIdentity": "a"}})
    await operator.replace_lease(lease | {"spec": {"holderIdentity": "b"}})
    assert await operator.get_lease("citadel", "citadel-operator") is not None
    await kube.request("DELETE", f"{LEASES}/citadel/leases/citadel-operator")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/secrets"),
        ("GET", "/api/v1/namespaces/citadel/secrets/citadel-redis"),
        ("GET", "/api/v1/namespaces/citadel/configmaps"),
        ("GET", "/api/v1/pods"),
        ("GET", "/api/v1/namespaces"),
        ("GET", "/api/v1/namespaces/default/events"),
        ("POST", "/api/v1/namespaces/citadel/events"),
        ("PATCH", "/api/v1/nodes/any"),
        ("PATCH", "/api/v1/nodes/any/status"),
        ("DELETE", "/api/v1/nodes/any"),
        ("GET", "/api/v1/nodes/any/proxy/metrics"),
        ("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"),
        ("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x"),
        ("DELETE", NODES),
        ("PUT", f"{NODES}/any"),
        ("PUT", f"{NODES}/any/status"),
        ("PATCH", f"{FABRIC}/fabricstatuses/fabric"),
        ("DELETE", f"{FABRIC}/fabricstatuses/fabric"),
        ("PATCH", f"{LEASES}/kube-node-lease/leases/any"),
        ("GET", f"{LEASES}/default/leases"),
        ("PATCH", f"{LEASES}/citadel/leases/citadel-operator"),
        ("DELETE", f"{ADMISSION}/validatingadmissionpolicies/citadel-operator-writes"),
        ("GET", f"{LEASES}/citadel/leases"),
        ("GET", f"{LEASES}/citadel/leases/other"),
        ("GET", f"{LEASES}/kube-system/leases/citadel-operator"),
        ("DELETE", f"{LEASES}/citadel/leases/citadel-operator"),
        ("POST", "/api/v1/namespaces/citadel/serviceaccounts/citadel-operator/token"),
        ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"),
    ],
)
async def test_the_operator_is_refused_what_is_not_its_work(
    operator: KubeClient, method: str, path: str
) -> None:
    body: dict[str, Any] | None = None if method == "GET" else {}
    with pytest.raises(KubeError) as caught:
        await operator.request(method, path, body=body)
    assert caught.value.status == 403


async def test_people_who_may_view_or_edit_may_view_or_edit_these(kube: KubeClient) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    selector = {"labelSelector": "rbac.authorization.k8s.io/aggregate-to-edit=true"}
    roles = (await kube.request("GET", path, query=selector))["items"]
    assert {"citadel-view", "citadel-edit"} <= {role["metadata"]["name"] for role in roles}
