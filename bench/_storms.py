"""Hangs and restarts by the thousand, in this process, and what is left of them."""

import asyncio
import gc
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench._agent import GPUS, MIB, files_of, slope, threads_of
from bench.figures import Bench
from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.aio.supervise import Supervisor
from citadel_k8s.collectors.base import decode_event, gpus_from
from citadel_k8s.collectors.remote import ChildCollector, argv_of, environment
from citadel_k8s.models.readings import Absent, Failed, Gpus, Reading
from tests.native.fake_nvml import HANG, FakeNvml

PATIENCE = 0.03
"""Seconds that a call is given here: less than a child takes to start, so that each one is killed
on its way, as fast as they can be forked."""

CALM = 3.0
"""Seconds that a call is given by the agent."""

SINGLE_BIT = 0x1
"""Event of a memory error that was put right."""

CODES = (9, 18, 999)
"""Driver not loaded, library of another version, unknown error."""


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    files: int
    threads: int
    children: int
    resident: float


def held(pid: int) -> Held:
    """Look at a process."""
    gc.collect()
    process = psutil.Process(pid)
    children = len(process.children(recursive=True))
    return Held(files_of(pid), threads_of(pid), children, process.memory_info().rss / MIB)


async def settled(pid: int) -> Held:
    """Look at a process when the loop has closed what it had to close."""
    await asyncio.sleep(0.2)
    return held(pid)


def collector(nvml: FakeNvml, clock: ManualClock, patience: float) -> ChildCollector[Gpus]:
    """Give a collector of the fake driver's GPUs."""
    supervisor = Supervisor(
        argv_of(("nvml",), Path("/")),
        env=nvml.env(environment()),
        unasked=lambda line: decode_event(line) is not None,
    )
    return ChildCollector("nvml", supervisor, gpus_from, clock=clock, patience=patience)


async def storm(bench: Bench, folder: Path) -> None:
    """Let a thousand children hang, most at their start and some in a call."""
    hangs = 60 if bench.quick else 1000
    nvml, clock = FakeNvml(folder, GPUS), ManualClock()
    nvml.state.init = HANG
    source = collector(nvml, clock, PATIENCE)
    await _hang(source, clock, hangs // 10)
    await source.supervisor.recycle()
    before, sizes, counts = await settled(os.getpid()), list[float](), list[float]()
    while source.supervisor.started < hangs:
        await _hang(source, clock, source.supervisor.started + max(3, hangs // 20))
        counts.append(source.supervisor.started)
        sizes.append(held(os.getpid()).resident)
    await source.close()
    after = await settled(os.getpid())
    deep = await _in_calls(nvml, clock, 3 if bench.quick else 60)
    bench.say(f"{source.supervisor.started} children hung at their start, {deep} in a call")
    bench.at_most("files more after 1,000 hangs", after.files - before.files, "", target=0)
    bench.at_most("threads more after 1,000 hangs", after.threads - before.threads, "", target=0)
    bench.at_most("children left after 1,000 hangs", after.children - before.children, "", target=0)
    grown = slope(counts, sizes) * 1000
    if bench.quick:
        bench.inform("memory more by 1,000 hangs", grown, "MiB")
    else:
        bench.at_most("memory more by 1,000 hangs", grown, "MiB", target=1)


async def _hang(source: ChildCollector[Gpus], clock: ManualClock, started: int) -> None:
    while source.supervisor.started < started:
        clock.advance(2 * 3600)  # past any pause of the quarantine
        await source.collect()


async def _in_calls(nvml: FakeNvml, clock: ManualClock, hangs: int) -> int:
    """Let children hang in a call of the driver, which takes them to have started."""
    source = collector(nvml, clock, 0.5)
    while source.supervisor.started < hangs:
        clock.advance(2 * 3600)
        await source.collect()
    await source.close()
    return source.supervisor.started


async def errors(bench: Bench, folder: Path) -> None:
    """Let NVML fail in several ways, and start a thousand times."""
    nvml, clock = FakeNvml(folder, GPUS), ManualClock()
    source = collector(nvml, clock, CALM)
    try:
        await source.collect()
        lost = await _lost(source, nvml)
        bench.at_most("collections lost by three errors of NVML", lost, "", target=3)
        async with asyncio.TaskGroup() as group:
            nudge = group.create_task(_nudge(nvml), name="nudge")
            await _restarts(bench, source, nvml)
            nudge.cancel()
    finally:
        await source.close()


async def _nudge(nvml: FakeNvml) -> None:
    """End each wait for events soon: a stop of NVML has to await its end, at most two seconds."""
    while True:
        nvml.event(0, SINGLE_BIT)
        await asyncio.sleep(0.005)


async def _lost(source: ChildCollector[Gpus], nvml: FakeNvml) -> int:
    """Give the collections until all GPUs are there again after three failed starts."""
    nvml.start_with(*CODES)
    nvml.state.count = GPUS - 1  # the child notices by itself that it has to start anew
    seen = list[str]()
    for number in range(10):
        match await source.collect():
            case Reading(gpus) if len(gpus.gpus) == GPUS - 1:
                return number
            case Absent(reason, _) | Failed(reason, _):
                seen.append(reason)
            case _:
                seen.append("part")
    return 10


async def _restarts(bench: Bench, source: ChildCollector[Gpus], nvml: FakeNvml) -> None:
    """Have NVML stopped and started again and again in one child."""
    rounds = 40 if bench.quick else 1000
    inits, bad = nvml.state.inits, 0
    sizes, counts = list[float](), list[float]()
    before = held(source.supervisor.pid or 0)
    for number in range(rounds):
        nvml.state.count = GPUS - number % 2
        outcome = await source.collect()
        bad += not (isinstance(outcome, Reading) and len(outcome.value.gpus) == nvml.state.count)
        if number == rounds // 10:
            before = held(source.supervisor.pid or 0)
        if number > rounds // 10 and number % (rounds // 20) == 0:
            counts.append(number)
            sizes.append(held(source.supervisor.pid or 0).resident)
    after = held(source.supervisor.pid or 0)
    restarts = nvml.state.inits - inits
    bench.say(f"NVML was started {restarts} times; {source.supervisor.started} children")
    bench.at_least("starts of NVML in one child", restarts / (rounds - 1), "", target=1)
    bench.at_most("collections lost by starts of NVML", bad, "", target=0)
    bench.at_most("files more after starts of NVML", after.files - before.files, "", target=0)
    bench.at_most("misuses of NVML", nvml.state.misuses, "", target=0)
    grown = slope(counts, sizes) * 1000
    if bench.quick:
        bench.inform("memory more by 1,000 starts of NVML", grown, "MiB")
    else:
        bench.at_most("memory more by 1,000 starts of NVML", grown, "MiB", target=1)


async def storms(bench: Bench, folder: Path) -> None:
    """Run both."""
    for work, name in ((storm, "storm"), (errors, "errors")):
        (folder / name).mkdir()
        await work(bench, folder / name)
        await asyncio.sleep(0)
