"""What a page waits for: the list of 1,000 nodes, and one node's own word.

The whole API as it is deployed, in a process of its own, on a real PostgreSQL and a real Valkey;
meanwhile the rows change as if all nodes reported each 30 s. Twenty nodes answer for themselves,
in a third process, as simulated nodes of eight GPUs do.

The naive way to a list, served by the same library: each node's row is asked for by itself, made
into a model and written out of it.
"""

import asyncio
import gzip
import json
import socket
import statistics
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp
import psycopg
import pydantic_core
from aiohttp import web
from psycopg.rows import dict_row

from bench._api_proxy import program
from bench._rig import cpu_seconds, resident_mib
from bench.figures import Bench
from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.domain.pulse import compact, profile_of, pulse_of
from citadel_k8s.local.simulate import SimulatedNode
from citadel_k8s.local.stack import Stack
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.models.identity import Role
from citadel_k8s.models.lean import decode_lean
from citadel_k8s.models.views import NodeSummary, Profile, Pulse
from citadel_k8s.stores.postgres import migrate
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.logins import Logins
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.users import Users

CLOCK = SystemClock()

ORG = "bench"
NODES = 1000
GPUS = 8
INTERVAL = 30.0
ANSWERING = 20
"""Nodes that can be asked themselves."""

LISTS, QUICK_LISTS = 400, 30
ANEW, QUICK_ANEW = 40, 5
LIVES, QUICK_LIVES = 300, 30
PAUSE = 0.02
"""Seconds between two requests of a list: a page asks each 30 s: these are 1,500."""

LIST_P95_MS = 50.0
LIVE_P95_MS = 300.0
NODE_BYTES = 400.0

_PATH = "/api/fabric/nodes"
_ROW = (
    "SELECT n.node_id, n.headscale_id, s.stream_ms, s.state, s.reason, s.pulse, d.profile"
    " FROM nodes n JOIN fabric_node_status s USING (org_id, node_id)"
    " JOIN fabric_node_detail d USING (org_id, node_id) WHERE n.org_id = %s AND n.node_id = %s"
)


def node_id(number: int) -> str:
    return f"gpu-node-{number:04d}"


def payload(number: int) -> bytes:
    node = SimulatedNode(node_id(number), number, changing=True, interval=INTERVAL, gpus=GPUS)
    return node.payload(CLOCK.now())


@dataclass
class Rows:
    """The rows of the fleet, and a worker's part in them."""

    connection: psycopg.AsyncConnection[Any]
    turn: int = 0
    pulses: list[str] = field(default_factory=list)

    async def fill(self, ports: dict[str, int]) -> None:
        """Add all nodes; those that can be asked say where."""
        at = round(CLOCK.now() * 1000)
        cursor = self.connection.cursor()
        for number in range(NODES):
            name, said = node_id(number), json.loads(payload(number))
            said |= {"bootId": f"boot-{number}"}
            if name in ports:
                said |= {"addresses": ["127.0.0.1"], "statusPort": ports[name]}
            body = json.dumps(said)
            lean = decode_lean(body.encode())
            self.pulses.append(compact(pulse_of(lean)))
            await cursor.execute(
                "INSERT INTO nodes (org_id, node_id, source) VALUES (%s, %s, 'report')", (ORG, name)
            )
            await cursor.execute(
                "INSERT INTO fabric_node_status (org_id, node_id, boot_id, seq, stream_epoch,"
                " stream_ms, stream_seq, interval_seconds, verdict, state, state_since, pulse)"
                " VALUES (%s, %s, %s, 1, 0, %s, 0, %s, 'Online', 'Online', now(), %s)",
                (ORG, name, f"boot-{number}", at, INTERVAL, self.pulses[-1]),
            )
            await cursor.execute(
                "INSERT INTO fabric_node_detail (org_id, node_id, digest, profile, status)"
                " VALUES (%s, %s, '', %s, %s)",
                (ORG, name, compact(profile_of(lean)), body),
            )
        await self._ingested(at)
        await cursor.execute("ANALYZE")

    async def beat(self) -> None:
        """Take in heartbeats: each node's once in 30 s, for ever."""
        while True:
            self.turn += 1
            at = round(CLOCK.now() * 1000)
            share = round(INTERVAL / 0.5)
            numbers = range(self.turn % share, NODES, share)
            names = [node_id(number) for number in numbers]
            pulses = [self.pulses[(number + self.turn) % NODES] for number in numbers]
            await self.connection.execute(
                "UPDATE fabric_node_status s SET stream_ms = %s, seq = seq + 1, pulse = g.pulse"
                " FROM unnest(%s::text[], %s::jsonb[]) AS g (node_id, pulse)"
                " WHERE s.org_id = %s AND s.node_id = g.node_id",
                (at, names, pulses, ORG),
            )
            await self._ingested(at)
            await asyncio.sleep(0.5)

    async def _ingested(self, at: int) -> None:
        await self.connection.execute(
            "INSERT INTO fabric_ingest (partition, stream_epoch, last_ms, last_seq, frontier_ms,"
            " clear_since_ms, looked_ms) VALUES (0, 0, %s, 0, %s, 0, %s) ON CONFLICT (partition)"
            " DO UPDATE SET frontier_ms = excluded.frontier_ms, looked_ms = excluded.looked_ms,"
            " updated_at = now()",
            (at, at, at),
        )


@dataclass(frozen=True)
class Answer:
    """What came back, packed as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def plain(self) -> bytes:
        packed = self.headers.get("Content-Encoding") == "gzip"
        return gzip.decompress(self.body) if packed else self.body


@dataclass
class Rig:
    """Everything that runs, and a client that may look."""

    stack: Stack
    rows: Rows
    http: aiohttp.ClientSession
    port: int
    pid: int
    naive_port: int

    async def get(self, path: str, port: int | None = None, **headers: str) -> Answer:
        url = f"http://127.0.0.1:{port or self.port}{path}"
        async with self.http.get(url, headers=headers) as answer:
            return Answer(answer.status, answer.headers, await answer.read())


async def timed(
    ask: Callable[[int], Awaitable[Any]], count: int, pause: float
) -> tuple[float, float]:
    """Ask so many times; give the slowest of twenty and the usual, in ms."""
    loop, took = asyncio.get_running_loop(), []
    for number in range(count):
        began = loop.time()
        await ask(number)
        took.append(1000 * (loop.time() - began))
        await asyncio.sleep(pause)
    return statistics.quantiles(took, n=20)[-1], statistics.median(took)


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    """Start everything."""
    async with AsyncExitStack() as held:
        stack = await held.enter_async_context(Stack(kube=False, postgres=True))
        await migrate.upgrade(stack.database_url)
        cookie = await _session(stack.database_url)
        ports = free_ports(ANSWERING + 2)
        port, naive_port = ports.pop(), ports.pop()
        where = {node_id(number * 7): ports[number] for number in range(ANSWERING)}
        connection = await psycopg.AsyncConnection.connect(stack.database_url, autocommit=True)
        held.push_async_callback(connection.close)
        rows = Rows(connection)
        await rows.fill(where)
        settings = {
            "redisUrl": stack.redis_url, "databaseUrl": stack.database_url,
            "listenHost": "127.0.0.1", "listenPort": port, "metricsPort": 0, "inCluster": "off",
            "cookieSecure": False, "live": {"allowedCidrs": ["127.0.0.0/8"]},
            "quota": {"dailyRequests": 10**9, "requestsPerSecond": 10_000, "burst": 100_000},
        }  # fmt: skip
        file = stack.folder / "api.yaml"
        file.write_text(json.dumps(settings))
        words = ("-m", "citadel_k8s", "api", "--config", str(file))
        pid = await held.enter_async_context(program(port, *words))
        own = ("-m", "bench._api_nodes")
        told = json.dumps(where)
        await held.enter_async_context(program(next(iter(where.values())), *own, "nodes", told))
        naive = (*own, "naive", stack.database_url, str(naive_port))
        await held.enter_async_context(program(naive_port, *naive))
        headers = {"Cookie": f"citadel_session={cookie}", "Accept-Encoding": "gzip"}
        http = aiohttp.ClientSession(headers=headers, auto_decompress=False)
        yield Rig(stack, rows, await held.enter_async_context(http), port, pid, naive_port)


def free_ports(count: int) -> list[int]:
    """Give ports that nobody has."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


async def _session(url: str) -> str:
    database = Database(url, pool_max=2, purpose="bench")
    await Orgs(database).create(ORG, ORG)
    user = await Users(database).create(ORG, "bench", role=Role.VIEWER)
    raw, _ = await Logins(database).open(ORG, user.user_id, method="link", life=timedelta(hours=1))
    await database.close()
    return raw


async def measure(bench: Bench) -> None:
    """Ask for lists and for nodes, and record the figures."""
    async with rig() as one:
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(one.rows.beat())
            await _lists(bench, one)
            await _lives(bench, one)
            beating.cancel()
        await _unchanged(bench, one)
        bench.inform("memory with 1,000 nodes", resident_mib(one.pid), "MiB")


async def _lists(bench: Bench, one: Rig) -> None:
    quick = bench.quick

    async def listed(_number: int) -> None:
        answer = await one.get(_PATH)
        if answer.status != 200 or answer.headers["X-Total-Count"] != str(NODES):
            raise RuntimeError(f"{answer.status}: {answer.plain[:200]!r}")

    async def naive(_number: int) -> None:
        answer = await one.get(_PATH, one.naive_port)
        if answer.status != 200 or len(json.loads(answer.plain)) != NODES:
            raise RuntimeError(f"the naive server answers {answer.status}")

    await timed(listed, 5, PAUSE)
    before, count = cpu_seconds(one.pid), QUICK_LISTS if quick else LISTS
    p95, usual = await timed(listed, count, PAUSE)
    used = cpu_seconds(one.pid) - before
    anew, usual_anew = await timed(listed, QUICK_ANEW if quick else ANEW, 1.05)
    slow, _ = await timed(naive, 3 if quick else 20, PAUSE)
    bench.at_most("list of 1,000 nodes, slowest of 20", p95, "ms", LIST_P95_MS, naive=slow)
    bench.inform("list of 1,000 nodes, usual", usual, "ms")
    bench.at_most("list read anew, slowest of 20", anew, "ms", LIST_P95_MS, naive=slow)
    bench.inform("list read anew, usual", usual_anew, "ms")
    bench.inform("the API's CPU for one list", 1000 * used / count, "ms")
    answer = await one.get(_PATH)
    bench.inform("a node of the list", len(answer.plain) / NODES, "bytes")
    bench.at_most("a node of the list, packed", len(answer.body) / NODES, "bytes", NODE_BYTES)


async def _lives(bench: Bench, one: Rig) -> None:
    failed = 0

    async def live(number: int) -> None:
        nonlocal failed
        answer = await one.get(f"{_PATH}/{node_id(number % ANSWERING * 7)}/live")
        failed += b'"live":true' not in answer.plain

    count = QUICK_LIVES if bench.quick else LIVES
    # No node is asked twice within the second for which its answer is shared.
    p95, usual = await timed(live, count, 1.1 / ANSWERING)
    if failed:
        raise RuntimeError(f"{failed} of {count} nodes did not answer")
    bench.at_most("a node's own word, slowest of 20", p95, "ms", LIVE_P95_MS)
    bench.inform("a node's own word, usual", usual, "ms")


async def _unchanged(bench: Bench, one: Rig) -> None:
    await asyncio.sleep(1.1)
    tag = (await one.get(_PATH)).headers["ETag"]

    async def asked(_number: int) -> None:
        if (await one.get(_PATH, **{"If-None-Match": tag})).status != 304:
            raise RuntimeError("a list in which nothing changed was sent again")

    p95, _ = await timed(asked, QUICK_LISTS if bench.quick else LISTS, PAUSE)
    bench.inform("a list that has not changed, slowest of 20", p95, "ms")


async def serve_nodes(ports: dict[str, int]) -> None:
    """Answer for some nodes, each on its port."""
    for name, port in ports.items():
        number = int(name.rpartition("-")[2])

        async def status(_request: web.Request, number: int = number) -> web.Response:
            said = json.loads(payload(number)) | {"bootId": f"boot-{number}"}
            return web.json_response(said)

        await _serve(port, "/status", status)
    await asyncio.Event().wait()


async def serve_naive(url: str, port: int) -> None:
    """Answer with the list the naive way."""
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row)

    async def listed(_request: web.Request) -> web.Response:
        names = await (
            await connection.execute("SELECT node_id FROM nodes WHERE org_id = %s", (ORG,))
        ).fetchall()
        found: list[NodeSummary] = []
        for name in names:
            cursor = await connection.execute(_ROW, (ORG, name["node_id"]))
            row = await cursor.fetchone()
            if row is not None:
                found.append(_summary(row))
        return web.Response(body=pydantic_core.to_json(found, by_alias=True, exclude_none=True))

    await _serve(port, _PATH, listed)
    await asyncio.Event().wait()


def _summary(row: dict[str, Any]) -> NodeSummary:
    return NodeSummary(
        id=row["node_id"],
        state=NodeState(row["state"]),
        headscale_id=row["headscale_id"],
        profile=Profile.model_validate_json(json.dumps(row["profile"])),
        pulse=Pulse.model_validate_json(json.dumps(row["pulse"])),
    )


async def _serve(port: int, path: str, handler: Any) -> None:
    app = web.Application()
    app.router.add_get(path, handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()


def main() -> int:
    """Run this part alone."""
    bench = Bench("api_nodes", "What a page waits for")
    asyncio.run(measure(bench))
    return bench.finish()


if __name__ == "__main__":
    if sys.argv[1:2] == ["nodes"]:
        asyncio.run(serve_nodes(json.loads(sys.argv[2])))
    elif sys.argv[1:2] == ["naive"]:
        asyncio.run(serve_naive(sys.argv[2], int(sys.argv[3])))
    else:
        sys.exit(main())
