"""The manifests as people apply them, on a real API server."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.local.stack import Stack

MANIFESTS = Path(__file__).parents[3] / "manifests"


def documents() -> list[dict[str, Any]]:
    """Give all objects of the manifests, in the order in which kustomization.yaml names them."""
    listed = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
    return [
        document
        for name in listed
        for document in yaml.safe_load_all((MANIFESTS / name).read_text())
    ]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def applied(stack: Stack) -> Stack:
    """Apply the manifests once; no test changes what they made."""
    client = await KubeClient.connect(stack.kubeconfig)
    await client.apply(documents())
    await client.close()
    return stack


@pytest_asyncio.fixture
async def kube(applied: Stack) -> AsyncIterator[KubeClient]:
    client = await KubeClient.connect(applied.kubeconfig)
    yield client
    await client.close()


@pytest.fixture
def name() -> str:
    return f"n-{secrets.token_hex(4)}"
