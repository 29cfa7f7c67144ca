"""``kubectl fabric`` before a real API server, and before none."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.local.stack import Stack
from tests.integration.cli.conftest import Fabric, command, environ
from tests.integration.manifests.conftest import documents

HOSTILE = "\x1b]0;owned\x07\u202egpj"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def defined(stack: Stack) -> Stack:
    client = await KubeClient.connect(stack.kubeconfig)
    await client.apply(documents())
    await client.close()
    return stack


@pytest_asyncio.fixture
async def kube(defined: Stack) -> AsyncIterator[KubeClient]:
    client = await KubeClient.connect(defined.kubeconfig)
    yield client
    await client.close()


@pytest_asyncio.fixture
async def name(kube: KubeClient) -> AsyncIterator[str]:
    """Name of a FabricNode that says hostile things."""
    made = f"n-{secrets.token_hex(4)}"
    await kube.create_fabric_node(
        {
            "apiVersion": "fabric.aceteam.ai/v1alpha1",
            "kind": "FabricNode",
            "metadata": {"name": made, "labels": {"test": made}},
            "spec": {"nodeId": made.upper(), "orgId": "acme"},
        }
    )
    await say(kube, made, "Degraded", HOSTILE)
    yield made
    await kube.delete_fabric_node(made)


async def say(kube: KubeClient, name: str, state: str, reason: str = "") -> None:
    summary = {"gpus": "7/8", "util": "40%", "vram": "1/2Gi", "models": "m", "requests": "1/0"}
    status = {"state": state, "summary": {**summary, "reason": reason or None}}
    await kube.patch_fabric_node_status(name, {"status": status})


def cluster(stack: Stack) -> dict[str, str]:
    return {"KUBECONFIG": str(stack.kubeconfig)}


async def test_objects_are_listed_and_cannot_act_on_a_terminal(
    defined: Stack, name: str, fabric: Fabric
):
    listed = await fabric("nodes", "-l", f"test={name}", **cluster(defined))
    assert listed.status == 0, listed.err
    assert "CONFIRMED" in listed.out
    assert listed.out.splitlines()[1].split()[:7] == [
        name, "Degraded", "7/8", "40%", "1/2Gi", "m", "1/0",
    ]  # fmt: skip
    for words in (["describe", name], ["describe", name.upper()], ["nodes", "-o", "wide"]):
        told = await fabric(*words, **cluster(defined))
        assert told.status == 0, told.err
        assert all(line.isprintable() for line in told.out.splitlines())
    named = await fabric("nodes", "-l", f"test={name}", "-o", "name", **cluster(defined))
    assert named.out == f"fabricnode.fabric.aceteam.ai/{name}\n"


async def test_events_are_those_of_the_cluster(
    defined: Stack, kube: KubeClient, name: str, fabric: Fabric
):
    about = await kube.get_fabric_node(name)
    assert about is not None
    await kube.create_event(
        about, reason="GpuLost", message=HOSTILE, first_time="2026-11-23T08:00:00Z", kind="Warning"
    )
    found = await fabric("events", "-n", name, "--since", "9999d", "-o", "json", **cluster(defined))
    (event,) = json.loads(found.out)
    assert (event["node"], event["reason"], event["type"]) == (name, "GpuLost", "Warning")
    table = await fabric("events", "-n", name, "--since", "9999d", **cluster(defined))
    assert all(line.isprintable() for line in table.out.splitlines())


async def test_a_watch_tells_changes_and_the_end(
    defined: Stack, kube: KubeClient, name: str, tmp_path: Path
):
    process = await asyncio.create_subprocess_exec(
        *command("nodes", "-w", "-o", "json", "-l", f"test={name}"),
        env=environ(tmp_path, **cluster(defined)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        assert json.loads(await process.stdout.readline())["type"] == "ADDED"
        await say(kube, name, "Offline", "AgentSilent")
        changed = json.loads(await process.stdout.readline())
        assert (changed["type"], changed["node"]["state"]) == ("MODIFIED", "Offline")
        await kube.delete_fabric_node(name)
        assert json.loads(await process.stdout.readline())["type"] == "DELETED"
        process.send_signal(2)
        assert await process.wait() == 130


async def test_a_node_without_an_agents_pod_is_not_live(defined: Stack, name: str, fabric: Fabric):
    asked = await fabric("live", name, **cluster(defined))
    assert asked.status == 1
    assert "CITADEL_API_URL" in asked.err


async def test_a_name_that_is_none_is_not_found(defined: Stack, fabric: Fabric):
    missing = await fabric("describe", "nope", **cluster(defined))
    assert (missing.status, missing.err) == (
        1, 'error: fabricnodes.fabric.aceteam.ai "nope" not found\n',
    )  # fmt: skip


async def test_who_may_not_is_told(defined: Stack, fabric: Fabric, tmp_path: Path):
    config = yaml.safe_load(defined.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "nobody"}
    nobody = tmp_path / "nobody.conf"
    nobody.write_text(yaml.safe_dump(config))
    refused = await fabric("nodes", "--kubeconfig", str(nobody))
    assert refused.status == 1
    assert "log in to the cluster again" in refused.err


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["nodes"], 2, "name an API with --api or CITADEL_API_URL"),
        (["nodes", "--kubeconfig", "/none"], 2, "no such file"),
        (["nodes", "--context", "nope"], 2, "no API server is known"),
    ],
)
async def test_without_a_cluster_it_is_said_what_to_name(
    fabric: Fabric, words: list[str], status: int, told: str
):
    done = await fabric(*words)
    assert (done.status, told in done.err) == (status, True), done.err


async def test_a_context_that_is_none_is_told(defined: Stack, fabric: Fabric):
    done = await fabric("nodes", "--context", "nope", **cluster(defined))
    assert done.status == 2
    assert "nope" in done.err


async def test_an_api_server_that_is_away_is_told(defined: Stack, fabric: Fabric, tmp_path: Path):
    config = yaml.safe_load(defined.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    away = tmp_path / "away.conf"
    away.write_text(yaml.safe_dump(config))
    done = await fabric("nodes", "--kubeconfig", str(away))
    assert done.status == 1
    assert "is this the right --context" in done.err
