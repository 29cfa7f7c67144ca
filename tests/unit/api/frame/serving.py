"""A frame in this process: routes of a test behind real sockets, with a caller's credentials."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.api.frame.auditing import Auditor, AuditRow
from citadel_k8s.api.frame.limiter import Limiter
from citadel_k8s.api.frame.probes import Check, Readiness
from citadel_k8s.api.frame.refusal import unauthorized
from citadel_k8s.api.frame.route import Route
from citadel_k8s.api.frame.service import ApiService, Behind
from citadel_k8s.api.metrics import ApiMetrics
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.models.identity import DEVICE_SCOPES, Principal, Role

DEVICE = Principal("device", "acme", "token:1", DEVICE_SCOPES, None, "gpu-1")
BARE_DEVICE = Principal("device", "acme", "token:2", frozenset(), None, "gpu-2")
VIEWER = Principal("user", "acme", "user:1", role=Role.VIEWER)
ADMIN = Principal("user", "acme", "user:2", role=Role.ADMIN)
KNOWN = {"device": DEVICE, "bare": BARE_DEVICE, "viewer": VIEWER, "admin": ADMIN}


async def by_name(request: web.Request) -> Principal | None:
    """Take the bearer for a name out of `KNOWN`."""
    given = request.headers.get("Authorization")
    if given is None:
        return None
    principal = KNOWN.get(given.removeprefix("Bearer "))
    if principal is None:
        raise unauthorized("this token is not known")
    return principal


@dataclass
class Running:
    """A frame that runs."""

    service: ApiService
    client: aiohttp.ClientSession
    metrics: ApiMetrics
    rows: list[AuditRow] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.service.port}{path}"

    async def ask(
        self, path: str, method: str = "GET", *, who: str | None = "device", **options: Any
    ) -> tuple[int, Any, Any]:
        """Give status, decoded body (None if empty) and headers."""
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        headers |= options.pop("headers", {})
        async with self.client.request(
            method, self.url(path), headers=headers, **options
        ) as response:
            body = await response.json(content_type=None) if await response.read() else None
            return response.status, body, response.headers

    async def raw(self, data: bytes) -> bytes:
        """Send bytes; give what comes back until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.service.port)
        writer.write(data)
        answer = await reader.read()
        writer.close()
        return answer


@asynccontextmanager
async def serving(
    routes: Iterable[Route],
    *,
    settings: dict[str, Any] | None = None,
    needed: dict[str, Check] | None = None,
    told: dict[str, Check] | None = None,
    clock: Clock | None = None,
    **behind: Any,
) -> AsyncIterator[Running]:
    """Serve routes on a free port until left."""
    clock = clock or SystemClock()
    rows: list[AuditRow] = []

    async def append(batch: Sequence[AuditRow]) -> None:
        rows.extend(batch)

    metrics = ApiMetrics()
    given = {"listen_host": "127.0.0.1", "listen_port": 0, "metrics_port": 0}
    parsed = ApiSettings.model_validate(given | (settings or {}))
    service = ApiService(
        parsed,
        routes,
        by_name,
        Behind(
            Readiness(needed or {}, told or {}, clock),
            Limiter(parsed.quota, clock),
            Auditor(append, clock, metrics.audit_lost),
            **behind,
        ),
        metrics=metrics,
        clock=clock,
    )
    await service.start()
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(service.run())
            async with aiohttp.ClientSession() as client:
                yield Running(service, client, metrics, rows)
            running.cancel()
    finally:
        await service.stop()
