"""The API in this process, with a real PostgreSQL and a real Valkey behind it.

How to use it::

    async def test_something(api: WholeApi) -> None:
        status, body, headers = await api.ask("/api/fabric/nodes", who="admin")

- ``api`` is the whole application, as it is deployed, with two orgs: ``acme`` and ``other``. Who
  asks is ``device`` (gpu-1 of acme), ``other`` (gpu-1 of other), or a person of acme: ``viewer``,
  ``editor``, ``admin``.
- ``framed`` serves routes of your own: ``async with framed(routes, authenticate) as api``. It has
  no people and no devices: your authenticator says who asks.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.api.between import audit_appender, schema_check
from citadel_k8s.api.frame.auditing import Auditor
from citadel_k8s.api.frame.dispatch import Authenticator
from citadel_k8s.api.frame.limiter import Limiter
from citadel_k8s.api.frame.probes import Readiness
from citadel_k8s.api.frame.route import Route
from citadel_k8s.api.frame.service import ApiService, Behind
from citadel_k8s.api.metrics import ApiMetrics
from citadel_k8s.api.wiring import Api
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.models.identity import Role
from citadel_k8s.stores.connection import RedisConnection
from citadel_k8s.stores.postgres import migrate
from citadel_k8s.stores.postgres.audit import Audit
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.logins import Logins
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.tokens import DeviceTokens
from citadel_k8s.stores.postgres.users import Users
from citadel_k8s.stores.quotas import SharedCounts


@dataclass
class WholeApi:
    """An API that runs, and the headers of those who may ask it."""

    service: ApiService
    client: aiohttp.ClientSession
    database: Database
    redis_url: str
    settings: ApiSettings
    headers: dict[str, dict[str, str]] = field(default_factory=dict)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.service.port}{path}"

    async def ask(
        self, path: str, method: str = "GET", *, who: str | None = None, **options: Any
    ) -> tuple[int, Any, Any]:
        """Give status, decoded body (None if empty) and headers."""
        headers = dict(self.headers[who]) if who else {}
        headers |= options.pop("headers", {})
        async with self.client.request(
            method, self.url(path), headers=headers, **options
        ) as response:
            body = await response.json(content_type=None) if await response.read() else None
            return response.status, body, response.headers


@pytest_asyncio.fixture
async def schema(database_url: str) -> str:
    """URL of a database with our tables in it."""
    await migrate.upgrade(database_url)
    return database_url


@pytest.fixture
def api_settings(schema: str, own_valkey: Valkey) -> ApiSettings:
    """Settings of an API on free ports, with both servers behind it."""
    return ApiSettings.model_validate(
        {
            "database_url": schema,
            "redis_url": own_valkey.url,
            "listen_host": "127.0.0.1",
            "listen_port": 0,
            "metrics_port": 0,
            "cookie_secure": False,
            "in_cluster": "off",
            "database_pool_max": 4,
        }
    )


async def populated(database: Database) -> dict[str, dict[str, str]]:
    """Make orgs, devices and people; give the headers that they ask with."""
    orgs, tokens = Orgs(database), DeviceTokens(database)
    users, logins = Users(database), Logins(database)
    headers: dict[str, dict[str, str]] = {}
    for org, who in (("acme", "device"), ("other", "other")):
        await orgs.create(org, org)
        _, token = await tokens.create(org, who, created_by="test", node_id="gpu-1")
        headers[who] = {"Authorization": f"Bearer {token}"}
    for role in Role:
        user = await users.create("acme", role.value, role=role)
        secret, _ = await logins.open("acme", user.user_id, method="link", life=timedelta(hours=1))
        headers[role.value] = {"Cookie": f"citadel_session={secret}", "X-Citadel-CSRF": "1"}
    return headers


@asynccontextmanager
async def running(settings: ApiSettings) -> AsyncIterator[WholeApi]:
    """Run the whole API as settings say; the database must have our tables."""
    built = await Api.build(settings, SystemClock())
    database = Database(settings.database_url or "", pool_max=2, purpose="test")
    try:
        await built.start()
        async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as client:
            task = group.create_task(built.run())
            yield WholeApi(built.service, client, database, settings.redis_url or "", settings)
            await built.stop()
            task.cancel()
    finally:
        await built.stop()
        await built.close()
        await database.close()


@pytest_asyncio.fixture
async def api(api_settings: ApiSettings) -> AsyncIterator[WholeApi]:
    """The whole API, with people and devices of two orgs."""
    async with running(api_settings) as whole:
        whole.headers |= await populated(whole.database)
        yield whole


Framed = Callable[[Iterable[Route], Authenticator], AbstractAsyncContextManager[WholeApi]]


@pytest.fixture
def framed(api_settings: ApiSettings) -> Framed:
    """Serves routes of the test's own, with the frame's stores behind them."""

    @asynccontextmanager
    async def serve(
        routes: Iterable[Route], authenticate: Authenticator
    ) -> AsyncIterator[WholeApi]:
        clock, metrics = SystemClock(), ApiMetrics()
        database = Database(api_settings.database_url or "", pool_max=4, purpose="test")
        counts = SharedCounts(RedisConnection(api_settings.redis_url or "", purpose="quotas"))
        service = ApiService(
            api_settings,
            routes,
            authenticate,
            Behind(
                Readiness({"database": schema_check(database)}, {"redis": counts.check}, clock),
                Limiter(api_settings.quota, clock, counts),
                Auditor(audit_appender(Audit(database)), clock, metrics.audit_lost),
            ),
            metrics=metrics,
            clock=clock,
        )
        await service.start()
        try:
            async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as client:
                task = group.create_task(service.run())
                yield WholeApi(
                    service, client, database, api_settings.redis_url or "", api_settings
                )
                await service.stop()
                task.cancel()
        finally:
            await service.stop()
            await counts.close()
            await database.close()

    return serve
