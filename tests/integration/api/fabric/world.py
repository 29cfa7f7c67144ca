"""Two orgs on a real PostgreSQL and a real Valkey, and the API in front of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import redis.asyncio
from aiohttp import web
from psycopg.types.json import Jsonb

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.api.fabric.lastword import LastWord
from citadel_k8s.api.fabric.routes import routes
from citadel_k8s.api.fabric.sending import redis_senders
from citadel_k8s.api.frame.limiter import Limiter
from citadel_k8s.api.frame.probes import Readiness
from citadel_k8s.api.frame.refusal import unauthorized
from citadel_k8s.api.frame.service import ApiService, Behind
from citadel_k8s.api.live.live import LiveChannel
from citadel_k8s.api.live.routes import client
from citadel_k8s.api.live.routes import routes as live_routes
from citadel_k8s.api.metrics import ApiMetrics
from citadel_k8s.config.server import ApiSettings, Live
from citadel_k8s.domain.keys import last_status_key
from citadel_k8s.domain.life import Policy
from citadel_k8s.models.identity import Principal, Role
from citadel_k8s.stores.laststatus import LastStatuses
from citadel_k8s.stores.postgres.audit import Audit
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.fleet import Fleet
from tests.unit.api.frame.serving import Running

CLOCK = SystemClock()

PEOPLE = {
    "viewer": Principal("user", "acme", "user:1", role=Role.VIEWER),
    "editor": Principal("user", "acme", "user:2", role=Role.EDITOR),
    "admin": Principal("user", "acme", "user:3", role=Role.ADMIN),
    "stranger": Principal("user", "other", "user:4", role=Role.ADMIN),
    "device": Principal("device", "acme", "token:1"),
}

PROFILE = {
    "name": "gpu-1",
    "address": "100.64.0.1",
    "agent": "0.1.0",
    "gpus": [{"model": "NVIDIA H100 80GB HBM3", "count": 8}],
    "vramBytes": 687194767360,
    "memoryBytes": 1099511627776,
    "models": ["meta-llama/Llama-3.1-70B-Instruct"],
    "services": 1,
}
PULSE = {"cpu": 0.12, "memory": 0.34, "disk": 0.5, "power": 3200.5, "gpu": [[71, 83, 0]] * 8}


async def by_name(request: web.Request) -> Principal | None:
    given = request.headers.get("Authorization")
    if given is None:
        return None
    principal = PEOPLE.get(given.removeprefix("Bearer "))
    if principal is None:
        raise unauthorized("this token is not known")
    return principal


@dataclass
class World:
    """What a test writes to behind the API's back."""

    database: Database
    redis: redis.asyncio.Redis
    redis_url: str
    frontier_ms: int = field(default_factory=lambda: round(CLOCK.now() * 1000))

    async def ingest(self, frontier_ms: int, clear_since_ms: int = 0) -> None:
        self.frontier_ms = frontier_ms
        async with self.database.transaction() as connection:
            await connection.execute("DELETE FROM fabric_ingest")
            await connection.execute(
                "INSERT INTO fabric_ingest (partition, stream_epoch, last_ms, last_seq,"
                " frontier_ms, clear_since_ms, looked_ms) VALUES (0, 0, %s, 0, %s, %s, %s)",
                (frontier_ms, frontier_ms, clear_since_ms, frontier_ms),
            )

    async def node(
        self,
        node_id: str,
        *,
        org: str = "acme",
        age: float | None = 5.0,
        verdict: str = "Online",
        state: str | None = None,
        profile: Mapping[str, Any] | None = None,
        pulse: Mapping[str, Any] | None = None,
        status: Mapping[str, Any] | None = None,
        boot_id: str | None = None,
        **columns: Any,
    ) -> None:
        """Add a node; without an age it never reported."""
        given = {"source": "report", "addresses": [], "labels": {}, "headscale_id": None}
        given |= columns
        async with self.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO nodes (org_id, node_id, name, source, addresses, labels, headscale_id)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                (org, node_id, given.get("name"), given["source"], given["addresses"],
                 Jsonb(given["labels"]), given["headscale_id"]),
            )  # fmt: skip
            if age is None:
                return
            await connection.execute(
                "INSERT INTO fabric_node_status (org_id, node_id, boot_id, seq, stream_epoch,"
                " stream_ms, stream_seq, interval_seconds, verdict, reason, message, state,"
                " state_reason, state_since, pulse)"
                " VALUES (%s, %s, %s, 1, 0, %s, 0, 30, %s, %s, NULL, %s, NULL, %s, %s)",
                (org, node_id, boot_id, self.frontier_ms - round(age * 1000), verdict,
                 None if verdict == "Online" else "GpuLost", state or verdict,
                 datetime(2026, 11, 23, 8, 17, 33, tzinfo=UTC),
                 Jsonb(PULSE if pulse is None else pulse)),
            )  # fmt: skip
            own = {**PROFILE, "name": node_id} if profile is None else profile
            await connection.execute(
                "INSERT INTO fabric_node_detail (org_id, node_id, digest, profile, status)"
                " VALUES (%s, %s, '', %s, %s)",
                (org, node_id, Jsonb(own), Jsonb(status or message(node_id))),
            )

    async def last_status(self, node_id: str, status: Any, *, org: str = "acme") -> None:
        body = status if isinstance(status, bytes) else json.dumps(status).encode()
        await self.redis.set(last_status_key(org, node_id), body)

    async def run(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        async with self.database.transaction() as connection:
            cursor = await connection.execute(statement, values)
            return await cursor.fetchall() if cursor.description else []


def message(node_id: str, **more: Any) -> dict[str, Any]:
    """Give a status message as agents send it."""
    at = "2026-11-23T08:17:33Z"
    status = {"version": "1.0", "timestamp": at, "node": {"name": node_id}, "system": {}}
    status |= more.pop("status", {})
    return {"version": "1.0", "timestamp": at, "nodeId": node_id, "status": status} | more


@asynccontextmanager
async def serving(
    world: World, *, live: Mapping[str, Any] | None = None, channel: LiveChannel | None = None,
    resolver: Any = None, hold: float = 0.0,
) -> AsyncIterator[Running]:  # fmt: skip
    """Serve the fabric's routes, with nothing held back unless a test says so."""
    settings = ApiSettings.model_validate(
        {"listen_host": "127.0.0.1", "listen_port": 0, "metrics_port": 0,
         "quota": {"requests_per_second": 100_000, "burst": 100_000, "daily_requests": 10**9}}
    )  # fmt: skip
    asked = Live.model_validate({"allowedCidrs": ["127.0.0.0/8", "::1/128"], **(live or {})})
    statuses, senders = LastStatuses(world.redis_url), redis_senders(world.redis_url)
    policy, audit, fleet = Policy(), Audit(world.database), Fleet(world.database)
    asker = client(asked)
    rooms = routes(
        world.database, statuses=statuses, sender=senders, audit=audit, policy=policy,
        clock=CLOCK, hold=hold,
    )  # fmt: skip
    words = LastWord(fleet, statuses, policy)
    rooms += live_routes(asked, words, fleet, asker, channel=channel, resolver=resolver)
    metrics = ApiMetrics()
    async with AsyncExitStack() as stack:
        for closing in (asker, senders, statuses):
            stack.push_async_callback(closing.close)

        behind = Behind(Readiness({}, {}, CLOCK), Limiter(settings.quota, CLOCK))
        service = ApiService(settings, rooms, by_name, behind, metrics=metrics, clock=CLOCK)
        await service.start()
        stack.push_async_callback(service.stop)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        group = await stack.enter_async_context(asyncio.TaskGroup())
        task = group.create_task(service.run())
        stack.callback(task.cancel)
        yield Running(service, http, metrics)
