"""Projected service-account tokens of a real API server: bound to a pod on a node, and reviewed."""

import base64
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.local.kube import ISSUER, Kube
from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.postgres.clusters import Clusters
from citadel_k8s.stores.postgres.database import Database
from tests.integration.api.identity.rooms import Room, room

AUDIENCE = "citadel"
REVIEWER = "fabric-api"


async def ensure(kube: Kube, path: str, body: dict[str, Any]) -> dict[str, Any]:
    return await kube.request("POST", path, body)


@pytest_asyncio.fixture
async def pod(stack: Stack, namespace: str) -> dict[str, Any]:
    """A pod of service account ``agent`` on a node, as far as an API server alone can have one."""
    kube = stack.kube
    node = f"gpu-{secrets.token_hex(3)}"
    await ensure(kube, "/api/v1/nodes", {"metadata": {"name": node}})
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    for name in ("agent", "thief", "default"):
        await ensure(kube, accounts, {"metadata": {"name": name}})
    made = {}
    for account in ("agent", "thief"):
        made[account] = await ensure(
            kube,
            f"/api/v1/namespaces/{namespace}/pods",
            {
                "metadata": {"name": f"{account}-x"},
                "spec": {
                    "serviceAccountName": account,
                    "nodeName": node,
                    "automountServiceAccountToken": False,
                    "containers": [{"name": "c", "image": "none"}],
                },
            },
        )
    return {"namespace": namespace, "node": node, "pods": made}


@pytest_asyncio.fixture
async def kube(stack: Stack, namespace: str, tmp_path: Any) -> AsyncIterator[KubeClient]:
    """A client with the very rights that the chart is to give: review, and nothing else."""
    await ensure(
        stack.kube,
        f"/api/v1/namespaces/{namespace}/serviceaccounts",
        {"metadata": {"name": REVIEWER}},
    )
    subject = {"kind": "ServiceAccount", "name": REVIEWER, "namespace": namespace}
    for role in ("system:auth-delegator", "system:service-account-issuer-discovery"):
        await ensure(
            stack.kube,
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            {
                "metadata": {"name": f"{namespace}-{role}"},
                "subjects": [subject],
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": role,
                },
            },
        )
    config = await stack.kube.write_kubeconfig(tmp_path / "config", namespace, REVIEWER)
    client = await KubeClient.connect(config)
    yield client
    await client.close()


async def bound_token(
    kube: Kube, pod: dict[str, Any], account: str = "agent", *, audience: str = AUDIENCE
) -> str:
    """Give what the kubelet would project into the pod."""
    target = pod["pods"][account]["metadata"]
    path = f"/api/v1/namespaces/{pod['namespace']}/serviceaccounts/{account}/token"
    spec = {
        "audiences": [audience],
        "expirationSeconds": 3600,
        "boundObjectRef": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": target["name"],
            "uid": target["uid"],
        },
    }
    answer = await kube.request("POST", path, {"spec": spec})
    return str(answer["status"]["token"])


async def registered(
    stack: Stack, database: Database, pod: dict[str, Any], org_id: str = "acme", **more: Any
) -> None:
    admin = await KubeClient.connect(stack.kubeconfig)
    _, keys = await admin.issuer()
    await admin.close()
    given = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "jwks": keys,
        "service_accounts": [f"{pod['namespace']}/agent"],
    }
    await Clusters(database).add(org_id, "main", **(given | more))


async def who(here: Room, token: str) -> tuple[int, Any]:
    status, body, _ = await here.ask("GET", "/api/session", token=token)
    return status, body


@pytest.mark.parametrize("own", [True, False])
async def test_a_pods_token_speaks_for_its_node(
    stack: Stack, database: Database, pod: dict[str, Any], kube: KubeClient, *, own: bool
):
    await registered(stack, database, pod)
    token = await bound_token(stack.kube, pod)
    async with room(database, kube=kube if own else None) as here:
        status, body = await who(here, token)
        assert status == 200
        assert body["kind"] == "workload"
        assert body["orgId"] == "acme"
        assert body["nodeId"] == pod["node"]
        assert body["subject"] == f"workload:main/{pod['namespace']}/agent"


async def test_a_deleted_pods_token_is_refused_by_review_though_its_signature_holds(
    stack: Stack, database: Database, pod: dict[str, Any], kube: KubeClient
):
    await registered(stack, database, pod)
    token = await bound_token(stack.kube, pod)
    path = f"/api/v1/namespaces/{pod['namespace']}/pods/agent-x?gracePeriodSeconds=0"
    await stack.kube.request("DELETE", path)
    async with room(database, kube=kube) as here:
        status, body = await who(here, token)
        assert status == 401
        assert "vouches" in body["error_description"]
        assert token not in str(body)
    async with room(database) as elsewhere:
        assert (await who(elsewhere, token))[0] == 200


async def test_pods_of_other_service_accounts_and_audiences_are_refused(
    stack: Stack, database: Database, pod: dict[str, Any], kube: KubeClient
):
    await registered(stack, database, pod)
    async with room(database, kube=kube) as here:
        thief = await bound_token(stack.kube, pod, "thief")
        status, body = await who(here, thief)
        assert status == 401
        assert "service account" in body["error_description"]
        for audience in (ISSUER, "vault"):
            other = await bound_token(stack.kube, pod, audience=audience)
            assert (await who(here, other))[0] == 401
        assert (await who(here, await bound_token(stack.kube, pod)))[0] == 200


async def test_a_token_without_a_node_is_told_to_use_a_device_token(
    stack: Stack, database: Database, pod: dict[str, Any], kube: KubeClient
):
    await registered(stack, database, pod)
    loose = await stack.kube.create_token(pod["namespace"], "agent", audiences=[AUDIENCE])
    async with room(database, kube=kube) as here:
        status, body = await who(here, loose)
        assert status == 401
        assert "device token" in body["error_description"]


async def test_a_token_with_another_node_written_into_it_is_refused(
    stack: Stack, database: Database, pod: dict[str, Any], kube: KubeClient
):
    await registered(stack, database, pod)
    head, body, mark = (await bound_token(stack.kube, pod)).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["kubernetes.io"]["node"]["name"] = "gpu-of-another"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    async with room(database, kube=kube) as here:
        assert (await who(here, f"{head}.{forged}.{mark}"))[0] == 401


async def test_a_cluster_that_is_removed_is_believed_no_more(
    stack: Stack, database: Database, pod: dict[str, Any], kube: KubeClient
):
    await registered(stack, database, pod)
    token = await bound_token(stack.kube, pod)
    async with room(database, kube=kube) as here:
        assert (await who(here, token))[0] == 200
        _, theirs = await here.person(org_id="other", name="Eve")
        assert (await here.change("DELETE", "/api/orgs/clusters/main", theirs))[0] == 404
        assert (await who(here, token))[0] == 200
        _, ours = await here.person()
        _, listed, _ = await here.ask("GET", "/api/orgs/clusters", cookie=ours)
        assert listed["clusters"][0]["issuer"] == ISSUER
        assert (await here.change("DELETE", "/api/orgs/clusters/main", ours))[0] == 204
        assert (await who(here, token))[0] == 401


async def test_a_cluster_can_be_registered_by_an_admin(
    stack: Stack, database: Database, pod: dict[str, Any], kube: KubeClient
):
    _, jwks = await kube.issuer()
    body = {
        "clusterId": "main",
        "issuer": ISSUER,
        "jwks": jwks,
        "serviceAccounts": [f"{pod['namespace']}/agent"],
    }
    token = await bound_token(stack.kube, pod)
    async with room(database, kube=kube) as here:
        assert (await who(here, token))[0] == 401
        _, ours = await here.person()
        for bad in ({"jwks": {}}, {"jwks": {"keys": []}}, {"serviceAccounts": ["agent"]}):
            assert (await here.change("POST", "/api/orgs/clusters", ours, body | bad))[0] == 400
        assert (await here.change("POST", "/api/orgs/clusters", ours, body))[0] == 201
        status, found = await who(here, token)
        assert (status, found["nodeId"]) == (200, pod["node"])
        _, theirs = await here.person(org_id="other", name="Eve")
        status, _ = await here.change(
            "POST", "/api/orgs/clusters", theirs, body | {"clusterId": "mine"}
        )
        assert status == 409


async def test_a_disabled_orgs_pods_are_refused(
    stack: Stack, database: Database, pod: dict[str, Any], kube: KubeClient
):
    await registered(stack, database, pod)
    token = await bound_token(stack.kube, pod)
    async with room(database, kube=kube) as here:
        await here.orgs.disable("acme")
        assert (await who(here, token))[0] == 401
