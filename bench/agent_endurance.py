"""Whether the agent grows: 100,000 collections while everything on the node comes and goes.

One agent in this process, with real collector children on the fake NVML library and a clock that
moves ten seconds a cycle, so that 8,640 cycles are a day. In each cycle five of 32 pods, with
their containers, processes and GPUs, are replaced; the message is made and encoded, the
fingerprint taken, and in every tenth ``/metrics`` is rendered. The driver's child reads all GPUs
in every tenth cycle, between which the last reading is learned with the processes of the moment;
the child of the files reads host, containers and processes in every hundredth.

Memory is the anonymous part of the proportional set size: of what is mapped from files the
neighbours on the machine decide.

The naive way, in the same run: a gauge with the pod as its label, of which nothing is removed.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from bench._agent import GPUS, anonymous_mib, files_of, slope, threads_of
from bench._churn import CHURN, Given, Node, Nowhere, reading
from bench._rig import CLOCK
from bench.figures import Bench, Curve
from citadel_k8s.agent.main import Agent
from citadel_k8s.agent.wiring import Collectors
from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.collectors.remote import ChildCollector, FileCollectors, nvml_collector
from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.domain.report import Moment
from citadel_k8s.models.codec import encode
from citadel_k8s.models.readings import Gpus, Reading
from citadel_k8s.telemetry.agent_metrics import AgentMetrics, Exposed
from tests.native.fake_nvml import FakeNvml

STEP = 10.0
"""Seconds of the agent's clock in a cycle."""

DAY = 24 * 3600 / STEP
"""Cycles in a day."""

REAL_EVERY = 10
FILES_EVERY = 100
SCRAPE_EVERY = 10
EVENT_EVERY = 5

WARM = 200
"""Cycles before anything is counted: each error was told of each GPU by then."""

CHURNS = 10_000
"""Pods that come and go between the two counts of series."""

TEXT = "text/plain"
OPEN = "application/openmetrics-text; version=1.0.0"


@dataclass
class Life:
    """One agent that lives fast."""

    node: Node
    nvml: ChildCollector[Gpus]
    files: FileCollectors
    clock: ManualClock = field(default_factory=ManualClock)
    cycle: int = 0
    sent: int = 0
    scraped: int = 0

    def __post_init__(self) -> None:
        node = self.node
        collectors = Collectors(
            self.files.host,
            self.nvml,
            Given("engines", reading(node.engines())),
            pods=Given("pods", reading(node.pods())),
            processes=Given("processes", reading(node.processes())),
            containers=Given("containers", reading(node.containers())),
        )
        settings = AgentSettings(node_name="endurance", configuration="off", interval_seconds=30)
        self.agent = Agent(settings, collectors, Nowhere(), clock=self.clock)
        self.board = self.agent.board
        self.board.on_change(lambda _change: None)
        self.metrics = AgentMetrics(self._exposed, dcgm=True)

    async def live(self) -> None:
        """Do what an agent does between two heartbeats, and a little more."""
        self.cycle += 1
        self.clock.advance(STEP)
        node, board = self.node, self.board
        node.churn()
        if self.cycle % REAL_EVERY == 1:
            node.load()
            board.learn_gpus(await self.nvml.collect(), 0.01)
        elif isinstance(last := board.snapshot.gpus.outcome, Reading):
            board.learn_gpus(reading(node.gpus(last.value)), 0.01)
        if self.cycle % FILES_EVERY == 1:
            node.contain()
            board.learn_host(await self.files.host.collect(), 0.01)
            await self.files.containers.collect()
            await self.files.processes.collect()
        if self.cycle % EVENT_EVERY == 0:
            board.learn_events(node.event(self.cycle // EVENT_EVERY))
        board.learn_pods(reading(node.pods()), 0.01)
        board.learn_processes(reading(node.processes()), 0.01)
        board.learn_containers(reading(node.containers()), 0.01)
        board.learn_engines(reading(node.engines()), 0.01)
        self.sent += len(encode(board.message(seq=self.cycle)))
        board.told()
        if self.cycle % SCRAPE_EVERY == 0:
            self.scraped += len(self.metrics.render(OPEN if self.cycle % 20 else TEXT)[0])

    def series(self) -> int:
        """Give the number of samples of one scrape."""
        return len(list(samples(self.metrics.render(TEXT)[0].decode())))

    def sizes(self) -> dict[str, float]:
        """Give the anonymous memory of each process, MiB."""
        pids = {"parent": os.getpid(), "nvml": self.nvml.supervisor.pid,
                "host": self.files.host.supervisor.pid}  # fmt: skip
        return {name: anonymous_mib(pid) for name, pid in pids.items() if pid is not None}

    def held(self) -> tuple[int, int]:
        """Give the open files and the threads of all processes."""
        pids = [os.getpid(), self.nvml.supervisor.pid, self.files.host.supervisor.pid]
        alive = [pid for pid in pids if pid is not None]
        return sum(map(files_of, alive)), sum(map(threads_of, alive))

    async def close(self) -> None:
        """End the children."""
        await self.nvml.close()
        await self.files.host.close()

    def _exposed(self) -> Exposed:
        now = self.clock.monotonic()
        return Exposed(
            speaker=self.board.speaker,
            snapshot=self.board.snapshot,
            moment=Moment(date=self.clock.now(), monotonic=now, uptime=now - 1000.0),
            freshness=None,
            transport="nowhere",
            waiting=0,
            loop_lag=0.0,
        )


def samples(text: str) -> Iterator[str]:
    """Give the lines of an exposition that are samples."""
    return (line for line in text.splitlines() if line and not line.startswith("#"))


def naive_series(churns: int) -> int:
    """Give the series after so many pods where none is ever removed."""
    registry = CollectorRegistry()
    gauge = Gauge("pod_memory_bytes", "Memory", ("namespace", "pod"), registry=registry)
    for number in range(churns):
        gauge.labels("ns", f"job-{number:08d}").set(number)
    return len(list(samples(generate_latest(registry).decode())))


def parsed(life: Life) -> bool:
    """Say whether both formats of the exposition can be read, and tell the same."""
    text, _ = life.metrics.render(TEXT)
    strict, _ = life.metrics.render(OPEN)
    counts = [
        sum(len(family.samples) for family in families)
        for families in (
            text_string_to_metric_families(text.decode()),
            openmetrics.text_string_to_metric_families(strict.decode()),
        )
    ]
    return counts[0] == counts[1] > 0


async def endure(bench: Bench, life: Life, cycles: int) -> None:
    """Live through all cycles; record growth and series."""
    every = cycles // 100 or 1
    before = after = None
    xs: list[float] = []
    lines: dict[str, list[float]] = {}
    began, held = CLOCK.monotonic(), (0, 0)
    while life.cycle < cycles:
        await life.live()
        if life.cycle == WARM:
            before, held = life.series(), life.held()
        if life.cycle >= WARM + CHURNS // CHURN and after is None:
            after = life.series()
        if life.cycle % every == 0:
            xs.append(life.cycle)
            for name, size in life.sizes().items():
                lines.setdefault(name, []).append(size)
        if life.cycle % (cycles // 10) == 0:
            bench.say(f"{life.cycle} cycles in {CLOCK.monotonic() - began:.0f} s")
    took = CLOCK.monotonic() - began
    record_series(bench, life, before, after)
    record_growth(bench, xs, lines)
    files, threads = life.held()
    bench.at_most("files more, all processes", files - held[0], "", target=0)
    bench.at_most("threads more, all processes", threads - held[1], "", target=0)
    if bench.quick:
        # A machine that is busy with other things can hold a child up for seconds.
        bench.inform("children started", _started(life), "")
    else:
        bench.at_most("children started", _started(life), "", target=2)
    bench.inform("one cycle", 1000 * took / cycles, "ms")
    bench.inform("one message", life.sent / cycles / 1024, "KiB")


def _started(life: Life) -> int:
    return life.nvml.supervisor.started + life.files.host.supervisor.started


def record_series(bench: Bench, life: Life, before: int | None, after: int | None) -> None:
    """Record what became of the series."""
    now = life.series() if after is None else after
    bench.say(f"{before} series before, {now} after {CHURNS} pods came and went")
    grown = abs(now - (before or 0))
    naive = naive_series(CHURNS)
    bench.at_most("series more after 10,000 pods", grown, "", target=0, naive=naive)
    bench.inform("series", now, "")
    bench.at_least("both formats parse", float(parsed(life)), "", target=1)


def record_growth(bench: Bench, xs: list[float], lines: dict[str, list[float]]) -> None:
    """Record the slope over the second half, and draw the whole."""
    half = len(xs) // 2
    total = [sum(sizes) for sizes in zip(*lines.values(), strict=True)]
    growth = slope(xs[half:], total[half:]) * DAY
    # In a quick run a single page of the heap is a megabyte a day.
    if bench.quick:
        bench.inform("growth in a day", growth, "MiB")
    else:
        bench.at_most("growth in a day", growth, "MiB", target=1)
    for name, sizes in lines.items():
        bench.inform(f"growth in a day, {name}", slope(xs[half:], sizes[half:]) * DAY, "MiB")
    days = [x / DAY for x in xs]
    drawn = {name: (days, sizes) for name, sizes in (lines | {"together": total}).items()}
    bench.curve(Curve("Memory", "days of collections", "MiB", drawn))


async def measure(bench: Bench) -> None:
    """Live on one node."""
    cycles = 2_200 if bench.quick else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nvml = FakeNvml(folder, GPUS)
        os.environ.update(nvml.env({}))
        root = folder / "host"
        root.mkdir()
        (root / "proc").symlink_to("/proc")
        node = Node(nvml, root)
        pids = {"pids": list[int](), "ports": [8000]}
        files = FileCollectors(root, wanted=lambda: pids)
        life = Life(node, nvml_collector(root), files)
        pids["pids"] = [os.getpid()]
        try:
            await endure(bench, life, cycles)
        finally:
            await life.close()


def main() -> int:
    """Run the benchmark."""
    bench = Bench("agent_endurance", "Whether the agent grows")
    asyncio.run(measure(bench))
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
