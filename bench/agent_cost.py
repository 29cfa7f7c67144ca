"""What the agent costs a node.

Real agents on the fake NVML library: eight GPUs at 50 microseconds a call with 64 real processes on
them. One has these alone, runs alone, and is judged. Then there are one with 64 containers' cgroups
and a kubelet's socket besides, one with 20 engines on top, where what those cost is the difference,
and the naive way.

Memory is the proportional set size of the second and its children, as the kernel says. It is less
by what this benchmark and its helpers share; told beside it is what the family holds if nothing
else maps the same libraries. Processor time is that of an agent and its children together.

The naive way, in the same run: one process that wakes each second, walks all processes and reads
all GPUs, as interactive monitors do.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench._agent import (
    GPUS,
    Running,
    agent,
    alone_mib,
    container_of,
    cpu_by_part,
    host_root,
    pss_mib,
    put_on_gpus,
    sleepers,
    uid_of,
)
from bench._engines import Engines, engines
from bench._rig import CLOCK, cpu_seconds
from bench.figures import Bench
from citadel_k8s.collectors.engines import KNOWN_PORTS
from citadel_k8s.collectors.remote import ChildCollector, FileCollectors, nvml_collector
from citadel_k8s.local.charge import Charge, spawn
from citadel_k8s.local.stack import Stack
from citadel_k8s.models.readings import Reading
from tests import podresources
from tests.native.fake_nvml import FakeNvml

CALL_MICROSECONDS = 50
INTERVAL = 30.0
PROCESSES = 64
ENGINES = 20

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


@dataclass
class Node:
    """A node with everything on it that an agent reads, but engines."""

    folder: Path
    nvml: FakeNvml
    root: Path
    pids: list[int]
    redis_url: str

    def env(self) -> dict[str, str]:
        """Give an agent's environment."""
        return self.nvml.env({**os.environ, "CITADEL__REDIS_URL": self.redis_url})

    @asynccontextmanager
    async def agent(
        self, name: str, told: Engines | None = None, *, pods: bool = True
    ) -> AsyncIterator[Running]:
        """Run an agent here, with these engines or none, with the node's pods or without."""
        root = self.root if pods else Path("/")
        settings: dict[str, Any] = {"hostRoot": str(root), "discoverEngines": True}
        if told is not None:
            settings["engines"] = told.settings()
        async with agent(self.folder, self.env(), name, INTERVAL, settings) as running:
            yield running


@asynccontextmanager
async def node(stack: Stack, folder: Path) -> AsyncIterator[Node]:
    """Make a node: GPUs, processes, containers and a kubelet's socket."""
    nvml = FakeNvml(folder, GPUS)
    nvml.state.latency_microseconds = CALL_MICROSECONDS
    with sleepers(PROCESSES) as pids:
        put_on_gpus(nvml, pids)
        root = host_root(folder, pids)
        pods = [podresources.pod(f"job-{n}", nvml.gpu(n % GPUS).uuid.decode()) for n in range(16)]
        for number in range(PROCESSES):
            name = f"ns_job-{number}_{uid_of(number)}"
            log = root / "var/log/pods" / name / "main"
            log.mkdir(parents=True)
            (log / "0.log").symlink_to(f"/var/log/containers/{container_of(number)}.log")
        socket = root / "var/lib/kubelet/pod-resources/kubelet.sock"
        async with podresources.served(socket, list={"pod_resources": pods}):
            yield Node(folder, nvml, root, pids, stack.redis_url)


def count_memory(bench: Bench, running: Running) -> None:
    """Record what an agent holds."""
    sizes, alone = pss_mib(running.pid), alone_mib(running.pid)
    bench.say(f"{len(sizes)} processes")
    bench.at_most("memory, agent and children", sum(sizes.values()), "MiB", target=70)
    for name, size in sizes.items():
        bench.inform(f"memory, {name}", size, "MiB")
    bench.inform("memory, with no library shared with others", alone, "MiB")


async def shares(
    agents: Mapping[str, Running], naive: Charge | None, seconds: float
) -> dict[str, Any]:
    """Give what each uses of a core over the same time: seconds by part."""
    began = CLOCK.monotonic()
    before = {name: cpu_by_part(running.pid) for name, running in agents.items()}
    naive_before = cpu_seconds(naive.pid) if naive else 0.0
    await asyncio.sleep(seconds)
    used: dict[str, Any] = {
        name: {
            part: spent - before[name].get(part, 0.0)
            for part, spent in cpu_by_part(running.pid).items()
        }
        for name, running in agents.items()
    }
    if naive:
        used["naive"] = cpu_seconds(naive.pid) - naive_before
    used["seconds"] = CLOCK.monotonic() - began
    return used


async def cost(bench: Bench, here: Node) -> None:
    """Measure memory and processor time, ours and the naive way's."""
    settle, seconds = (6.0, 10.0) if bench.quick else (45.0, 120.0)
    async with here.agent("plain", pods=False) as plain:
        bench.say(f"processor time of one agent over {seconds:g} s")
        await asyncio.sleep(settle)  # the start is not the steady state
        used = await shares({"plain": plain}, None, seconds)
    async with AsyncExitStack() as stack:
        pods = await stack.enter_async_context(here.agent("pods"))
        bench.say(f"memory after {settle:g} s")
        await asyncio.sleep(settle)
        count_memory(bench, pods)
        told = await stack.enter_async_context(engines(here.folder, ENGINES))
        serving = await stack.enter_async_context(here.agent("serving", told))
        log = here.folder / "naive.log"
        naive = await spawn([sys.executable, "-c", NAIVE], log, env=here.nvml.env())
        stack.push_async_callback(naive.kill)
        await asyncio.sleep(6)  # the start is not the steady state
        bench.say(f"processor time of others over {seconds:g} s")
        asked = await told.asked()
        used |= await shares({"pods": pods, "serving": serving}, naive, seconds)
        collections = (await told.asked() - asked) / ENGINES
        sizes = pss_mib(serving.pid)
    judge_cpu(bench, used, collections)
    bench.inform("memory, with engines", sum(sizes.values()), "MiB")


def judge_cpu(bench: Bench, used: dict[str, Any], collections: float) -> None:
    """Record what was used of a core."""
    seconds, plain = used["seconds"], used["plain"]
    share = 100 / seconds
    # Of a quick run's few moments the grid's luck decides; only a full one is judged.
    record = bench.inform if bench.quick else _judged(bench, target=0.1)
    record("share of a core", sum(plain.values()) * share, "%", naive=used["naive"] * share)
    for part, spent in plain.items():
        bench.inform(f"share of a core, {part}", spent * share, "%")
    with_pods = sum(used["pods"].values())
    bench.inform("share of a core, with 64 containers", with_pods * share, "%")
    extra = sum(used["serving"].values()) - with_pods
    bench.say(f"{collections:g} collections of {ENGINES} engines")
    each = extra / (ENGINES * collections) if collections else float("nan")
    bench.at_most("processor time, engine and collection", each * 1000, "ms", target=2)


def _judged(bench: Bench, target: float) -> Any:
    def record(figure: str, value: float, unit: str, naive: float | None = None) -> None:
        bench.at_most(figure, value, unit, target=target, naive=naive)

    return record


async def by_source(bench: Bench, here: Node) -> None:
    """Measure what each source costs its child, collection by collection."""
    rounds = 10 if bench.quick else 150
    os.environ.update(here.nvml.env({}))
    wanted = {"pids": here.pids, "ports": list(KNOWN_PORTS)}
    files = FileCollectors(here.root, wanted=lambda: wanted)
    nvml = nvml_collector(here.root)
    sources: tuple[ChildCollector[Any], ...] = (
        files.host, files.containers, files.processes, files.drm, nvml,
    )  # fmt: skip
    try:
        for source in sources:
            bench.inform(f"child's time, {source.name}", await _each(source, rounds), "ms")
        # What is left out here is what it costs this machine to pretend a slow driver.
        here.nvml.state.latency_microseconds = 0
        bench.inform("child's time, nvml at no latency", await _each(nvml, rounds), "ms")
    finally:
        await files.host.close()
        await nvml.close()


async def _each(source: ChildCollector[Any], rounds: int) -> float:
    for _ in range(5):  # the first ones read more
        outcome = await source.collect()
    if not isinstance(outcome, Reading) and source.name != "drm":
        return float("nan")
    pid = source.supervisor.pid or 0
    before = cpu_seconds(pid)
    for _ in range(rounds):
        await source.collect()
        await asyncio.sleep(0.01)
    return 1000 * (cpu_seconds(pid) - before) / rounds


async def measure(bench: Bench) -> None:
    """Measure on one node."""
    with tempfile.TemporaryDirectory() as folder:
        async with Stack(kube=False) as stack, node(stack, Path(folder)) as here:
            await cost(bench, here)
            await by_source(bench, here)


def main() -> int:
    """Run the benchmark."""
    bench = Bench("agent_cost", "What the agent costs a node")
    asyncio.run(measure(bench))
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
