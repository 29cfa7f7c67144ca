"""A worker on a Redis cluster, where no two keys are on one server for sure."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from citadel_k8s.config.server import WorkerSettings
from citadel_k8s.constants import STATUS_LETTERS
from citadel_k8s.domain.keys import arrivals_key, last_status_key, org_events_stream
from citadel_k8s.stores.connection import RedisConnection
from citadel_k8s.stores.postgres import migrate
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.streams import RedisStatusStream
from citadel_k8s.worker.connections import Connections
from citadel_k8s.worker.wiring import Worker
from tests.integration.worker.conftest import message, until
from tests.redisplaces import redis_cluster


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[str]:
    async with redis_cluster(tmp_path) as url:
        yield url


async def test_entries_of_a_cluster_become_rows_deltas_and_letters(
    cluster: str, database_url: str
) -> None:
    await migrate.upgrade(database_url)
    settings = WorkerSettings(redis_url=cluster, database_url=database_url, org_id="acme")
    database = Database(database_url)
    await Orgs(database).create("acme", "Acme")
    connections, stream = Connections.open(settings), RedisStatusStream(cluster)
    redis = RedisConnection(cluster, purpose="test")
    stop = asyncio.Event()

    async def told() -> bool:
        async with redis.edge("looking"):
            changes = await redis.redis.xlen(org_events_stream("acme"))
            last = await redis.redis.get(last_status_key("acme", "n1"))
            heard = await redis.redis.llen(arrivals_key("acme", "n1"))
            letters = await redis.redis.xlen(STATUS_LETTERS)
        async with database.transaction() as connection:
            rows = await connection.execute("SELECT node_id FROM fabric_node_status")
            found = [row["node_id"] for row in await rows.fetchall()]
        return found == ["n1"] and changes > 0 and last is not None and heard == letters == 1

    async with asyncio.TaskGroup() as group:
        working = group.create_task(Worker(settings, connections).run(stop))
        await stream.append("n1", message(bootId="b", seq=1).encode())
        await stream.append("n1", b"{")
        await until(told, timeout=30)
        stop.set()
        await working
    for part in (connections, stream, redis, database):
        await part.close()
