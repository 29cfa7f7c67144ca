"""The commands as people run them: a process of their own, before real servers.

- ``api`` (of tests/integration/api) is the whole API, ``world`` writes nodes behind its back.
- ``fabric`` runs ``kubectl-fabric`` and gives its exit status, output and errors.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest
import pytest_asyncio
import redis.asyncio

from tests.integration.api.conftest import WholeApi, api, api_settings, schema
from tests.integration.api.fabric.world import CLOCK, World

__all__ = ["api", "api_settings", "schema"]

CODE = "from citadel_k8s.cli import kubectl_fabric; kubectl_fabric()"


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a command."""

    status: int
    out: str
    err: str


Fabric: TypeAlias = Callable[..., Awaitable[Done]]


def command(*words: str) -> list[str]:
    """Give the command as a process has it."""
    return [sys.executable, "-c", CODE, *words]


def environ(home: Path, **more: str) -> dict[str, str]:
    """Give an environment in which nobody is signed in and no cluster is known."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return kept | {"HOME": str(home), "PYTHONPATH": str(Path.cwd())} | more


@pytest.fixture
def fabric(tmp_path: Path) -> Fabric:
    """Runs ``kubectl-fabric``; keywords go into its environment."""

    async def run(*words: str, **more: str) -> Done:
        process = await asyncio.create_subprocess_exec(
            *command(*words),
            env=environ(tmp_path, **more),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            out, err = await process.communicate()
        return Done(process.returncode or 0, out.decode(), err.decode())

    return run


@pytest_asyncio.fixture
async def world(api: WholeApi) -> AsyncIterator[World]:
    """The API's database and Valkey, with everything taken in up to now."""
    client = redis.asyncio.Redis.from_url(api.redis_url)
    made = World(api.database, client, api.redis_url)
    await made.ingest(round(CLOCK.now() * 1000))
    yield made
    await client.aclose()
