"""What the engines' tests share."""

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from citadel_k8s.collectors.probe import LARGE_BODIES, Getter
from tests.fake_engines import FakeEngine


@pytest.fixture
async def getter() -> AsyncIterator[Callable[..., Getter]]:
    """Give getters of a fake engine's pages."""
    session = aiohttp.ClientSession(auto_decompress=False)
    gate = asyncio.Semaphore(LARGE_BODIES)

    def make(engine: FakeEngine, seconds: float = 2.0) -> Getter:
        until = asyncio.get_running_loop().time() + seconds
        return Getter(session, aiohttp.client.URL(engine.url), until=until, gate=gate)

    yield make
    await session.close()
