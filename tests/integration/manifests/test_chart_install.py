"""The chart on a real API server, where a Helm is found (PATH or HELM)."""

import asyncio
import os
import secrets
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.local.stack import Stack

CHART = Path(__file__).parents[3] / "charts" / "citadel-k8s"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/fabricnodes.fabric.aceteam.ai"

Helm = Callable[..., Awaitable[str]]


@pytest.fixture
def helm(applied: Stack, tmp_path: Path) -> Helm:
    found = os.environ.get("HELM") or shutil.which("helm")
    if not found:
        print("NO HELM: the chart is not installed", file=sys.__stderr__, flush=True)
        pytest.skip("no helm: put it on PATH or name it in HELM")

    async def run(*words: str) -> str:
        pipe = asyncio.subprocess.PIPE
        home = {"HOME": str(tmp_path), "KUBECONFIG": str(applied.kubeconfig)}
        process = await asyncio.create_subprocess_exec(
            found, *words, stdout=pipe, stderr=pipe, env=home
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, err.decode()
        return out.decode()

    return run


async def passwords(kube: KubeClient, name: str) -> dict[str, str]:
    path = f"/api/v1/namespaces/{name}/secrets/{name}-citadel-k8s-redis"
    return (await kube.request("GET", path))["data"]


async def test_an_upgrade_keeps_the_passwords_and_an_uninstall_leaves_nothing(
    kube: KubeClient, helm: Helm
) -> None:
    name = f"r{secrets.token_hex(4)}"
    place = [
        "-n",
        name,
        "--set",
        "crds.enabled=false",
        "--set",
        f"fullnameOverride={name}-citadel-k8s",
    ]
    notes = await helm("install", name, str(CHART), "--create-namespace", *place)
    assert "kubectl get fabricnodes" in notes
    before = await passwords(kube, name)
    assert len(set(before.values())) == 2
    await helm("upgrade", name, str(CHART), *place, "--set", "heartbeat.intervalSeconds=10")
    assert await passwords(kube, name) == before
    await helm("uninstall", name, "-n", name)
    for kind in ("secrets", "configmaps", "services"):
        left = await kube.request("GET", f"/api/v1/namespaces/{name}/{kind}")
        assert not [item for item in left["items"] if name in item["metadata"]["name"]]


async def test_an_uninstall_leaves_the_definitions_that_the_chart_took_over(
    kube: KubeClient, helm: Helm
) -> None:
    name = f"r{secrets.token_hex(4)}"
    words = ["-n", name, "--create-namespace", "--take-ownership", "--force-conflicts"]
    await helm("install", name, str(CHART), *words)
    owner = (await kube.request("GET", CRD))["metadata"]["annotations"]
    assert owner["meta.helm.sh/release-name"] == name
    await helm("uninstall", name, "-n", name)
    assert "deletionTimestamp" not in (await kube.request("GET", CRD))["metadata"]
