"""The streams behind a real port, with a stand-in for the rest of the API; and clients of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio
from aiohttp import web

from citadel_k8s.api.events.channel import snapshot_after
from citadel_k8s.api.events.hub import Hub, Limits
from citadel_k8s.api.events.routes import routes
from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.api.frame.route import Call, Route
from citadel_k8s.domain.keys import org_events_stream
from citadel_k8s.models.identity import Kind, Principal, Role
from citadel_k8s.stores.orgfeed import RedisOrgFeed
from tests.orgfeed import apply, parse


@dataclass
class Served:
    """A replica of the API. Who asks is what the header ``X-Org`` says."""

    url: str
    hub: Hub
    rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    kind: Kind = "user"
    holds: bool = True
    port: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, org: str, delta: dict[str, Any], **options: Any) -> str:
        """Change a row, then say so, as the worker does."""
        apply(self.rows.setdefault(org, {}), delta["type"], delta)
        async with redis.asyncio.Redis.from_url(self.url) as server:
            key = org_events_stream(org)
            added = await server.xadd(key, {"d": json.dumps(delta)}, **options)
        return added.decode()


@asynccontextmanager
async def served(
    redis_url: str,
    *,
    limits: Limits | None = None,
    rows: dict[str, Any] | None = None,
    patience: float = 10.0,
    **options: Any,
) -> AsyncIterator[Served]:
    feed = RedisOrgFeed(redis_url)
    made: Served

    async def read(org_id: str) -> bytes:
        return json.dumps(list(made.rows.get(org_id, {}).values())).encode()

    async def still(_principal: Principal) -> bool:
        return made.holds

    hub = Hub(
        feed, snapshot_after(feed, read), still=still, limits=limits or Limits(1000), **options
    )
    made = Served(redis_url, hub)
    if rows is not None:
        made.rows = rows
    app = web.Application()
    for route in routes(hub, public_url="https://fabric.example", patience=patience):
        app.router.add_route(route.method, route.path, handler(made, route))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(hub.run())
            yield made
            running.cancel()
    finally:
        await runner.cleanup()
        await feed.close()


def handler(made: Served, route: Route) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.StreamResponse:
        who = Principal(made.kind, request.headers["X-Org"], "user:1", role=Role.VIEWER)
        query = route.query.model_validate(dict(request.query)) if route.query else None
        call = Call(request, "r", "127.0.0.1", who, query=query, stopping=made.stopping)
        try:
            answer = await route.handler(call)
        except RefusalError as error:
            return web.json_response({"error": error.error}, status=error.status)
        assert isinstance(answer, web.StreamResponse)
        return answer

    return handle


class Listener:
    """A client of server-sent events, byte by byte on a socket of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self.head = b""
        self.body = b""
        self.ended = False

    @classmethod
    async def connect(
        cls, port: int, org: str, *, after: str | None = None, query: str = ""
    ) -> "Listener":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        last = f"Last-Event-ID: {after}\r\n" if after else ""
        writer.write(
            f"GET /api/fabric/events{query} HTTP/1.1\r\nHost: x\r\nX-Org: {org}\r\n"
            f"Accept-Encoding: gzip\r\n{last}\r\n".encode()
        )
        client = cls(reader, writer)
        client.head = await reader.readuntil(b"\r\n\r\n")
        return client

    async def read(self, seconds: float) -> None:
        """Read what comes within so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.ended:
                    await self._piece()

    async def until(
        self, enough: Callable[[list[dict[str, str]]], bool], limit: float = 10
    ) -> None:
        """Read until what came is enough."""
        async with asyncio.timeout(limit):
            while not enough(self.events()):
                assert not self.ended, self.events()
                await self._piece()

    def events(self, *, times: bool = False) -> list[dict[str, str]]:
        found = [event for event in parse(self.body) if "event" in event]
        return [event for event in found if times or event["event"] != "time"]

    def kinds(self) -> list[str]:
        return [event["event"] for event in self.events()]

    def rows(self) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = {}
        for event in self.events():
            apply(rows, event["event"], json.loads(event["data"]))
        return rows

    def place(self) -> str | None:
        return next((e["id"] for e in reversed(self.events(times=True)) if "id" in e), None)

    def close(self) -> None:
        self.writer.close()

    async def _piece(self) -> None:
        try:
            size = int(await self._reader.readline() or b"0", 16)
            piece = await self._reader.readexactly(size + 2)
        except (OSError, asyncio.IncompleteReadError):
            size, piece = 0, b"\r\n"
        self.body += piece[:-2]
        self.ended = size == 0
