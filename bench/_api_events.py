"""From a change to 500 pages that show it: how long it takes, and what those that hang cost.

One process serves, two hold the clients, this one publishes the changes of 1,000 nodes that report
each 30 s. Five clients never read. Beside it the naive way: each client asks for the whole list
once a second, which is kept encoded for as long as nothing changes.
"""

import asyncio
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import redis.asyncio
from aiohttp import web
from typing_extensions import override

from bench._rig import CLOCK, cpu_seconds, resident_mib
from bench.figures import Bench, Curve
from citadel_k8s.api.events.channel import snapshot_after
from citadel_k8s.api.events.hub import Hub, Limits
from citadel_k8s.api.events.routes import routes
from citadel_k8s.api.frame.route import Call, Route
from citadel_k8s.constants import ORG_STREAM_MAXLEN
from citadel_k8s.domain.keys import org_events_stream
from citadel_k8s.local.stack import Stack
from citadel_k8s.models.identity import Principal, Role
from citadel_k8s.stores.entries import EntryId
from citadel_k8s.stores.orgfeed import RedisOrgFeed

ORG: Final = "bench"
NODES: Final = 1000
INTERVAL: Final = 30.0
CLIENTS: Final = 500
STUCK: Final = 5
HOLDERS: Final = 2
WARM: Final = 3.0
"""Seconds between the last connection and the first change that counts."""

_STAMP: Final = re.compile(rb'"seen":"([0-9]{16})"')


@dataclass(frozen=True)
class Scale:
    """Seconds of changes that count, of the streams and of the naive way."""

    streams: float
    naive: float


FULL = Scale(streams=90, naive=20)
QUICK = Scale(streams=5, naive=3)


def stamp() -> str:
    """Give the machine's duration clock, the same in all processes, in microseconds."""
    return f"{round(CLOCK.monotonic() * 1_000_000):016d}"


def delta(number: int) -> dict[str, Any]:
    """Give a change as the worker tells it, with 8 GPUs; the moment stands where `seen` does."""
    gpu = [[(number * 7 + i) % 100, 60, 0] for i in range(8)]
    pulse = {"cpu": 12.5, "memory": 40.1, "disk": 33.0, "power": 2412.0, "gpu": gpu}
    row = {"type": "node", "id": f"gpu-node-{number % NODES:04d}", "state": "Online"}
    return row | {"since": "2026-11-24T00:00:00Z", "seen": stamp(), "pulse": pulse}


def row(number: int) -> dict[str, Any]:
    """Give a row of the list."""
    profile = {
        "name": f"gpu-node-{number:04d}",
        "address": "100.64.0.7",
        "agent": "0.1.0",
        "gpus": [{"model": "NVIDIA H100 80GB HBM3", "count": 8}],
        "vramBytes": 687194767360,
        "models": ["meta-llama/Llama-3.1-70B-Instruct"],
        "services": 1,
    }
    plain = {key: value for key, value in delta(number).items() if key != "type"}
    return plain | {"age": 3.2, "profile": profile}


@dataclass
class Fleet:
    """Rows as a database has them, fed from the stream."""

    rows: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {(made := row(n))["id"]: made for n in range(NODES)}
    )
    encoded: bytes | None = None

    async def follow(self, feed: RedisOrgFeed) -> None:
        """Take in what changes, for ever."""
        place = EntryId.ZERO
        while True:
            for entry in (await feed.read(ORG, place)).entries:
                place = entry.id
                told = json.loads(entry.data)
                self.rows[told["id"]] |= {k: v for k, v in told.items() if k != "type"}
                self.encoded = None

    def read(self) -> bytes:
        """Give all rows."""
        if self.encoded is None:
            self.encoded = json.dumps(list(self.rows.values()), separators=(",", ":")).encode()
        return self.encoded


async def serve(redis_url: str) -> None:
    """Serve streams, and the list for the naive way; say the port, end with the input."""
    feed, fleet = RedisOrgFeed(redis_url), Fleet()

    async def rows(_org: str) -> bytes:
        return fleet.read()

    async def still(_principal: Principal) -> bool:
        return True

    async def listed(_request: web.Request) -> web.Response:
        return web.Response(body=fleet.read(), content_type="application/json")

    hub = Hub(feed, snapshot_after(feed, rows), still=still, limits=Limits(CLIENTS, CLIENTS))
    app = web.Application()
    app.router.add_get("/naive", listed)
    for route in routes(hub):
        app.router.add_route(route.method, route.path, _handler(route))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(runner.addresses[0][1], flush=True)
    async with asyncio.TaskGroup() as group:
        beside = [group.create_task(hub.run()), group.create_task(fleet.follow(feed))]
        while await asyncio.to_thread(sys.stdin.readline):
            told = {
                "rss": resident_mib(os.getpid()),
                "cpu": cpu_seconds(os.getpid()),
                "streams": hub.figures.streams,
                "stuck": hub.figures.stuck,
                "resets": hub.figures.resets,
            }
            print(json.dumps(told), flush=True)
        for task in beside:
            task.cancel()
    await runner.cleanup()


def _handler(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    who = Principal("user", ORG, "user:bench", role=Role.VIEWER)

    async def handle(request: web.Request) -> web.StreamResponse:
        query = route.query.model_validate(dict(request.query)) if route.query else None
        answer = await route.handler(Call(request, "bench", "127.0.0.1", who, query=query))
        if not isinstance(answer, web.StreamResponse):
            raise TypeError("a stream is its own response")
        return answer

    return handle


class Page(asyncio.Protocol):
    """A client that notes how old each change is when it comes; or one that never reads."""

    def __init__(self, ages: list[float], path: str, *, reads: bool, again: float = 0) -> None:
        self._ages, self._path, self._reads, self._again = ages, path, reads, again
        self._rest = b""
        self._known = 0
        self._newest = 0
        self._transport: asyncio.Transport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a socket reads and writes")
        self._transport = transport
        self._ask()
        if not self._reads:
            transport.pause_reading()

    @override
    def data_received(self, data: bytes) -> None:
        now = round(CLOCK.monotonic() * 1_000_000)
        if data.startswith(b"HTTP/1.1"):
            # The rows of a list say again what the one before said.
            self._known = self._newest
        text = self._rest + data
        end = 0
        for found in _STAMP.finditer(text):
            end, moment = found.end(), int(found[1])
            if moment > self._known:
                self._newest = max(self._newest, moment)
                self._ages.append((now - moment) / 1_000_000)
        self._rest = text[max(end, len(text) - 30) :]

    def _ask(self) -> None:
        self._transport.write(f"GET {self._path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        if self._again:
            asyncio.get_running_loop().call_later(self._again, self._ask)


async def hold(port: int, path: str, reading: int, stuck: int, again: float) -> None:
    """Hold clients until told to say what they saw."""
    loop = asyncio.get_running_loop()
    ages: list[float] = []
    for number in range(reading + stuck):
        reads = number < reading
        line = socket.socket()
        line.setblocking(False)  # noqa: FBT003
        if not reads:
            # The kernel would take megabytes for it, and nobody would know for minutes.
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.sock_connect(line, ("127.0.0.1", port))
        await loop.create_connection(
            lambda reads=reads: Page(ages, path, reads=reads, again=again), sock=line
        )
        await asyncio.sleep(0.004)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    ages.clear()
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps(sorted(ages)[:: max(1, len(ages) // 20_000)]), flush=True)


class Other:
    """Another process of this file."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def started(cls, *arguments: object) -> AsyncIterator["Other"]:
        """Run it until the context ends."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "bench._api_events", *map(str, arguments)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**24,
        )
        try:
            yield cls(process)
        finally:
            process.kill()
            await process.wait()

    async def line(self, limit: float = 60) -> Any:
        """Give the next thing that it says."""
        if self._process.stdout is None:
            raise RuntimeError("it has no output")
        async with asyncio.timeout(limit):
            text = (await self._process.stdout.readline()).decode().strip()
        return json.loads(text) if text[:1] in {"{", "["} else text

    def nudge(self) -> None:
        """Let it go on."""
        if self._process.stdin is not None:
            self._process.stdin.write(b"\n")

    async def ask(self) -> Any:
        """Let it go on, and give what it says then."""
        self.nudge()
        return await self.line()


async def publish(server: redis.asyncio.Redis, seconds: float) -> None:
    """Tell changes at the pace of the fleet."""
    loop = asyncio.get_running_loop()
    started, number = loop.time(), 0
    while loop.time() - started < seconds:
        said = json.dumps(delta(number * 7), separators=(",", ":"))
        await server.xadd(
            org_events_stream(ORG), {"d": said}, maxlen=ORG_STREAM_MAXLEN, approximate=True
        )
        number += 1
        await asyncio.sleep(started + number * INTERVAL / NODES - loop.time())


@dataclass(frozen=True)
class Seen:
    """What clients saw: ages in seconds; the server before, in the middle and after."""

    ages: list[float]
    before: dict[str, float]
    after: dict[str, float]

    def share(self, quantile: float) -> float:
        """Give an age that this share of all did not reach."""
        return self.ages[min(len(self.ages) - 1, int(len(self.ages) * quantile))]


async def part(redis_url: str, path: str, seconds: float, *, stuck: int, again: float = 0) -> Seen:
    """Run one way to hear of changes."""
    async with AsyncExitStack() as exits:
        server = await exits.enter_async_context(redis.asyncio.Redis.from_url(redis_url))
        api = await exits.enter_async_context(Other.started("serve", redis_url))
        port = int(await api.line())
        await publish(server, 0.1)
        holders = [
            await exits.enter_async_context(
                Other.started(
                    "hold",
                    port,
                    path,
                    (CLIENTS - stuck) // HOLDERS + (n < (CLIENTS - stuck) % HOLDERS),
                    stuck if n == 0 else 0,
                    again,
                )
            )
            for n in range(HOLDERS)
        ]
        for holder in holders:
            await holder.line()
        await publish(server, WARM)
        for holder in holders:
            holder.nudge()
        before = await api.ask()
        await publish(server, seconds)
        await asyncio.sleep(1.5)
        after = await api.ask()
        for holder in holders:
            holder.nudge()
        seen = [await holder.line() for holder in holders]
    return Seen(sorted(age for ages in seen for age in ages), before, after)


WHAT: Final = f"{CLIENTS} streams, {STUCK} stuck"
"""How the figures are called."""


async def measure(bench: Bench) -> None:
    """Measure the streams, and in a full run the naive way too, and record the figures."""
    scale = QUICK if bench.quick else FULL
    async with Stack(kube=False) as stack:
        bench.say(f"{CLIENTS} streams, {STUCK} of which never read; {NODES / INTERVAL:.0f}/s")
        streams = await part(stack.redis_url, "/api/fabric/events", scale.streams, stuck=STUCK)
        if bench.quick:
            bench.at_most(f"change to client, {WHAT}, p99", streams.share(0.99), "s", 1)
            return
        bench.say("the same without those that do not read")
        free = await part(stack.redis_url, "/api/fabric/events", scale.naive, stuck=0)
        bench.say(f"naive: {CLIENTS} clients that ask for the list once a second")
        naive = await part(stack.redis_url, "/naive", scale.naive, stuck=0, again=1.0)
    tell(bench, scale, streams, naive)
    bench.inform("change to client, none stuck, p99", free.share(0.99), "s")


def tell(bench: Bench, scale: Scale, streams: Seen, naive: Seen) -> None:
    """Record the figures."""
    what = WHAT
    bench.at_most(
        f"change to client, {what}, p99", streams.share(0.99), "s", 1, naive=naive.share(0.99)
    )
    bench.inform(f"change to client, {what}, p50", streams.share(0.5), "s", naive=naive.share(0.5))
    grown = streams.after["rss"] - streams.before["rss"]
    bench.at_most(f"growth of memory over {scale.streams:g} s, {what}", grown, "MiB", 20)
    bench.inform(f"memory of the process, {what}", streams.after["rss"], "MiB")
    lasted = scale.streams + 1.5
    used = 100 * (streams.after["cpu"] - streams.before["cpu"]) / lasted
    waste = 100 * (naive.after["cpu"] - naive.before["cpu"]) / (scale.naive + 1.5)
    bench.inform("share of a core", used, "%", naive=waste)
    bench.at_least("stuck clients that were cut", streams.after["stuck"], "clients", STUCK)
    shares = [n / 100 for n in range(1, 100)]
    lines = {
        "streams": (shares, [streams.share(n) for n in shares]),
        "naive": (shares, [naive.share(n) for n in shares]),
    }
    bench.curve(Curve("Change to client", "share of all", "seconds", lines))


def main() -> None:
    """Run one of the other processes, or the measurement alone."""
    match sys.argv[1:]:
        case ["serve", redis_url]:
            asyncio.run(serve(redis_url))
        case ["hold", port, path, reading, stuck, again]:
            asyncio.run(hold(int(port), path, int(reading), int(stuck), float(again)))
        case _:
            bench = Bench("api_events", "From a change to all clients")
            asyncio.run(measure(bench))
            sys.exit(0 if all(figure.ok is not False for figure in bench.figures) else 1)


if __name__ == "__main__":
    main()
