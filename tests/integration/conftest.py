"""A real Valkey and a real Kubernetes API server for every test below this folder.

How to use it::

    async def test_something(stack: Stack) -> None:
        client = redis.asyncio.Redis.from_url(stack.redis_url)
        config = stack.kubeconfig          # all rights; see also stack.kube.write_kubeconfig
        await stack.kube.request("GET", "/api/v1/namespaces")

- ``stack`` is started once for the whole session (about 3 s, 310 MiB) and shared: use own names
  (the fixtures ``namespace`` and ``prefix`` make some), and leave the servers running.
- Its methods work from any event loop, so tests keep their own loop (no ``loop_scope`` needed).
- ``postgres_server`` is shared in the same way (0.6 s, 60 MiB); ``database_url`` is the URL of a
  new and empty database on it (0.1 s), with the rights of a superuser.
- A test that pauses, kills or restarts a server takes ``own_valkey`` (0.1 s), or enters a ``Stack``
  of its own; several run side by side.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from citadel_k8s.local import alertmanager
from citadel_k8s.local.binaries import Binaries, find
from citadel_k8s.local.cache import quiet
from citadel_k8s.local.postgres import Postgres
from citadel_k8s.local.stack import Stack
from citadel_k8s.local.valkey import Valkey

NEED_KUBE = {"stack", "binaries"}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Find or build the Kubernetes programs before the first test: a build outlasts any timeout."""
    if session.config.option.collectonly:
        return
    asked = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    report = terminal.write_line if terminal else quiet
    if NEED_KUBE & asked:
        asyncio.run(find(report))
    if "alertmanager_program" in asked:
        asyncio.run(alertmanager.find(report))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def binaries() -> Binaries:
    """The Kubernetes programs."""
    return await find()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def alertmanager_program() -> Path:
    """The Alertmanager program."""
    return await alertmanager.find()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(binaries: Binaries) -> AsyncIterator[Stack]:
    """A running stack that all tests share."""
    async with Stack(binaries=binaries) as running:
        yield running


@pytest_asyncio.fixture
async def own_valkey() -> AsyncIterator[Valkey]:
    """A Valkey that the test may pause, kill and restart."""
    async with Stack(kube=False) as running:
        yield running.valkey


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_server() -> AsyncIterator[Postgres]:
    """A running PostgreSQL that all tests share."""
    async with Stack(valkey=False, kube=False, postgres=True) as running:
        yield running.postgres


@pytest_asyncio.fixture
async def database_url(postgres_server: Postgres) -> AsyncIterator[str]:
    """URL of a new, empty database, which is dropped at the end with clients and all."""
    name = f"test_{secrets.token_hex(4)}"
    yield await postgres_server.create_database(name)
    await postgres_server.drop_database(name)


@pytest_asyncio.fixture
async def namespace(stack: Stack) -> str:
    """A new, empty Kubernetes namespace; it stays (there is no controller to empty it)."""
    name = f"test-{secrets.token_hex(4)}"
    await stack.kube.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return name


@pytest.fixture
def prefix() -> str:
    """A prefix for the keys of one test in the shared Valkey."""
    return f"test-{secrets.token_hex(4)}:"
