"""A worker as it runs: it begins, survives its servers, says how it is, and leaves in time."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from citadel_k8s.config.server import WorkerSettings
from citadel_k8s.errors import ConfigError
from citadel_k8s.local.postgres import Postgres
from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.postgres import migrate
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.telemetry.probes import serve
from citadel_k8s.worker.connections import Connections
from citadel_k8s.worker.wiring import Worker
from tests.integration.worker.conftest import World, message, until


@asynccontextmanager
async def running(world: World) -> AsyncIterator[tuple[Worker, str]]:
    settings = world.settings()
    connections = Connections.open(settings)
    worker = Worker(settings, connections)
    runner = await serve(worker.probes, worker.metrics, "127.0.0.1", 0, logger="worker")
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(worker.run(stop))
        yield worker, f"http://127.0.0.1:{runner.addresses[0][1]}"
        stop.set()
        async with asyncio.timeout(5):
            await task
    await runner.cleanup()
    await connections.close()


async def asked(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def ready(url: str) -> bool:
    return (await asked(f"{url}/readyz"))[0] == 200


async def unready(url: str) -> bool:
    return not await ready(url)


async def test_it_takes_in_says_that_it_is_well_and_leaves_in_time(world: World):
    async with running(world) as (_, url):
        await until(lambda: ready(url))
        assert (await asked(f"{url}/healthz"))[0] == 200
        await world.send(message(bootId="b", seq=1))
        await until(world.statuses)
        await until(lambda: metric(url, 'citadel_worker_entries_total{result="taken"} 1.0'))
        await until(lambda: metric(url, "citadel_worker_pending_entries 0.0"))
        loop = asyncio.get_running_loop()
        began = loop.time()
    assert loop.time() - began < 4
    assert await world.redis.xinfo_consumers("node:status:stream", "citadel-status-workers") == []


async def metric(url: str, line: str) -> bool:
    return line in (await asked(f"{url}/metrics"))[1]


async def test_it_outlives_redis_and_a_redis_that_forgot_everything(world: World):
    async with running(world) as (worker, url):
        await until(lambda: ready(url))
        await world.valkey.kill()
        await until(lambda: unready(url), 20)
        assert (await asked(f"{url}/healthz"))[0] == 200
        await world.valkey.start()
        await world.redis.flushall()
        await until(lambda: ready(url), 20)
        await world.send(message(bootId="b", seq=1))
        await until(world.statuses)
        assert worker.reader.trouble is None


@pytest.fixture
async def own_postgres() -> AsyncIterator[Postgres]:
    async with Stack(valkey=False, kube=False, postgres=True) as stack:
        yield stack.postgres


async def test_it_outlives_postgres_and_loses_nothing(own_valkey, own_postgres):
    await migrate.upgrade(own_postgres.url)
    world = World(own_valkey, own_postgres.url)
    await Orgs(world.database).create("acme", "Acme")
    async with running(world) as (_, url):
        await until(lambda: ready(url))
        for seq in range(1, 31):
            await world.send(message(bootId="b", seq=seq))
            if seq in {10, 20}:
                await own_postgres.kill()
                await until(lambda: unready(url), 20)
                await own_postgres.start()

        async def last() -> bool:
            return (await world.statuses())["n1"]["seq"] == 30 and not await world.pending()

        await until(lambda: ready(url), 20)
        await until(last)
    assert await world.letters() == []
    await world.redis.aclose()
    await world.database.close()


async def test_the_program_ends_on_sigterm(world: World):
    env = {
        "CITADEL__REDIS_URL": world.valkey.url,
        "CITADEL__DATABASE_URL": world.database_url,
        "CITADEL__ORG_ID": "acme",
        "CITADEL__LISTEN_HOST": "127.0.0.1",
        "CITADEL__LISTEN_PORT": "0",
    }
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "citadel_k8s", "worker", env=env, stderr=asyncio.subprocess.PIPE
    )
    await world.send(message(bootId="b", seq=1))
    try:
        await until(world.statuses, 30)
        program.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await program.wait() == 0
    finally:
        if program.returncode is None:
            program.kill()
        await program.communicate()


def test_without_its_servers_named_it_says_what_to_set():
    with pytest.raises(ConfigError, match="redisUrl"):
        Connections.open(WorkerSettings(database_url="postgresql://x"))
    with pytest.raises(ConfigError, match="databaseUrl"):
        Connections.open(WorkerSettings(redis_url="redis://x"))


async def test_without_a_schema_it_says_what_to_run_and_goes_on_once_that_is_done(
    world: World, postgres_server: Postgres, capsys: pytest.CaptureFixture[str]
):
    url = await postgres_server.create_database("worker_without_schema")
    bare = World(world.valkey, url)
    async with running(bare) as (_, address):
        await until(lambda: said(address, "run citadel-k8s db upgrade"), 20)
        await migrate.upgrade(url)
        await until(lambda: ready(address), 20)
    assert "run citadel-k8s db upgrade" in "".join(capsys.readouterr())
    await bare.redis.aclose()
    await bare.database.close()
    await postgres_server.drop_database("worker_without_schema")


async def said(url: str, words: str) -> bool:
    return words in (await asked(f"{url}/readyz"))[1]
