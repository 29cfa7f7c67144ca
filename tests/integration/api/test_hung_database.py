"""The whole API over a PostgreSQL that takes connections and says nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from citadel_k8s.api.identity import devices
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.local.postgres import Postgres
from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.postgres import migrate
from tests.integration.api.conftest import WholeApi, populated, running
from tests.integration.api.test_whole import BEAT

ADD = "/api/fabric/redis/streams/add"
NEVER_SEEN = {"Authorization": f"Bearer act_{'n' * 43}"}


@pytest_asyncio.fixture
async def own_postgres() -> AsyncIterator[Postgres]:
    async with Stack(valkey=False, kube=False, postgres=True) as stack:
        yield stack.postgres


@pytest_asyncio.fixture
async def schema(own_postgres: Postgres) -> str:
    url = await own_postgres.create_database("hung")
    await migrate.upgrade(url)
    return url


async def beat(api: WholeApi) -> tuple[int, float]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    status, _, _ = await api.ask(ADD, "POST", who="device", json=BEAT)
    return status, loop.time() - began


async def test_while_the_database_hangs_heartbeats_go_on_and_strangers_are_told_to_wait(
    api_settings: ApiSettings, own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(devices, "KNOWN_SECONDS", 0.2)
    async with running(api_settings) as api:
        api.headers |= await populated(api.database)
        async with asyncio.timeout(10):
            while not (await api.ask("/readyz"))[1]["parts"]["redis"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await beat(api))[0] == 200
        await asyncio.sleep(0.3)
        await own_postgres.pause()
        try:
            for _ in range(3):
                async with asyncio.TaskGroup() as group:
                    asked = [group.create_task(beat(api)) for _ in range(20)]
                answers = [task.result() for task in asked]
                assert {status for status, _ in answers} == {200}
                assert max(took for _, took in answers) < 2
                await asyncio.sleep(1.0)
            status, body, _ = await api.ask(ADD, "POST", headers=NEVER_SEEN, json=BEAT)
            assert (status, body["error"]) == (503, "unavailable")
            assert "database" in body["error_description"]
        finally:
            await own_postgres.resume()
        async with asyncio.timeout(10):
            while (await api.ask(ADD, "POST", headers=NEVER_SEEN, json=BEAT))[0] != 401:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert (await beat(api))[0] == 200
