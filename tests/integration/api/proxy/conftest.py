"""The whole proxy on a real Valkey, behind the real frame, with credentials that a test makes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from aiohttp import web

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.api.frame.auditing import AuditRow
from citadel_k8s.api.frame.limiter import Limiter
from citadel_k8s.api.frame.probes import Readiness
from citadel_k8s.api.frame.refusal import unauthorized
from citadel_k8s.api.frame.service import ApiService, Behind
from citadel_k8s.api.metrics import ApiMetrics
from citadel_k8s.api.proxy.room import Room
from citadel_k8s.api.proxy.routes import routes
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.models.identity import DEVICE_SCOPES, Principal, Role, Scope
from tests.goclient import GoClient

ALL_SCOPES = DEVICE_SCOPES | {Scope.AUTHKEY_WRITE}
CLOCK = SystemClock()


def device(
    org: str, node: str | None = None, scopes: frozenset[Scope] = DEVICE_SCOPES
) -> Principal:
    return Principal("device", org, f"token:{org}-{node}", scopes, None, node)


@dataclass
class Proxy:
    """One replica."""

    valkey: Valkey
    redis: redis.asyncio.Redis
    room: Room
    service: ApiService
    principals: dict[str, Principal]
    rows: list[AuditRow] = field(default_factory=list)
    mesh_ids: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.service.port}"

    def client(self, token: str = "bound", **more: Any) -> GoClient:
        given = {"node_id": "go-1", "org_id": "acme"} | more
        return GoClient(self.base, token, **given)

    async def entries(self, key: str) -> list[dict[str, str]]:
        found = await self.redis.xrange(key)
        return [{k.decode(): v.decode() for k, v in fields.items()} for _, fields in found]


def known() -> dict[str, Principal]:
    return {
        "bound": device("acme", "go-1"),
        "other": device("acme", "go-2"),
        "unbound": device("acme"),
        "globex": device("globex", "go-1"),
        "bare": device("acme", "go-1", frozenset()),
        "keys": device("acme", "go-1", ALL_SCOPES),
        "person": Principal("user", "acme", "user:1", role=Role.ADMIN),
    }


@asynccontextmanager
async def running(
    valkey: Valkey,
    *,
    quota: dict[str, Any] | None = None,
    claim_after: float = 900.0,
    principals: dict[str, Principal] | None = None,
    **files: Path,
) -> AsyncIterator[Proxy]:
    settings = ApiSettings.model_validate(
        {
            "redis_url": valkey.url, "listen_host": "127.0.0.1", "listen_port": 0,
            "metrics_port": 0, "quota": quota or {"requests_per_second": 10_000, "burst": 10_000},
        }
    )  # fmt: skip
    room = Room(settings, CLOCK, claim_after=claim_after)
    people = known() if principals is None else principals
    rows: list[AuditRow] = []
    mesh_ids: dict[tuple[str, str], str] = {}
    heartbeats = Limiter(settings.quota, CLOCK)

    async def by_name(request: web.Request) -> Principal | None:
        given = request.headers.get("Authorization")
        if given is None:
            return None
        principal = people.get(given.removeprefix("Bearer "))
        if principal is None:
            raise unauthorized("this token is not known")
        return principal

    async def mesh_id(org_id: str, node_id: str) -> str | None:
        return mesh_ids.get((org_id, node_id))

    listed = routes(
        room, by_name, CLOCK, note=rows.append, mesh_id=mesh_id,
        count=lambda key: heartbeats.take(key, 1, paced=False), **files,
    )  # fmt: skip
    service = ApiService(
        settings, listed, by_name, Behind(Readiness({}, {}, CLOCK), heartbeats),
        metrics=ApiMetrics(), clock=CLOCK,
    )  # fmt: skip
    await service.start()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(redis.asyncio.Redis.from_url(valkey.url))
        stack.push_async_callback(service.stop)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [group.create_task(room.run()), group.create_task(service.run())]
        stack.callback(lambda: [task.cancel() for task in tasks])
        yield Proxy(valkey, client, room, service, people, rows, mesh_ids)


@pytest.fixture
async def proxy(own_valkey: Valkey) -> AsyncIterator[Proxy]:
    async with running(own_valkey) as one:
        yield one


async def until(true: Callable[[], Any], timeout: float = 10.0) -> None:
    async with asyncio.timeout(timeout):
        while not true():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)
