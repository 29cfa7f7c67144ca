"""What the agent costs a node, and whether a hung driver can silence it.

A real agent on the fake NVML library: eight GPUs at 50 microseconds a call. Memory is the
proportional set size of the agent and its collector children; processor time is theirs together.

The naive way, in the same run: one process that wakes each second, walks all processes and reads
all GPUs, as interactive monitors do.
"""

import asyncio
import json
import os
import re
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil

from bench._rig import CLOCK, cpu_seconds
from bench.figures import Bench
from citadel_k8s.errors import StackError
from citadel_k8s.local.charge import Charge, spawn
from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.entries import Entry, EntryId
from citadel_k8s.stores.streams import RedisStatusStream
from tests.native.fake_nvml import FakeNvml

GPUS = 8
CALL_MICROSECONDS = 50
INTERVAL = 30.0
HUNG_INTERVAL = 5.0

CHILD = "citadel_k8s.collectors.child"
"""Module that a collector child runs."""

NAIVE = """
import time, psutil, pynvml
pynvml.nvmlInit()
handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
print("ready", flush=True)
while True:
    for p in psutil.process_iter(["pid", "name", "cmdline", "cpu_percent", "memory_info"]): pass
    for h in handles:
        pynvml.nvmlDeviceGetMemoryInfo(h); pynvml.nvmlDeviceGetUtilizationRates(h)
        pynvml.nvmlDeviceGetTemperature(h, 0); pynvml.nvmlDeviceGetPowerUsage(h)
    time.sleep(1)
"""
"""The naive way."""


def family(pid: int) -> list[psutil.Process]:
    """Give a process and its descendants."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def pss_mib(pid: int) -> dict[str, float]:
    """Give the proportional set size of each process of a family, MiB."""
    sizes: dict[str, float] = {}
    for process in family(pid):
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        words = process.cmdline()
        name = words[words.index(CHILD) + 1] if CHILD in words else "parent"
        sizes[name] = int(found[1]) / 1024 if found else float("nan")
    return sizes


def family_cpu(pid: int) -> float:
    """Give the processor time of a family, seconds."""
    return sum(cpu_seconds(process.pid) for process in family(pid))


@asynccontextmanager
async def agent(
    stack: Stack, nvml: FakeNvml, name: str, interval: float
) -> AsyncIterator[tuple[Charge, int]]:
    """Run an agent; give it with its port."""
    words = [sys.executable, "-m", "citadel_k8s", "agent", "--node-name", name]
    words += ["--interval", f"{interval:g}", "--listen-host", "127.0.0.1", "--listen-port", "0"]
    env = nvml.env({**os.environ, "CITADEL__REDIS_URL": stack.redis_url})
    charge = await spawn(words, stack.folder / f"{name}.log", env=env)
    try:
        yield charge, await port_of(charge)
    finally:
        await charge.kill()


async def port_of(charge: Charge) -> int:
    """Give the port that an agent says it listens on."""
    for _ in range(400):
        if port := re.search(r'"port": (\d+)', charge.log_path.read_text()):
            return int(port[1])
        await asyncio.sleep(0.05)
    raise StackError(f"the agent did not start: {charge.tail()}")


async def share_of_core(cpu: Callable[[], float], seconds: float) -> float:
    """Give the share of a core that something uses over some time, %."""
    began, used = CLOCK.monotonic(), cpu()
    await asyncio.sleep(seconds)
    return 100 * (cpu() - used) / (CLOCK.monotonic() - began)


async def cost(bench: Bench, stack: Stack, folder: Path) -> None:
    """Measure memory and processor time, ours and the naive way's."""
    nvml = FakeNvml(folder, GPUS)
    nvml.state.latency_microseconds = CALL_MICROSECONDS
    seconds = 12.0 if bench.quick else 180.0
    async with agent(stack, nvml, "cost", INTERVAL) as (charge, _):
        log = folder / "naive.log"
        naive = await spawn([sys.executable, "-c", NAIVE], log, env=nvml.env())
        try:
            await asyncio.sleep(5)  # the start is not the steady state
            bench.say(f"processor time over {seconds:g} s")
            async with asyncio.TaskGroup() as group:
                ours = group.create_task(
                    share_of_core(lambda: family_cpu(charge.pid), seconds), name="ours"
                )
                theirs = group.create_task(
                    share_of_core(lambda: family_cpu(naive.pid), seconds), name="naive"
                )
            sizes = pss_mib(charge.pid)
        finally:
            await naive.kill()
    bench.at_most("memory, agent and children", sum(sizes.values()), "MiB", target=70)
    for name, size in sizes.items():
        bench.inform(f"memory, {name}", size, "MiB")
    bench.inform("share of a core", ours.result(), "%", naive=theirs.result())


async def hung(bench: Bench, stack: Stack, folder: Path) -> None:
    """Let one GPU's call hang for ever; measure the heartbeat's jitter and the time to exit."""
    nvml = FakeNvml(folder, GPUS)
    seconds = 20.0 if bench.quick else 300.0
    stream = RedisStatusStream(stack.redis_url)
    try:
        async with agent(stack, nvml, "hung", HUNG_INTERVAL) as (charge, port):
            await asyncio.sleep(3)
            nvml.hang(3)
            bench.say(f"a call on GPU 3 hangs; watching {seconds:g} s")
            began = (await stream.head()).now_ms
            await asyncio.sleep(seconds)
            entries = await heard(stream, "hung")
            fresh = await fresh_gpus(port)
            stopping = CLOCK.monotonic()
            await charge.stop(timeout=10)
            took = CLOCK.monotonic() - stopping
    finally:
        await stream.close()
    moments = [entry.id.ms / 1000 for entry in entries if entry.id.ms >= began]
    bench.at_most("heartbeat jitter p99, one call hung", jitter(moments), "s", target=1)
    expected = int(seconds / HUNG_INTERVAL) - 1
    bench.at_least("heartbeats, one call hung", len(moments), "", target=expected)
    bench.at_least("GPUs reported fresh, one of 8 hung", fresh, "", target=GPUS - 1)
    bench.at_most("exit after SIGTERM, one call hung", took, "s", target=5)


def jitter(moments: list[float]) -> float:
    """Give the 99th percentile of the distance from the grid, seconds.

    A change is told at once, between the grid's moments: only the entry nearest to each moment of
    the grid is a heartbeat.
    """
    phases = [moment % HUNG_INTERVAL for moment in moments]
    grid = statistics.median(phases)
    late: dict[int, float] = {}
    for moment in moments:
        number = round((moment - grid) / HUNG_INTERVAL)
        distance = abs(moment - grid - number * HUNG_INTERVAL)
        late[number] = min(distance, late.get(number, distance))
    numbers = range(min(late), max(late) + 1)
    distances = sorted(late.get(number, HUNG_INTERVAL) for number in numbers)
    return distances[min(len(distances) - 1, int(0.99 * len(distances)))]


async def heard(stream: RedisStatusStream, node: str) -> list[Entry]:
    """Give all entries of a node."""
    cursor, found = EntryId.ZERO, list[Entry]()
    while entries := await stream.read(cursor, block=0):
        cursor = entries[-1].id
        found += [entry for entry in entries if entry.node_id == node]
    return found


async def fresh_gpus(port: int) -> int:
    """Give the GPUs that the agent's own page reports as well."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/status") as answer,
    ):
        document = json.loads(await answer.text())
    return sum(gpu.get("health") == "ok" for gpu in document["status"]["gpu"])


async def measure(bench: Bench) -> None:
    """Run both parts on one Valkey."""
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        async with Stack(kube=False) as stack:
            await cost(bench, stack, Path(first))
            await hung(bench, stack, Path(second))


def main() -> int:
    """Run the benchmark."""
    bench = Bench("agent_cost", "What the agent costs a node")
    asyncio.run(measure(bench))
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
