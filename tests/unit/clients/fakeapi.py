"""An API server that answers as it is told, on a loopback port."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class FakeApi:
    """Answers by path; what is not told is 404 as the real one says it."""

    url: str = ""
    asked: list[web.Request] = field(default_factory=list[web.Request])
    answers: dict[str, Callable[[web.Request], Any]] = field(default_factory=dict)
    streams: list[list[bytes | float]] = field(default_factory=list)

    def tell(
        self, path: str, body: Any, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()

        async def answer(_request: web.Request) -> web.StreamResponse:
            return web.Response(
                body=data, status=status, content_type="application/json", headers=headers
            )

        self.answers[path] = answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if request.path == "/api/fabric/events" and self.streams:
            return await self._stream(request)
        known = self.answers.get(request.path)
        if known is not None:
            return await known(request)
        body = {"error": "not_found", "error_description": "there is nothing here"}
        return web.json_response(body, status=404)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in self.streams.pop(0):
            if isinstance(piece, bytes):
                await response.write(piece)
            else:
                await asyncio.sleep(piece)
        return response


@asynccontextmanager
async def serving() -> AsyncIterator[FakeApi]:
    api = FakeApi()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        await runner.cleanup()


def event(kind: str, data: Any, mark: str = "") -> bytes:
    named = f"id: {mark}\n" if mark else ""
    return f"{named}event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
