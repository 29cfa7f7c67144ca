"""Whether anything is lost or told backwards while worker, Valkey and PostgreSQL are killed.

Fifty nodes speak a hundred times a second, some begin anew now and then, and some say what nobody
can read. Two workers, a Valkey that writes its changes down and a PostgreSQL are killed with
SIGKILL, one after another and at any moment, and started again. Then:

- each node's row is what the node said last;
- no row ever went back, at any look in between;
- each entry that Valkey confirmed is in a row (its own, or a later word of that node's) or a dead
  letter, and nothing is left pending.

The naive way, beside it on the same stream and servers: a worker that takes one entry at a time,
writes it, confirms it, and is started again when it falls.
"""

import asyncio
import os
import random
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis.asyncio as redis_asyncio
from redis import exceptions

from bench.figures import Bench
from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.constants import STATUS_GROUP, STATUS_LETTERS, STATUS_STREAM
from citadel_k8s.errors import DatabaseError
from citadel_k8s.local.charge import Charge, spawn
from citadel_k8s.local.postgres import Postgres
from citadel_k8s.local.simulate import SimulatedNode
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.migrate import upgrade
from citadel_k8s.stores.postgres.orgs import Orgs

CLOCK = SystemClock()
CHANCE = random.Random(20)  # noqa: S311 - nothing secret
NODES = 50
RATE = 100.0
"""Words a second."""
WORKERS = 2
NAIVE_GROUP = "naive"
REBOOT = 0.01
"""Share of words before which the node began anew."""
POISON = 0.02
"""Share of words that nobody can read."""
CALM = (0.2, 1.5)
"""Seconds between two kills, at least and at most."""
SETTLING = 180.0
"""Seconds until all has to be told after the last kill: what a dead worker had taken is claimed
after 60, looked for each 30."""


@dataclass
class Node:
    """One node and what Valkey has confirmed of it."""

    speaker: SimulatedNode
    last: tuple[str, int] = ("", 0)
    boots: list[str] = field(default_factory=list)


@dataclass
class Tally:
    """What happened."""

    kills: dict[str, int] = field(default_factory=dict)
    confirmed: int = 0
    poisoned: set[str] = field(default_factory=set)
    looks: int = 0
    backwards: int = 0
    rows: dict[str, tuple[str, int]] = field(default_factory=dict)


@dataclass
class World:
    """The servers, and what is killed of them."""

    folder: Path
    valkey: Valkey
    postgres: Postgres
    database: Database
    naive_url: str
    redis: Any
    nodes: list[Node]
    tally: Tally = field(default_factory=Tally)
    workers: list[Charge] = field(default_factory=list)
    naive: Charge | None = None
    over: bool = False

    async def start_worker(self, number: int) -> Charge:
        """Start a worker."""
        env = {
            **os.environ,
            "CITADEL__REDIS_URL": self.valkey.url,
            "CITADEL__DATABASE_URL": self.postgres.url,
            "CITADEL__ORG_ID": "bench",
            "CITADEL__CONSUMER": f"worker-{number}",
        }
        argv = [sys.executable, "-m", "citadel_k8s", "worker"]
        argv += ["--listen-host", "127.0.0.1", "--listen-port", "0"]
        return await spawn(argv, self.folder / f"worker-{number}.log", env=env)

    async def keep_naive(self) -> None:
        """Start the naive worker again whenever it falls."""
        argv = [sys.executable, "-m", "bench._ingest_naive"]
        argv += [self.valkey.url, self.naive_url, NAIVE_GROUP]
        while True:
            self.naive = await spawn(argv, self.folder / "naive.log")
            await self.naive.wait()
            await asyncio.sleep(0.2)

    # --- what nodes do

    async def speak(self) -> None:
        """Let nodes speak until it is over."""
        while not self.over:
            node = CHANCE.choice(self.nodes)
            if CHANCE.random() < REBOOT:
                node.speaker.reboot()
            if CHANCE.random() < POISON:
                await self._poison(node)
            else:
                await self.word(node)
            await asyncio.sleep(CHANCE.expovariate(RATE))

    async def word(self, node: Node) -> bool:
        """Append one word; tell whether that was confirmed."""
        speaker = node.speaker
        payload = speaker.payload(CLOCK.now())
        if speaker.boot_id not in node.boots:
            node.boots.append(speaker.boot_id)
        if await self._append(speaker.node_id, payload) is None:
            return False
        node.last = (speaker.boot_id, speaker.seq)
        self.tally.confirmed += 1
        return True

    async def _poison(self, node: Node) -> None:
        bad = CHANCE.choice([b"{", b'{"version":"1.0"}', b"\x00\xff", b'{"nodeId":7}'])
        entry = await self._append(node.speaker.node_id, bad)
        if entry is not None:
            self.tally.poisoned.add(entry)

    async def _append(self, node_id: str, payload: bytes) -> str | None:
        fields = {"nodeId": node_id, "timestamp": "2026-11-23T08:17:33Z", "payload": payload}
        try:
            async with asyncio.timeout(3):
                return str((await self.redis.xadd(STATUS_STREAM, fields)).decode())
        except (exceptions.RedisError, OSError, TimeoutError):
            return None

    # --- what is looked at

    async def look(self) -> dict[str, tuple[str, int]]:
        """Read all rows and see that none went back."""
        async with self.database.transaction() as connection:
            cursor = await connection.execute(
                "SELECT node_id, boot_id, seq FROM fabric_node_status"
            )
            found = {r["node_id"]: (r["boot_id"], r["seq"]) for r in await cursor.fetchall()}
        self.tally.looks += 1
        for node in self.nodes:
            node_id = node.speaker.node_id
            before, now = self.tally.rows.get(node_id), found.get(node_id)
            if before is not None and (now is None or _order(node, now) < _order(node, before)):
                self.tally.backwards += 1
        self.tally.rows = found
        return found

    async def watch(self) -> None:
        """Look until it is over."""
        while not self.over:
            with suppress(DatabaseError):
                await self.look()
            await asyncio.sleep(0.05)

    # --- what is killed

    async def kill(self) -> str:
        """Kill one of them and start it again; give its name."""
        victim = CHANCE.choice(("worker", "valkey", "postgres"))
        if victim == "worker":
            number = CHANCE.randrange(WORKERS)
            await self.workers[number].kill()
            await asyncio.sleep(CHANCE.uniform(0, 0.3))
            self.workers[number] = await self.start_worker(number)
        else:
            server = self.valkey if victim == "valkey" else self.postgres
            await server.kill()
            await asyncio.sleep(CHANCE.uniform(0, 1))
            await server.start()
        self.tally.kills[victim] = self.tally.kills.get(victim, 0) + 1
        return victim

    async def pending(self, group: str) -> tuple[int, int]:
        """Give the entries that a group was given and did not confirm, and those still to come."""
        for found in await self.redis.xinfo_groups(STATUS_STREAM):
            if found["name"].decode() == group:
                return int(found["pending"]), int(found["lag"] or 0)
        return -1, -1

    async def forgotten(self) -> int:
        """Give the entries that the naive worker took and lost, once it has read all."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLING):
                while (await self.pending(NAIVE_GROUP))[1]:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.5)
        return (await self.pending(NAIVE_GROUP))[0]

    async def settled(self) -> float:
        """Wait until all is as the nodes said last; give the seconds, infinite if it never is."""
        began = CLOCK.monotonic()
        for node in self.nodes:
            node.speaker.speaking = True
            while not await self.word(node):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)
        wanted = {node.speaker.node_id: node.last for node in self.nodes}
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLING):
                while await self.look() != wanted or any(await self.pending(STATUS_GROUP)):  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
                return CLOCK.monotonic() - began
        return float("inf")

    async def missing_letters(self) -> int:
        """Give the unreadable entries that were confirmed and are no dead letters."""
        kept: set[str] = set()
        for _, fields in await self.redis.xrange(STATUS_LETTERS):
            kept |= {value.decode(errors="replace") for value in fields.values()}
        return len(self.tally.poisoned - kept)


def _order(node: Node, row: tuple[str, int]) -> tuple[int, int]:
    boot_id, seq = row
    return (node.boots.index(boot_id) if boot_id in node.boots else -1, seq)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Start everything."""
    async with AsyncExitStack() as held:
        folder = Path(tempfile.mkdtemp(prefix="citadel-k8s-chaos-"))
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        valkey = Valkey(folder / "valkey", durable=True)
        postgres = Postgres(folder / "postgres")
        for server in (valkey, postgres):
            held.push_async_callback(server.close)
            await server.start()
        naive_url = await postgres.create_database("naive")
        for url in (postgres.url, naive_url):
            await upgrade(url)
            database = Database(url)
            await Orgs(database).create("bench", "Bench")
            await database.close()
        database = Database(postgres.url, pool_max=2)
        held.push_async_callback(database.close)
        redis: Any = redis_asyncio.Redis.from_url(valkey.url, protocol=2)
        held.push_async_callback(redis.aclose)
        await redis.xgroup_create(STATUS_STREAM, NAIVE_GROUP, id="0", mkstream=True)
        speakers = [
            SimulatedNode(f"sim-{n}", n, changing=True, interval=30, gpus=1) for n in range(NODES)
        ]
        nodes = [Node(speaker) for speaker in speakers]
        yield World(folder, valkey, postgres, database, naive_url, redis, nodes)


async def storm(bench: Bench, scene: World, kills: int) -> None:
    """Kill so often, under load."""
    scene.workers = [await scene.start_worker(number) for number in range(WORKERS)]
    async with asyncio.TaskGroup() as group:
        naive = group.create_task(scene.keep_naive())
        speaking = group.create_task(scene.speak())
        watching = group.create_task(scene.watch())
        await asyncio.sleep(3)
        for number in range(1, kills + 1):
            await scene.kill()
            if number % 25 == 0:
                bench.say(f"{number} of {kills} kills")
            await asyncio.sleep(CHANCE.uniform(*CALM))
        scene.over = True
        await asyncio.wait({speaking, watching})
        tell(bench, scene, await scene.settled(), await scene.missing_letters())
        forgotten = await scene.forgotten()
        left = (await scene.pending(STATUS_GROUP))[0]
        bench.at_most("entries taken and forgotten", left, "", target=0, naive=forgotten)
        naive.cancel()
        for charge in (*scene.workers, scene.naive):
            if charge is not None and charge.running:
                await charge.kill()


def tell(bench: Bench, scene: World, settled: float, missing: int) -> None:
    """Record what came out."""
    tally = scene.tally
    rows = {node.speaker.node_id: node.last for node in scene.nodes}
    wrong = sum(tally.rows.get(node_id) != last for node_id, last in rows.items())
    kills = sum(tally.kills.values())
    if bench.quick:
        bench.inform("kills", kills, "")
    else:
        bench.at_least("kills", kills, "", target=200)
    for name, count in sorted(tally.kills.items()):
        bench.inform(f"kills: {name}", count, "")
    bench.inform("entries confirmed by Valkey", tally.confirmed + len(tally.poisoned), "")
    bench.inform("looks at all rows meanwhile", tally.looks, "")
    bench.at_most("rows that went back", tally.backwards, "", target=0)
    bench.at_most("rows that are not the node's last word", wrong, "", target=0)
    bench.at_most("unreadable entries without a letter", missing, "", target=0)
    bench.at_most("all told after the last kill", settled, "s", target=SETTLING)


async def measure(bench: Bench) -> None:
    """Run the storm."""
    async with world() as scene:
        await storm(bench, scene, 8 if bench.quick else 210)


def main() -> int:
    """Run the benchmark."""
    bench = Bench("chaos", "Killed two hundred times, and nothing lost")
    asyncio.run(measure(bench))
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
