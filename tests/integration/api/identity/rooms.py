"""The room behind the real frame, on a real socket and a real database."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.api.frame.auditing import Auditor, AuditRow
from citadel_k8s.api.frame.limiter import Limiter
from citadel_k8s.api.frame.probes import Readiness
from citadel_k8s.api.frame.service import ApiService, Behind
from citadel_k8s.api.identity.routes import Identity, routes
from citadel_k8s.api.metrics import ApiMetrics
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.models.identity import Role
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.logins import Logins
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.tokens import DeviceTokens
from citadel_k8s.stores.postgres.users import User, Users

CSRF = {"X-Citadel-CSRF": "1"}


@dataclass
class Room:
    """A running room."""

    service: ApiService
    identity: Identity
    database: Database
    client: aiohttp.ClientSession
    rows: list[AuditRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.orgs = Orgs(self.database)
        self.users = Users(self.database)
        self.logins = Logins(self.database)
        self.tokens = DeviceTokens(self.database)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.service.port}"

    async def ask(
        self, method: str, path: str, *, cookie: str | None = None, **options: Any
    ) -> tuple[int, Any, aiohttp.ClientResponse]:
        """Give status, decoded body (None if empty) and the response."""
        headers = {**options.pop("headers", {})}
        if token := options.pop("token", None):
            headers["Authorization"] = f"Bearer {token}"
        if cookie is not None:
            headers["Cookie"] = f"citadel_session={cookie}"
        async with self.client.request(
            method, self.base + path, headers=headers, allow_redirects=False, **options
        ) as response:
            data = await response.read()
            body = await response.json(content_type=None) if data else None
            return response.status, body, response

    async def change(
        self, method: str, path: str, cookie: str, body: Any = None
    ) -> tuple[int, Any]:
        """Change something as our page does."""
        options = {} if body is None else {"json": body}
        status, answer, _ = await self.ask(method, path, cookie=cookie, headers=CSRF, **options)
        return status, answer

    async def person(
        self, role: Role = Role.ADMIN, org_id: str = "acme", name: str = "Ann", **more: Any
    ) -> tuple[User, str]:
        """Add somebody who is signed in; give them and their cookie."""
        user = await self.users.create(org_id, name, role=role, **more)
        return user, await self.sign_in(user)

    async def sign_in(self, user: User) -> str:
        raw, _ = await self.logins.create_link(user.org_id, user.user_id)
        status, _, response = await self.ask("GET", f"/api/session/link?token={raw}")
        assert status == 303
        return response.cookies["citadel_session"].value


@asynccontextmanager
async def room(
    database: Database,
    *,
    clock: Clock | None = None,
    kube: KubeClient | None = None,
    channel: Any = None,
    **settings: Any,
) -> AsyncIterator[Room]:
    """Serve the room on a free port until left."""
    clock = clock or SystemClock()
    rows: list[AuditRow] = []

    async def append(batch: Sequence[AuditRow]) -> None:
        rows.extend(batch)

    given = {
        "listen_host": "127.0.0.1",
        "listen_port": 0,
        "metrics_port": 0,
        "cookie_secure": False,
        "in_cluster": "off",
    }
    whole = ApiSettings.model_validate(given | settings)
    identity = Identity(
        whole, database, clock, kube=kube, channel=channel, seal_secret="for this test"
    )
    metrics = ApiMetrics()
    service = ApiService(
        whole,
        routes(identity),
        identity.authenticator,
        Behind(
            Readiness({}, {}, clock),
            Limiter(whole.quota, clock),
            Auditor(append, clock, metrics.audit_lost),
        ),
        metrics=metrics,
        clock=clock,
    )
    await service.start()
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(service.run()), group.create_task(identity.run())]
            jar = aiohttp.DummyCookieJar()
            async with aiohttp.ClientSession(cookie_jar=jar) as client:
                yield Room(service, identity, database, client, rows)
            for task in running:
                task.cancel()
    finally:
        await service.stop()
        await identity.close()
