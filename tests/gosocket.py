"""The WebSocket of the scripted Go client; see `tests.goclient`."""

import asyncio
import json
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

API = "/api/fabric/redis"


class GoError(Exception):
    """A generic error: ``METHOD path: status N: message``. Status 0: there was no answer."""

    def __init__(self, asked: str, status: int, message: str) -> None:
        super().__init__(f"{asked}: status {status}: {message}")
        self.status = status
        self.message = message


class RateLimitedError(GoError):
    """The typed 429 of a ping or an upgrade."""

    def __init__(self, asked: str, body: dict[str, Any], header: str | None) -> None:
        super().__init__(asked, 429, str(body.get("error", "")))
        self.limit = body.get("limit")
        self.window = body.get("window")
        self.reset_at = body.get("reset_at")
        self.retry_after: int = body.get("retry_after") or int(header or 0)


@dataclass
class Job:
    """An entry as it came."""

    queue: str
    id: str
    data: dict[str, str]

    @property
    def payload(self) -> dict[str, Any]:
        document = json.loads(self.data["payload"])
        if not isinstance(document, dict):
            raise TypeError("the payload is no object")
        return document


@dataclass
class GoSocket:
    """One connection at a time, its keepalive, and the schedule of its returns."""

    base: str
    token: str
    pace: float = 1.0
    jobs: list[Job] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    frames: list[dict[str, Any]] = field(default_factory=list)
    ping_every: float = 15.0
    read_deadline: float = 45.0
    dials: int = 0
    pongs: int = 0
    socket: aiohttp.ClientWebSocketResponse | None = None
    channels: list[str] = field(default_factory=list)
    _session: aiohttp.ClientSession | None = None

    async def dial(self) -> None:
        assert self._session is not None
        self.dials += 1
        url = f"{self.base.replace('http', 'ws', 1)}{API}/ws"
        try:
            async with asyncio.timeout(10):
                self.socket = await self._session.ws_connect(
                    url,
                    headers={"Authorization": f"Bearer {self.token}"},
                    autoping=False,
                    compress=0,
                    max_msg_size=0,
                )
        except aiohttp.WSServerHandshakeError as error:
            if error.status == 429:
                header = (error.headers or {}).get("Retry-After")
                raise RateLimitedError("GET ws", {}, header) from error
            raise GoError("GET ws", error.status, error.message) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise GoError("GET ws", 0, repr(error)) from error
        if self.channels:
            await self.say({"type": "subscribe", "channels": self.channels})

    async def say(self, frame: Any) -> None:
        if self.socket is None or self.socket.closed:
            raise GoError("ws", 0, "there is no connection")
        try:
            async with asyncio.timeout(15):
                await self.socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))
        except (aiohttp.ClientError, TimeoutError, OSError, RuntimeError) as error:
            raise GoError("ws", 0, repr(error)) from error

    async def subscribe(self, *channels: str) -> None:
        self.channels += channels
        await self.say({"type": "subscribe", "channels": list(channels)})

    async def listen(self) -> str:
        """Read one connection to its end, pinging every 15 s; give why it ended."""
        socket = self.socket
        assert socket is not None
        async with asyncio.TaskGroup() as group:
            pings = group.create_task(self._ping(socket))
            try:
                return await self._read(socket)
            finally:
                pings.cancel()
                with suppress(Exception):
                    await socket.close()

    async def run_socket(self) -> None:
        """Dial, listen and dial again: uniform in [base, 2 base), 1 s doubling to 60 s."""
        base = 1.0
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self.dial()
            except RateLimitedError as limited:
                base = 1.0
                await self._sleep(limited.retry_after)
                continue
            except GoError as error:
                self.errors.append(str(error))
            else:
                began = loop.time()
                await self.listen()
                if loop.time() - began >= 3 * self.read_deadline:
                    base = 1.0
            await self._sleep(base * random.uniform(1, 2))
            base = min(60.0, base * 2)

    async def hang_up(self) -> None:
        if self.socket is not None and not self.socket.closed:
            with suppress(TimeoutError, aiohttp.ClientError):
                async with asyncio.timeout(2):
                    await self.socket.close()

    async def _ping(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        with suppress(aiohttp.ClientError, RuntimeError):
            while True:
                await asyncio.sleep(self.ping_every)
                await socket.ping()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        while True:
            try:
                async with asyncio.timeout(self.read_deadline):
                    frame = await socket.receive()
            except TimeoutError:
                return "read deadline"
            match frame.type:
                case aiohttp.WSMsgType.PING:
                    await socket.pong(frame.data)
                case aiohttp.WSMsgType.TEXT:
                    self._take(json.loads(frame.data))
                case aiohttp.WSMsgType.PONG:
                    self.pongs += 1
                case aiohttp.WSMsgType.CLOSE:
                    return f"closed {frame.data} {frame.extra}"
                case _:
                    return "broken"

    def _take(self, frame: dict[str, Any]) -> None:
        """Types that it does not know are ignored, messages that are no objects dropped."""
        self.frames.append(frame)
        if frame.get("type") == "message" and isinstance(frame.get("message"), dict):
            self.heard.append((frame["channel"], frame["message"]))
        if frame.get("type") == "job":
            data = frame["data"]
            if all(isinstance(value, str) for value in data.values()):
                self.jobs.append(Job(frame["queue"], frame["id"], data))

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame.get("type") == kind]

    async def _sleep(self, seconds: float) -> None:
        """Sleep in chunks of 90 s."""
        self.waits.append(seconds)
        while seconds > 0:
            chunk = min(90.0, seconds)
            await asyncio.sleep(chunk / self.pace)
            seconds -= chunk
