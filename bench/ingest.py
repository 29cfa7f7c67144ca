"""How fast one worker takes heartbeats in, and how soon each is a row that was told.

- rate: a backlog of one heartbeat from each of 5,000 nodes, from the stream to PostgreSQL, deltas,
  last statuses and confirmations included; once with nodes that nobody has heard of, then with
  known ones.
- latency: 167 heartbeats a second, as 5,000 nodes send at 30 s, each at a moment of its own; from
  XADD until the org's channel tells of it, which is after the row is committed.

The naive way, in the same run on the same servers: a transaction for each message, nothing
coalesced, everything written each time, one confirmation each. Sender, worker, Valkey and
PostgreSQL share the machine's cores; PostgreSQL runs without fsync, for both.
"""

import asyncio
import os
import random
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio as redis_asyncio

from bench.figures import Bench, Curve
from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.constants import STATUS_GROUP, STATUS_STREAM
from citadel_k8s.domain.keys import org_events_channel
from citadel_k8s.local.simulate import SimulatedNode
from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.postgres import migrate
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.orgs import Orgs

CLOCK = SystemClock()

GPUS = 4
"""GPUs of a node: its message is of 3 kB."""

SPREAD = random.Random(7)  # noqa: S311 - nothing secret
"""Spreads the moments at which nodes speak."""

TARGET_RATE = 1000.0
TARGET_P99_MS = 250.0
RATE = 167.0
"""Heartbeats a second of 5,000 nodes at 30 s."""


@dataclass(frozen=True)
class Size:
    """How much is done: nodes, rounds of the backlog, seconds of each latency, naive messages."""

    nodes: int
    rounds: int
    seconds: float
    naive: int
    naive_seconds: float


FULL = Size(nodes=5000, rounds=3, seconds=60, naive=2000, naive_seconds=30)
QUICK = Size(nodes=2000, rounds=1, seconds=8, naive=500, naive_seconds=5)


@dataclass
class World:
    """The servers and the nodes."""

    stack: Stack
    redis: Any
    database: Database
    nodes: list[SimulatedNode]
    told: dict[str, list[float]] = field(default_factory=dict)

    async def fill(self, nodes: Sequence[SimulatedNode]) -> int:
        """Append a heartbeat of each node; give the bytes."""
        size = 0
        for start in range(0, len(nodes), 200):
            pipeline = self.redis.pipeline(transaction=False)
            for node in nodes[start : start + 200]:
                payload = node.payload(CLOCK.now())
                size += len(payload)
                pipeline.xadd(STATUS_STREAM, _fields(node, payload))
            await pipeline.execute()
        return size

    async def left(self) -> int:
        """Give the entries that are not taken in yet."""
        groups = await self.redis.xinfo_groups(STATUS_STREAM)
        return sum(int(group["lag"] or 0) + int(group["pending"]) for group in groups)

    async def drained(self) -> float:
        """Give the seconds from the first entry's being handed out until all are taken in."""
        whole = await self.left()

        async def begun() -> bool:
            handed_out = await self.redis.xpending(STATUS_STREAM, STATUS_GROUP)
            return bool(handed_out["pending"]) or await self.left() < whole

        await until(begun)
        began = CLOCK.monotonic()
        await self.empty()
        return CLOCK.monotonic() - began

    async def empty(self) -> None:
        """Wait until all is taken in."""

        async def taken() -> bool:
            return not await self.left()

        await until(taken)


async def until(so: Callable[[], Awaitable[bool]]) -> None:
    """Look every 5 ms until something is so."""
    while not await so():  # noqa: ASYNC110 - what is waited for is in another process
        await asyncio.sleep(0.005)


def _fields(node: SimulatedNode, payload: bytes) -> dict[str, Any]:
    return {"nodeId": node.node_id, "timestamp": "2026-11-23T08:17:33Z", "payload": payload}


@asynccontextmanager
async def program(*words: str, env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a Python program beside; its log goes nowhere."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, env=os.environ | env, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def worker(world: World) -> Any:
    """Run the worker."""
    env = {
        "CITADEL__REDIS_URL": world.stack.redis_url,
        "CITADEL__DATABASE_URL": world.stack.database_url,
        "CITADEL__ORG_ID": "bench",
        "CITADEL__LISTEN_HOST": "127.0.0.1",
        "CITADEL__LISTEN_PORT": "0",
    }
    return program("-m", "citadel_k8s", "worker", env=env)


def naive_worker(world: World) -> Any:
    """Run the naive one."""
    words = ("-m", "bench._ingest_naive", world.stack.redis_url, world.stack.database_url)
    return program(*words, env={})


async def rate(bench: Bench, world: World, size: Size) -> None:
    """Measure how fast a backlog goes down."""
    await world.fill(world.nodes)
    async with worker(world):
        cold = len(world.nodes) / await world.drained()
    rates = []
    for _ in range(size.rounds):
        volume = await world.fill(world.nodes)
        async with worker(world) as process:
            seconds = await world.drained()
            used = _cpu_seconds(process.pid)
        rates.append(len(world.nodes) / seconds)
        bench.say(f"rate: {rates[-1]:.0f}/s, {used:.1f} s of CPU since its start")
    await world.fill(world.nodes[: size.naive])
    async with naive_worker(world):
        naive = size.naive / await world.drained()
    middle = sorted(rates)[len(rates) // 2]
    kilobytes = volume / len(world.nodes) / 1000
    what = f"heartbeats of {kilobytes:.1f} kB, one worker"
    bench.at_least(what, middle, "per second", TARGET_RATE, naive=naive)
    bench.inform("nodes heard of for the first time", cold, "per second")


async def listening(world: World) -> None:
    """Note when each node is told of."""
    channel = world.redis.pubsub()
    await channel.subscribe(org_events_channel("bench"))
    async for message in channel.listen():
        data: Any = message["data"]
        found = re.search(rb'"id":"(sim-[0-9]+)"', data) if isinstance(data, bytes) else None
        if found:
            world.told.setdefault(found[1].decode(), []).append(CLOCK.monotonic())


async def speaking(world: World, seconds: float) -> dict[str, float]:
    """Let nodes speak at moments of their own, each once; give when each did."""
    count = int(RATE * seconds)
    moments = sorted(SPREAD.uniform(0, seconds) for _ in range(count))
    began, sent = CLOCK.monotonic(), {}
    for node, moment in zip(world.nodes, moments, strict=False):
        await asyncio.sleep(max(0.0, began + moment - CLOCK.monotonic()))
        payload = node.payload(CLOCK.now())
        sent[node.node_id] = CLOCK.monotonic()
        await world.redis.xadd(STATUS_STREAM, _fields(node, payload))
    return sent


async def delays(world: World, seconds: float) -> list[float]:
    """Give the milliseconds from each heartbeat to its being told; infinite if it never was."""
    world.told.clear()
    sent = await speaking(world, seconds)

    async def all_told() -> bool:
        return not sent.keys() - world.told.keys()

    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            await until(all_told)
    return sorted(
        1000 * (world.told.get(node, [float("inf")])[-1] - at) for node, at in sent.items()
    )


async def latency(bench: Bench, world: World, size: Size) -> None:
    """Measure how soon a heartbeat is told of."""
    async with asyncio.TaskGroup() as group:
        listener = group.create_task(listening(world))
        async with worker(world) as process:
            await world.fill(world.nodes[:50])
            await world.empty()
            used, began = _cpu_seconds(process.pid), CLOCK.monotonic()
            ours = await delays(world, size.seconds)
            share = 100 * (_cpu_seconds(process.pid) - used) / (CLOCK.monotonic() - began)
        async with naive_worker(world):
            await world.fill(world.nodes[:50])
            await world.empty()
            naive = await delays(world, size.naive_seconds)
        listener.cancel()
    at = f"at {RATE:.0f} heartbeats a second"
    bench.at_most(f"ingest p99 {at}", _at(ours, 0.99), "ms", TARGET_P99_MS, naive=_at(naive, 0.99))
    bench.inform(f"ingest p50 {at}", _at(ours, 0.5), "ms", naive=_at(naive, 0.5))
    bench.inform(f"worker {at}", share, "% of a core")
    marks = [index / 100 for index in range(101)]
    lines = {
        name: (list(map(lambda mark, of=found: _at(of, mark), marks)), [100 * m for m in marks])
        for name, found in (("worker", ours), ("naive", naive))
    }
    bench.curve(Curve(f"from XADD to the org's channel, {at}", "ms", "% of heartbeats", lines))


def _at(sorted_values: Sequence[float], mark: float) -> float:
    return sorted_values[min(len(sorted_values) - 1, int(mark * len(sorted_values)))]


def _cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def run(bench: Bench, size: Size) -> None:
    """Start the servers and measure."""
    async with Stack(kube=False, postgres=True) as stack:
        await migrate.upgrade(stack.database_url)
        redis: Any = redis_asyncio.Redis.from_url(stack.redis_url, protocol=2)
        database = Database(stack.database_url)
        try:
            await Orgs(database).create("bench", "Bench")
            nodes = [
                SimulatedNode(f"sim-{n:05}", n, changing=True, interval=30.0, gpus=GPUS)
                for n in range(size.nodes)
            ]
            await redis.xgroup_create(STATUS_STREAM, STATUS_GROUP, id="0", mkstream=True)
            world = World(stack, redis, database, nodes)
            await rate(bench, world, size)
            await latency(bench, world, size)
        finally:
            await redis.aclose()
            await database.close()


def main() -> int:
    """Measure, print, judge."""
    bench = Bench("ingest", "How fast and how soon one worker takes heartbeats in")
    asyncio.run(run(bench, QUICK if bench.quick else FULL))
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
