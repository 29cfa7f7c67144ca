"""The Kubernetes client against a real API server."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from citadel_k8s.clients.kube import EVENT_NAMESPACE, KubeClient
from citadel_k8s.errors import ConfigError, KubeError
from citadel_k8s.local.stack import Stack

CRDS = Path(__file__).parents[3] / "manifests" / "crds"


@pytest_asyncio.fixture
async def kube(stack: Stack) -> AsyncIterator[KubeClient]:
    client = await KubeClient.connect(stack.kubeconfig)
    await client.apply(yaml.safe_load(file.read_text()) for file in sorted(CRDS.glob("*.yaml")))
    yield client
    await client.close()


@pytest.fixture
def name() -> str:
    return f"n-{secrets.token_hex(4)}"


def fabric_node(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "fabric.aceteam.ai/v1alpha1",
        "kind": "FabricNode",
        "metadata": {"name": name},
        "spec": {"nodeId": name, **spec},
    }


async def test_a_fabric_node_is_created_patched_and_deleted(kube: KubeClient, name: str) -> None:
    created = await kube.create_fabric_node(fabric_node(name))
    assert created["metadata"]["uid"]
    patched = await kube.patch_fabric_node(name, {"spec": {"maintenance": True}})
    assert patched["spec"] == {"nodeId": name, "maintenance": True}
    both = {"spec": {"maintenance": None}, "status": {"state": "Online"}}
    told = await kube.patch_fabric_node_status(name, both)
    assert (told["spec"]["maintenance"], told["status"]) == (True, {"state": "Online"})
    assert (await kube.get_fabric_node(name)) == told
    assert await kube.delete_fabric_node(name) is True
    assert await kube.delete_fabric_node(name) is False
    assert await kube.get_fabric_node(name) is None


async def test_a_null_in_a_patch_removes_a_key(kube: KubeClient, name: str) -> None:
    await kube.create_fabric_node(fabric_node(name))
    await kube.patch_fabric_node_status(name, {"status": {"state": "Online", "moreGpus": 3}})
    told = await kube.patch_fabric_node_status(name, {"status": {"moreGpus": None}})
    assert told["status"] == {"state": "Online"}


async def test_a_second_of_the_same_name_is_a_conflict(kube: KubeClient, name: str) -> None:
    await kube.create_fabric_node(fabric_node(name))
    with pytest.raises(KubeError, match="already exists") as caught:
        await kube.create_fabric_node(fabric_node(name))
    assert caught.value.status == 409


async def test_a_patch_of_what_is_not_there_says_so(kube: KubeClient, name: str) -> None:
    for call in (kube.patch_fabric_node, kube.patch_fabric_node_status):
        with pytest.raises(KubeError, match=name) as caught:
            await call(name, {})
        assert caught.value.status == 404


async def test_only_the_object_that_was_meant_is_deleted(kube: KubeClient, name: str) -> None:
    old = await kube.create_fabric_node(fabric_node(name))
    await kube.delete_fabric_node(name, uid=old["metadata"]["uid"])
    new = await kube.create_fabric_node(fabric_node(name))
    with pytest.raises(KubeError) as caught:
        await kube.delete_fabric_node(name, uid=old["metadata"]["uid"])
    assert caught.value.status == 409
    assert await kube.delete_fabric_node(name, uid=new["metadata"]["uid"]) is True


async def test_a_list_gives_all_chunks(kube: KubeClient, name: str) -> None:
    names = {f"{name}-{i}" for i in range(7)}
    for each in names:
        await kube.create_fabric_node(fabric_node(each))
    listed = [node["metadata"]["name"] for node in await kube.list_fabric_nodes(chunk=2)]
    assert names <= set(listed)
    assert len(listed) == len(set(listed))


async def test_nodes_are_picked_by_their_labels(kube: KubeClient, name: str) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"x": name}}}
    condition = {"type": "Ready", "status": "True", "reason": "Fine", "message": ""}
    await kube.apply([node | {"status": {"conditions": [condition]}}])
    (found,) = await kube.list_nodes(label_selector=f"x={name}")
    assert found["metadata"]["name"] == name
    assert found["status"]["conditions"][0]["status"] == "True"
    assert name in {node["metadata"]["name"] for node in await kube.list_nodes()}


async def test_an_event_is_told_once_and_counted_on(kube: KubeClient, name: str) -> None:
    node = await kube.create_fabric_node(fabric_node(name))
    event = await kube.create_event(
        node,
        reason="Offline",
        message="x" * 3000,
        first_time="2026-01-01T00:00:00Z",
        kind="Warning",
    )
    assert event["involvedObject"]["uid"] == node["metadata"]["uid"]
    assert (event["count"], event["type"]) == (1, "Warning")
    patch = {"count": 1000, "lastTimestamp": "2026-01-01T00:01:00Z"}
    assert (await kube.patch_event(event["metadata"]["name"], patch))["count"] == 1000
    query = {"fieldSelector": f"involvedObject.name={name}"}
    path = f"/api/v1/namespaces/{EVENT_NAMESPACE}/events"
    assert len((await kube.request("GET", path, query=query))["items"]) == 1


async def test_a_lease_changes_hands_only_from_its_newest_version(
    kube: KubeClient, namespace: str
) -> None:
    metadata = {"name": "leader", "namespace": namespace}
    assert await kube.get_lease(namespace, "leader") is None
    lease = await kube.create_lease({"metadata": metadata, "spec": {"holderIdentity": "a"}})
    newer = await kube.replace_lease(lease | {"spec": {"holderIdentity": "b"}})
    with pytest.raises(KubeError) as caught:
        await kube.replace_lease(lease | {"spec": {"holderIdentity": "c"}})
    assert caught.value.status == 409
    assert await kube.get_lease(namespace, "leader") == newer


async def test_whoever_holds_a_token_is_that_account(kube: KubeClient, namespace: str) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    await kube.apply([account | {"metadata": {"name": "someone", "namespace": namespace}}])
    someone = kube.with_token(await kube.create_token(namespace, "someone"))
    with pytest.raises(KubeError, match=f"system:serviceaccount:{namespace}:someone") as caught:
        await someone.list_nodes()
    assert caught.value.status == 403
    await someone.close()
    stranger = kube.with_token("nonsense")
    with pytest.raises(KubeError) as caught:
        await stranger.list_nodes()
    assert caught.value.status == 401
    await stranger.close()


async def test_what_was_applied_can_be_applied_again_and_changed(
    kube: KubeClient, namespace: str
) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    config["metadata"]["namespace"] = namespace
    await kube.apply([config | {"data": {"a": "1", "b": "1"}}, {}])
    await kube.apply([config | {"data": {"a": "2"}}])
    path = f"/api/v1/namespaces/{namespace}/configmaps/c"
    assert (await kube.request("GET", path))["data"] == {"a": "2"}


async def test_a_kind_that_nobody_knows_is_refused_by_name(kube: KubeClient) -> None:
    unknown = {"apiVersion": "v1", "kind": "Unheard", "metadata": {"name": "x"}}
    with pytest.raises(KubeError, match="knows no Unheard in v1"):
        await kube.apply([unknown])


async def test_a_definition_is_served_when_apply_returns(kube: KubeClient) -> None:
    group = f"g{secrets.token_hex(4)}.example.org"
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }
    thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "t"}}
    await kube.apply([definition, thing])
    found = await kube.request("GET", f"/apis/{group}/v1/namespaces/default/things")
    assert [item["metadata"]["name"] for item in found["items"]] == ["t"]


async def test_a_server_that_hangs_is_given_up_in_time(stack: Stack, tmp_path: Path) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(swallow, "127.0.0.1", 0)
    config = yaml.safe_load(stack.kubeconfig.read_text())
    port = silent.sockets[0].getsockname()[1]
    config["clusters"][0]["cluster"]["server"] = f"http://127.0.0.1:{port}"
    (tmp_path / "silent.conf").write_text(yaml.safe_dump(config))
    async with silent:
        client = await KubeClient.connect(tmp_path / "silent.conf", timeout=0.2)
        with pytest.raises(KubeError, match=r"no answer within 0\.2 s") as caught:
            await client.list_nodes()
        await client.close()
        await asyncio.sleep(0.05)  # for the silent server to see the end of the connection
    assert caught.value.status == 0


async def test_a_kubeconfig_without_its_certificates_is_refused_by_name(
    stack: Stack, tmp_path: Path
) -> None:
    config = yaml.safe_load(stack.kubeconfig.read_text())
    config["users"][0]["user"] = {"client-certificate": "/none.crt", "client-key": "/none.key"}
    broken = tmp_path / "broken.conf"
    broken.write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigError, match="broken"):
        await KubeClient.connect(broken)
