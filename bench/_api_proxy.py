"""How many heartbeats a second the proxy takes, from the socket to the stream.

The whole API as it is deployed, with its frame, credentials and counts, in a process of its own;
the load in another, over 32 connections that each wait for their answer; Valkey and PostgreSQL
beside them on the same cores. 200 nodes with a token each send what a node of four GPUs sends.

The naive way, served by the same library on the same cores: the message decoded whole, and for each
request a connection to Redis of its own; it asks for no credential.
"""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis.asyncio as redis_asyncio

from bench._proxy_load import PATH, Load
from bench._rig import cpu_seconds, resident_mib
from bench.figures import Bench
from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.constants import STATUS_STREAM
from citadel_k8s.local.simulate import SimulatedNode
from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.postgres import migrate
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.tokens import DeviceTokens

CLOCK = SystemClock()

NODES = 200
GPUS = 4
"""GPUs of a node: its message is of 3 kB."""

SECONDS = 15.0
QUICK_SECONDS = 2.0
WARM_SECONDS = 1.0
TARGET_RATE = 1000.0
TARGET_P99_MS = 250.0


@dataclass
class Nodes:
    """Who sends: a token for each node, and the servers."""

    stack: Stack
    redis: Any
    tokens: dict[str, str]

    def write_requests(self, port: int) -> Path:
        """Write down one heartbeat of each node as its client sends it."""
        file = self.stack.folder / "requests.json"
        file.write_text(json.dumps([_request(port, n, t) for n, t in self.tokens.items()]))
        return file

    async def load(self, port: int, seconds: float) -> Load:
        """Load a server from a process of its own."""
        asked = {"port": port, "file": str(self.write_requests(port)), "seconds": seconds}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench._proxy_load", "load", json.dumps(asked),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
        return Load(**json.loads(out))


def _request(port: int, node_id: str, token: str) -> str:
    node = SimulatedNode(node_id, 1, changing=True, interval=30.0, gpus=GPUS)
    values = {"nodeId": node_id, "timestamp": "2026-11-24T00:00:00Z"}
    values["payload"] = node.payload(CLOCK.now()).decode()
    body = {"stream": STATUS_STREAM, "values": values, "maxLen": 10000, "approx": True}
    data = json.dumps(body, separators=(",", ":"))
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n{data}"
    )


@asynccontextmanager
async def enrolled() -> AsyncIterator[Nodes]:
    """Start the servers, with an org whose nodes have tokens."""
    async with Stack(kube=False, postgres=True) as stack:
        await migrate.upgrade(stack.database_url)
        database = Database(stack.database_url, pool_max=2, purpose="bench")
        async with redis_asyncio.Redis.from_url(stack.redis_url) as client:
            await Orgs(database).create("bench", "bench")
            tokens = DeviceTokens(database)
            given: dict[str, str] = {}
            for number in range(NODES):
                name = f"sim-{number}"
                _, token = await tokens.create("bench", name, created_by="bench", node_id=name)
                given[name] = token
            await database.close()
            yield Nodes(stack, client, given)


@asynccontextmanager
async def program(port: int, *words: str) -> AsyncIterator[int]:
    """Run a server beside until its port answers; give its process id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            while not await _answers(port):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
        yield process.pid
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _settings(stack: Stack, port: int) -> Path:
    settings = {
        "redisUrl": stack.redis_url, "databaseUrl": stack.database_url,
        "listenHost": "127.0.0.1", "listenPort": port, "metricsPort": 0, "inCluster": "off",
        "quota": {"dailyRequests": 10**9},
    }  # fmt: skip
    file = stack.folder / "api.yaml"
    file.write_text(json.dumps(settings))
    return file


async def measure(bench: Bench) -> None:
    """Load the API, then the naive server, and record the figures."""
    seconds = QUICK_SECONDS if bench.quick else SECONDS
    async with enrolled() as nodes:
        port = _free_port()
        words = ("-m", "citadel_k8s", "api", "--config", str(_settings(nodes.stack, port)))
        async with program(port, *words) as pid:
            await nodes.load(port, WARM_SECONDS)
            before, entries = cpu_seconds(pid), await nodes.redis.xinfo_stream(STATUS_STREAM)
            found = await nodes.load(port, seconds)
            used = cpu_seconds(pid) - before
            after = await nodes.redis.xinfo_stream(STATUS_STREAM)
            memory = resident_mib(pid)
        port = _free_port()
        words = ("-m", "bench._proxy_load", "naive", nodes.stack.redis_url, str(port))
        async with program(port, *words):
            await nodes.load(port, WARM_SECONDS)
            naive = await nodes.load(port, seconds)
    answered = round(found.rate * seconds)
    written = after["entries-added"] - entries["entries-added"]
    bench.say(f"{answered} answers, {written} entries, {found.refused} refused")
    if found.refused or naive.refused or written < answered:
        raise RuntimeError("a heartbeat was refused, or acknowledged and not written")
    bench.at_least("heartbeats of 3 kB", found.rate, "per second", TARGET_RATE, naive=naive.rate)
    slowest = "heartbeats, slowest of a hundred"
    bench.at_most(slowest, found.p99_ms, "ms", TARGET_P99_MS, naive=naive.p99_ms)
    bench.inform("CPU for one heartbeat", 1e6 * used / answered, "µs")
    bench.inform("memory under heartbeats", memory, "MiB")


def main() -> int:
    """Run this part alone."""
    bench = Bench("api_proxy", "What the proxy takes")
    asyncio.run(measure(bench))
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
