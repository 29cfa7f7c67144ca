"""A real API server of its own, which each test may break, with the manifests on it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest_asyncio
import yaml

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.cli.doctor.asking import Cluster
from citadel_k8s.cli.doctor.checks import Checks, RedisLook
from citadel_k8s.cli.doctor.finding import Finding
from citadel_k8s.cli.doctor.running import run
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.local.binaries import Binaries
from citadel_k8s.local.stack import Stack

MANIFESTS = Path(__file__).parents[4] / "manifests"
DAEMONSET = "/apis/apps/v1/namespaces/citadel/daemonsets/citadel-agent"
DEPLOYMENT = "/apis/apps/v1/namespaces/citadel/deployments/citadel-operator"

Examine: TypeAlias = Callable[..., Awaitable[dict[str, Finding]]]


def documents() -> list[dict[str, Any]]:
    listed = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
    texts = ((MANIFESTS / name).read_text() for name in listed)
    return [document for text in texts for document in yaml.safe_load_all(text)]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def breakable(binaries: Binaries) -> AsyncIterator[Stack]:
    """Servers that no other test looks at."""
    async with Stack(binaries=binaries) as running:
        yield running


@pytest_asyncio.fixture
async def kube(breakable: Stack) -> AsyncIterator[KubeClient]:
    """Whoever may do everything; the manifests are applied anew, whatever was broken before."""
    client = await KubeClient.connect(breakable.kubeconfig)
    await client.apply(documents())
    await settle(client)
    yield client
    await client.close()


@pytest_asyncio.fixture
async def examine(kube: KubeClient) -> Examine:
    """Run the doctor; give findings by check."""

    async def examined(
        client: KubeClient | None = None,
        redis: RedisLook | None = None,
        api: str | None = None,
        space: str = "citadel",
    ) -> dict[str, Finding]:
        seen = Cluster(client or kube, space)
        checks = Checks(seen, SystemClock(), redis or RedisLook(), api)
        return {finding.check: finding for finding in await run(checks.all())}

    return examined


async def settle(client: KubeClient, *, agents: int = 1, ready: int = 1) -> None:
    """Say what controllers would: this API server has none."""
    daemonset = await client.request("GET", DAEMONSET)
    daemonset["status"] = {
        "currentNumberScheduled": agents,
        "desiredNumberScheduled": agents,
        "numberMisscheduled": 0,
        "numberReady": ready,
        "updatedNumberScheduled": agents,
        "observedGeneration": daemonset["metadata"]["generation"],
    }
    await client.request("PUT", f"{DAEMONSET}/status", body=daemonset)
    deployment = await client.request("GET", DEPLOYMENT)
    deployment["status"] = {
        "replicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "observedGeneration": deployment["metadata"]["generation"],
    }
    await client.request("PUT", f"{DEPLOYMENT}/status", body=deployment)
