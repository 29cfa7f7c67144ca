"""How fast an error of the driver is told, and how soon one that is over is told no more."""

import asyncio
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench._agent import GPUS, Grid, Running, agent, heard, percentile
from bench._rig import CLOCK
from bench.figures import Bench
from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.entries import Entry, EntryId
from citadel_k8s.stores.streams import RedisStatusStream
from tests.native.fake_nvml import FakeNvml

INTERVAL = 30.0
"""Of the agent that is timed: so long that its grid seldom meets an error."""

CLEARING_INTERVAL = 5.0
"""Of the agent whose errors are to be over."""

QUIET = 1.5
"""Seconds without an entry before the next error: what happens together is told together."""

APPLICATION = (13, 31, 43, 45)
"""Errors of an application: each is told at once and none marks the GPU."""

HARDWARE = 32
"""An error that marks a GPU and is over by itself."""

POLLED = 30.0
"""Seconds between two looks of the naive reader."""

UNKNOWN = 999


@dataclass(frozen=True)
class Told:
    """One message: when it was taken by the server, and what it says of the GPUs."""

    at: float
    gpus: dict[int, dict[str, Any]]

    def count(self, gpu: int, xid: int) -> int:
        """Give how often it says that this error was."""
        counts = {one["xid"]: one["count"] for one in self.gpus[gpu].get("xids", ())}
        return int(counts.get(xid, 0))


def told(entry: Entry) -> Told:
    """Read a message."""
    gpus = json.loads(entry.payload)["status"].get("gpu") or []
    # An entry's id counts whole milliseconds: it came up to one later than that says.
    return Told(entry.id.ms / 1000 + 0.001, {gpu["index"]: gpu for gpu in gpus})


class Reader:
    """Reads one node's entries as they come."""

    def __init__(self, stream: RedisStatusStream, node: str) -> None:
        self._stream = stream
        self._node = node
        self._cursor = EntryId.ZERO

    async def quiet(self, seconds: float) -> None:
        """Wait until nothing came for that long."""
        until = CLOCK.monotonic() + seconds
        while (left := until - CLOCK.monotonic()) > 0:
            if await self._more(left):
                until = CLOCK.monotonic() + seconds

    async def until(self, gpu: int, xid: int, count: int) -> float:
        """Give when it was first told that this error was so often; at most ten seconds on."""
        end = CLOCK.monotonic() + 10
        while CLOCK.monotonic() < end:
            for one in await self._more(1.0):
                if one.gpus and one.count(gpu, xid) >= count:
                    return one.at
        return float("nan")

    async def _more(self, seconds: float) -> list[Told]:
        entries = await self._stream.read(self._cursor, block=seconds)
        if entries:
            self._cursor = entries[-1].id
        return [told(entry) for entry in entries if entry.node_id == self._node]


def _env(stack: Stack, nvml: FakeNvml) -> dict[str, str]:
    return nvml.env({**os.environ, "CITADEL__REDIS_URL": stack.redis_url})


async def latency(bench: Bench, stack: Stack, folder: Path) -> None:
    """Let errors happen one by one; record how long each took to be in Redis."""
    events = 8 if bench.quick else 120
    nvml = FakeNvml(folder, GPUS)
    stream = RedisStatusStream(stack.redis_url)
    took: list[float] = []
    try:
        async with agent(folder, _env(stack, nvml), "xids", INTERVAL) as running:
            reader = Reader(stream, running.node_id)
            await asyncio.sleep(4)
            for number in range(events):
                gpu, kind = number % GPUS, number // GPUS % len(APPLICATION)
                count = number // (GPUS * len(APPLICATION)) + 1
                await reader.quiet(QUIET)
                began = CLOCK.now()
                nvml.xid(gpu, APPLICATION[kind])
                took.append(await reader.until(gpu, APPLICATION[kind], count) - began)
            await reader.quiet(QUIET)
            for _ in range(2):
                nvml.xid(0, 137)
                await asyncio.sleep(0.1)
            await asyncio.sleep(2.5)
            last = told((await heard(stream, running.node_id))[-1])
    finally:
        await stream.close()
    waits = sorted(POLLED * (n + 0.5) / events for n in range(events))
    naive = percentile(waits, 0.99) * 1000
    missed = sum(map(math.isnan, took))
    bench.at_most("errors not told", missed, "", target=0)
    bench.at_most("XID to Redis p99", percentile(took, 0.99) * 1000, "ms", target=250, naive=naive)
    bench.inform("XID to Redis p50", percentile(took, 0.5) * 1000, "ms", naive=POLLED * 500)
    bench.at_least("the same XID twice is counted", last.count(0, 137), "", target=2, naive=1)
    everything = sum(last.count(g, x) for g in last.gpus for x in APPLICATION)
    bench.at_least("errors counted of all", everything / events, "", target=1)


async def clearing(bench: Bench, stack: Stack, folder: Path) -> None:
    """Let errors be over; record how many more heartbeats tell them."""
    nvml = FakeNvml(folder, GPUS)
    stream = RedisStatusStream(stack.redis_url)
    phases = (2.0,) if bench.quick else (0.4, 1.3, 2.2, 3.1, 3.9, 4.5)
    heartbeats: list[int] = []
    healed: list[float] = []
    try:
        async with agent(folder, _env(stack, nvml), "clearing", CLEARING_INTERVAL) as running:
            await asyncio.sleep(4)
            grid = Grid(running.node_id, CLEARING_INTERVAL)
            for number, phase in enumerate(phases):
                await grid.phase(phase)
                async with asyncio.TaskGroup() as group:
                    over = group.create_task(_over(stream, running, nvml, number % 4))
                    well = group.create_task(_healed(stream, running, nvml, 4 + number % 4))
                heartbeats.append(over.result())
                healed.append(well.result())
    finally:
        await stream.close()
    bench.at_most("heartbeats that tell an XID that is over", max(heartbeats), "", target=2)
    bench.at_most("a healed GPU is told well", max(healed), "s", target=2 * CLEARING_INTERVAL)


async def _over(stream: RedisStatusStream, running: Running, nvml: FakeNvml, gpu: int) -> int:
    """Give the heartbeats of the grid in which a GPU is marked by one error."""
    grid = Grid(running.node_id, CLEARING_INTERVAL)
    began = CLOCK.now()
    nvml.xid(gpu, HARDWARE)
    await asyncio.sleep(3.6 * CLEARING_INTERVAL)
    found = map(told, await heard(stream, running.node_id))
    marked = [m.at for m in found if m.at >= began and m.gpus[gpu].get("health") != "ok"]
    return len({grid.number(at) for at in marked} - {None}) if marked else 99


async def _healed(stream: RedisStatusStream, running: Running, nvml: FakeNvml, gpu: int) -> float:
    """Give the seconds until a GPU that answers again is told as well."""
    nvml.fail(gpu, UNKNOWN)
    await asyncio.sleep(CLEARING_INTERVAL + 2)
    nvml.heal(gpu)
    began = CLOCK.now()
    await asyncio.sleep(2 * CLEARING_INTERVAL + 1)
    found = map(told, await heard(stream, running.node_id))
    late = [one.at for one in found if one.at > began and one.gpus[gpu].get("health") == "ok"]
    return late[0] - began if late else float("nan")
