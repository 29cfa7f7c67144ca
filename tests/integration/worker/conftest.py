"""A worker's world: a schema, an org, a stream of one's own, and messages as nodes send them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
import redis.asyncio as redis_asyncio

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.config.server import WorkerSettings
from citadel_k8s.constants import STATUS_GROUP, STATUS_LETTERS, STATUS_STREAM
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.stores.postgres import migrate
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.statusgroup import StatusGroup
from citadel_k8s.worker.connections import Connections
from citadel_k8s.worker.wiring import Worker


class Hand:
    """A worker that does one thing at a time."""

    def __init__(self, world: "World", **more: Any) -> None:
        settings = world.settings(**more)
        self.connections = Connections.open(settings)
        self.group = self.connections.group
        self.worker = Worker(settings, self.connections)

    async def ready(self) -> "Hand":
        await self.group.ensure()
        await self.worker.looker.look()
        return self

    async def take(self, count: int = 500) -> int:
        """Take in what there is; give how many entries that were."""
        entries = await self.group.read(count, 0.01)
        if entries:
            await self.worker.reader.take(entries)
        return len(entries)

    def metric(self, name: str, **labels: str) -> float:
        value = self.worker.metrics.registry.get_sample_value(f"citadel_worker_{name}", labels)
        return value or 0.0


class World:
    """Both servers, with the means to write to the one and to look at the other."""

    def __init__(self, valkey: Valkey, database_url: str) -> None:
        self.valkey = valkey
        self.database_url = database_url
        self.database = Database(database_url)
        self.redis: Any = redis_asyncio.Redis.from_url(valkey.url)
        self.hands: list[Hand] = []

    async def hand(self, **more: Any) -> Hand:
        hand = Hand(self, **more)
        self.hands.append(hand)
        return await hand.ready()

    def group(self, consumer: str, **more: Any) -> StatusGroup:
        return StatusGroup(self.valkey.url, consumer=consumer, **more)

    async def letters(self) -> list[dict[str, str]]:
        rows = await self.redis.xrange(STATUS_LETTERS)
        return [{k.decode(): v.decode() for k, v in fields.items()} for _, fields in rows]

    async def told(self, org: str = "acme") -> list[dict[str, Any]]:
        rows = await self.redis.xrange(f"fabric:org:{org}:stream")
        return [json.loads(fields[b"d"]) for _, fields in rows]

    async def pending(self) -> int:
        return (await self.redis.xpending(STATUS_STREAM, STATUS_GROUP))["pending"]

    def settings(self, **more: Any) -> WorkerSettings:
        values = {
            "redis_url": self.valkey.url,
            "database_url": self.database_url,
            "org_id": "acme",
            "listen_host": "127.0.0.1",
            "listen_port": 0,
        }
        return WorkerSettings(**values | more)

    async def send(self, payload: str | bytes, node_id: str = "n1", **fields: str) -> str:
        values = {"nodeId": node_id, "timestamp": "2026-11-23T08:17:33Z", "payload": payload}
        key = fields.pop("id", "*")
        return (await self.redis.xadd(STATUS_STREAM, values | fields, id=key)).decode()

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        async with self.database.transaction() as connection:
            return await (await connection.execute(query, values)).fetchall()

    async def statuses(self) -> dict[str, dict[str, Any]]:
        rows = await self.rows("SELECT * FROM fabric_node_status")
        return {row["node_id"]: row for row in rows}

    async def do(self, statement: str, *values: Any) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(statement, values)


def message(node_id: str = "n1", **more: Any) -> str:
    """Give a message as an agent sends it; ``status`` is merged into its inner status."""
    now = format_timestamp(SystemClock().now())
    status = {
        "version": "1.0",
        "timestamp": now,
        "node": {"name": node_id, "uptime_seconds": 1},
        "system": {"cpu_percent": 15.0, "memory_percent": 2.1, "disk_percent": 28.5},
        "vnc_port": 0,
    } | more.pop("status", {})
    return json.dumps(
        {"version": "1.0", "timestamp": now, "nodeId": node_id, "status": status} | more
    )


async def until(condition: Any, timeout: float = 10) -> Any:
    """Wait until something is so, and give it."""
    async with asyncio.timeout(timeout):
        while True:
            found = await condition()
            if found:
                return found
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def world(own_valkey: Valkey, database_url: str) -> AsyncIterator[World]:
    """Servers with a schema and one org."""
    await migrate.upgrade(database_url)
    there = World(own_valkey, database_url)
    await Orgs(there.database).create("acme", "Acme")
    yield there
    for hand in there.hands:
        await hand.connections.close()
    await there.redis.aclose()
    await there.database.close()
