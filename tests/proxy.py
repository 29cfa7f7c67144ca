"""A proxy in this process that answers as it is told to, and remembers what it got."""

import asyncio
import json
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

API = "/api/fabric/redis"
ADD = f"{API}/streams/add"
PUBLISH = f"{API}/pubsub/publish"
CONSUME = f"{API}/jobs/consume"
ACKNOWLEDGE = f"{API}/jobs/acknowledge"
PING = f"{API}/ping"
SOCKET = f"{API}/ws"
WORKER_CONFIG = "/api/fabric/worker-config"
START = "/api/fabric/device-auth/start"
POLL = "/api/fabric/device-auth/token"

TOKEN = "device-token-1"


@dataclass
class Answer:
    """What to say instead of yes. A ``hang`` says nothing; a ``times`` of None is for ever."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    delay: float = 0.0
    times: int | None = None


@dataclass
class Seen:
    """One request as it came."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: Any


class FakeProxy:
    """REST and WebSocket by the contract; every path can be told to answer otherwise."""

    def __init__(self) -> None:
        self.base = ""
        self.port = 0
        self.tokens = {TOKEN}
        self.org_id: str | None = "acme"
        self.streams: dict[str, list[dict[str, str]]] = defaultdict(list)
        self.published: list[tuple[str, Any]] = []
        self.jobs: list[dict[str, Any]] = []
        self.acknowledged: list[str] = []
        self.seen: list[Seen] = []
        self.frames: list[tuple[float, dict[str, Any]]] = []
        self.pings: list[float] = []
        self.pongs: list[bytes] = []
        self.closes: list[int | None] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.deaf = False
        self.authorized: dict[str, Any] = {}
        self._told: dict[str, list[Answer]] = defaultdict(list)
        self._runner: web.AppRunner | None = None

    def tell(self, path: str, status: int = 200, body: Any = None, **more: Any) -> None:
        """Answer the next ``times`` requests for a path like this, after those told before."""
        self._told[path].append(Answer(status, body, **more))

    def forgive(self, path: str | None = None) -> None:
        """Answer by the contract again."""
        for told in [path] if path else list(self._told):
            self._told.pop(told, None)

    def asked(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == path]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [frame for _, frame in self.frames if frame["type"] == kind]

    def statuses(self) -> list[dict[str, Any]]:
        return [json.loads(v["payload"]) for v in self.streams["node:status:stream"]]

    async def say(self, frame: Any) -> None:
        """Send a frame on every socket: an object as JSON, text as it is."""
        for socket in self.sockets:
            await socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    def drop(self) -> None:
        """Cut every socket without a word."""
        for socket in list(self.sockets):
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()

    async def start(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        app = web.Application(client_max_size=8 * 1024**2)
        app.router.add_get(SOCKET, self._socket)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.01
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.base = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """Go away, sockets and all; `start` with the same port comes back."""
        self.drop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        seen = await self._note(request)
        refusal = await self._refusal(request)
        if refusal is not None:
            return refusal
        if request.path in {START, POLL}:
            return web.json_response(self.authorized)
        return web.json_response(getattr(self, _ROUTES[request.path])(seen.body))

    async def _note(self, request: web.Request) -> Seen:
        text = await request.text()
        at = asyncio.get_running_loop().time()
        body = json.loads(text) if text else None
        self.seen.append(Seen(at, request.method, request.path, dict(request.headers), body))
        return self.seen[-1]

    async def _refusal(self, request: web.Request) -> web.Response | None:
        told = self._told[request.path]
        if told:
            answer = told[0]
            if answer.times is not None:
                answer.times -= 1
                if answer.times <= 0:
                    told.pop(0)
            if answer.hang:
                await asyncio.sleep(1e6)
            await asyncio.sleep(answer.delay)
            body = answer.body
            text = body if isinstance(body, str) else json.dumps({} if body is None else body)
            return web.Response(status=answer.status, text=text, headers=answer.headers)
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.path not in {START, POLL} and given not in self.tokens:
            return web.json_response({"error": "invalid_token"}, status=401)
        return None

    def _ping(self, _body: Any) -> Any:
        return {"pong": True}

    def _add(self, body: Any) -> Any:
        self.streams[body["stream"]].append(body["values"])
        return {"success": True, "messageId": f"{len(self.streams[body['stream']])}-0"}

    def _publish(self, body: Any) -> Any:
        self.published.append((body["channel"], json.loads(body["message"])))
        return {"published": True}

    def _config(self, _body: Any) -> Any:
        named = {} if self.org_id is None else {"org_id": self.org_id}
        return {"queue": "jobs:v1:cpu-general", **named}

    def _consume(self, body: Any) -> Any:
        taken, self.jobs = self.jobs[: body["count"]], self.jobs[body["count"] :]
        return {"messages": taken}

    def _acknowledge(self, body: Any) -> Any:
        known = body["messageId"] not in self.acknowledged
        self.acknowledged.append(body["messageId"])
        return {"acknowledged": known}

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        await self._note(request)
        refusal = await self._refusal(request)
        if refusal is not None:
            return refusal
        socket = web.WebSocketResponse(autoping=False, max_msg_size=8 * 1024**2)
        await socket.prepare(request)
        self.sockets.append(socket)
        try:
            async for frame in socket:
                await self._frame(socket, frame)
        finally:
            self.sockets.remove(socket)
            self.closes.append(socket.close_code)
        return socket

    async def _frame(self, socket: web.WebSocketResponse, frame: aiohttp.WSMessage) -> None:
        if frame.type is aiohttp.WSMsgType.PONG:
            self.pongs.append(bytes(frame.data))
        if self.deaf:
            return
        now = asyncio.get_running_loop().time()
        if frame.type is aiohttp.WSMsgType.PING:
            self.pings.append(now)
            await socket.pong(frame.data)
        elif frame.type is aiohttp.WSMsgType.TEXT:
            document = json.loads(frame.data)
            self.frames.append((now, document))
            if document["type"] == "publish":
                self.published.append((document["channel"], document["message"]))


_ROUTES = {
    PING: "_ping",
    ADD: "_add",
    PUBLISH: "_publish",
    WORKER_CONFIG: "_config",
    CONSUME: "_consume",
    ACKNOWLEDGE: "_acknowledge",
}


@asynccontextmanager
async def running(tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeProxy]:
    proxy = FakeProxy()
    await proxy.start(tls=tls)
    try:
        yield proxy
    finally:
        await proxy.stop()
