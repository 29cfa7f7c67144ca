"""What the agent's benchmarks share: a real agent on fake devices, and what its processes cost."""

import asyncio
import json
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from bench._rig import CLOCK, cpu_seconds
from citadel_k8s.domain.keys import heartbeat_phase
from citadel_k8s.errors import StackError
from citadel_k8s.local.charge import Charge, spawn
from citadel_k8s.stores.entries import Entry, EntryId
from citadel_k8s.stores.streams import RedisStatusStream
from tests.unit.collectors import trees

GPUS = 8

CHILD = "citadel_k8s.collectors.child"
"""Module that a collector child runs."""

MIB = 1024**2

_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_ANONYMOUS = re.compile(r"^Pss_Anon:\s+(\d+) kB", re.MULTILINE)
_MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ ([0-9a-f]+) \S+ (\d+)\s+(\S*)")


@dataclass(frozen=True)
class Running:
    """An agent that runs: its program, its HTTP port and its id on the wire."""

    charge: Charge
    port: int
    node_id: str

    @property
    def pid(self) -> int:
        return self.charge.pid


def family(pid: int) -> list[psutil.Process]:
    """Give a process and its descendants."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def part_of(process: psutil.Process) -> str:
    """Give which of the agent's processes this is: ``parent``, or by what a child reads first."""
    words = process.cmdline()
    return words[words.index(CHILD) + 1].partition(",")[0] if CHILD in words else "parent"


def pss_bytes(pid: int) -> int:
    """Give the proportional set size of one process."""
    found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    return int(found[1]) * 1024 if found else 0


def pss_mib(pid: int) -> dict[str, float]:
    """Give the proportional set size of each process of a family, MiB."""
    return {part_of(process): pss_bytes(process.pid) / MIB for process in family(pid)}


def anonymous_mib(pid: int) -> float:
    """Give the memory of one process that is of no file, MiB.

    What is mapped from files is shared with whoever else maps them, and so changes with the
    neighbours on the machine.
    """
    found = _ANONYMOUS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def alone_mib(pid: int) -> float:
    """Give what a family would hold if no other process mapped the same files, MiB.

    The proportional size of an agent is flattered by a benchmark that maps the same libraries.
    Here each mapped file counts as a whole: as much of it as any one of the family has resident.
    """
    private, files = 0, Counter[tuple[str, str]]()
    for process in family(pid):
        own = Counter[tuple[str, str]]()
        mapping, resident, anonymous = ("", ""), 0, 0
        for line in Path(f"/proc/{process.pid}/smaps").read_text().splitlines():
            if head := _MAPPING.match(line):
                mapping = (head[3], head[1]) if head[2] != "0" else ("", "")
            elif line.startswith("Rss:"):
                resident = int(line.split()[1])
            elif line.startswith("Anonymous:"):
                anonymous = int(line.split()[1])
                private += anonymous if mapping[0] else resident
                own[mapping] += resident - anonymous if mapping[0] else 0
        files |= own
    return (private + files.total()) / 1024


def cpu_by_part(pid: int) -> dict[str, float]:
    """Give the processor time of each process of a family, seconds."""
    return {part_of(process): cpu_seconds(process.pid) for process in family(pid)}


@asynccontextmanager
async def agent(
    folder: Path,
    env: Mapping[str, str],
    name: str,
    interval: float,
    settings: Mapping[str, Any] | None = None,
) -> AsyncIterator[Running]:
    """Run an agent with these settings; it is killed at the end if it still runs."""
    file = folder / f"{name}.yaml"
    file.write_text(json.dumps({"discoverEngines": False, **(settings or {})}))
    given = {"nodeName": name, "intervalSeconds": interval, "listenHost": "127.0.0.1"}
    words = {"file": str(file), "given": {**_snake(given), "listen_port": 0}}
    argv = [sys.executable, "-m", "citadel_k8s.agent", json.dumps(words)]
    charge = await spawn(argv, folder / f"{name}.log", env=env)
    try:
        yield await _ready(charge)
    finally:
        await charge.kill()


def _snake(words: Mapping[str, Any]) -> dict[str, Any]:
    return {re.sub(r"([A-Z])", lambda m: "_" + m[1].lower(), k): v for k, v in words.items()}


async def _ready(charge: Charge) -> Running:
    for _ in range(600):
        text = charge.log_path.read_text()
        if (port := re.search(r'"port": (\d+)', text)) and (
            node := re.search(r'"node_id": "([^"]+)"', text)
        ):
            return Running(charge, int(port[1]), node[1])
        await asyncio.sleep(0.05)
    raise StackError(f"the agent did not start: {charge.tail()}")


@contextmanager
def sleepers(count: int) -> Iterator[list[int]]:
    """Run processes that do nothing; give their numbers."""
    started = [subprocess.Popen(["sleep", "86400"]) for _ in range(count)]
    try:
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


def host_root(folder: Path, pids: Iterable[int]) -> Path:
    """Make a host's root: the real ``/proc``, and a cgroup for each of these processes."""
    root = folder / "host"
    (root / "var/lib/kubelet/pod-resources").mkdir(parents=True)
    (root / "proc").symlink_to("/proc")
    for number, pid in enumerate(pids):
        path = trees.cgroup_path(uid_of(number), container_of(number))
        # 250 MiB in use, 50 of them cache; a limit as most pods have one.
        trees.container(root, path, cpu_usec=10**9 + number, current=250 * MIB,
                        inactive_file=50 * MIB, memory_max=str(512 * MIB), pids=[pid])  # fmt: skip
    return root


def uid_of(number: int) -> str:
    """Give a pod's uid."""
    return f"0d5f2c1a-8d3e-4b6f-9a21-{number:012x}"


def container_of(number: int) -> str:
    """Give a container's id."""
    return f"{number:064x}"


def put_on_gpus(nvml: Any, pids: list[int]) -> None:
    """Spread processes over the fake GPUs."""
    for index in range(GPUS):
        nvml.processes(index, [(pid, 4096 * MIB) for pid in pids[index::GPUS]])


async def get(port: int, path: str) -> str:
    """Ask the agent's own server."""
    limit = aiohttp.ClientTimeout(total=10)
    async with (
        aiohttp.ClientSession(timeout=limit) as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return await answer.text()


async def status(port: int) -> dict[str, Any]:
    """Give what the agent's own page tells of the node."""
    document: dict[str, Any] = json.loads(await get(port, "/status"))["status"]
    return document


async def fresh_gpus(port: int) -> int:
    """Give the GPUs that the agent's own page reports as well."""
    gpus = (await status(port)).get("gpu") or []
    return sum(gpu.get("health") == "ok" for gpu in gpus)


async def heard(stream: RedisStatusStream, node: str, after: EntryId = EntryId.ZERO) -> list[Entry]:
    """Give all entries of a node after an id."""
    cursor, found = after, list[Entry]()
    while entries := await stream.read(cursor, block=0):
        cursor = entries[-1].id
        found += [entry for entry in entries if entry.node_id == node]
    return found


class Grid:
    """The moments at which a node is to speak, as dates.

    Parameters
    ----------
    node_id : str
        Its id on the wire.
    interval : float
        Seconds between two.
    """

    def __init__(self, node_id: str, interval: float) -> None:
        # The grid is that of the monotonic clock, which all processes of a host share.
        offset = CLOCK.now() - CLOCK.monotonic()
        self._first = offset + heartbeat_phase(node_id, interval)
        self._interval = interval

    def number(self, moment: float) -> int | None:
        """Give the number of the grid's moment that a date is a third of a second from at most."""
        number = round((moment - self._first) / self._interval)
        distance = abs(moment - self._first - number * self._interval)
        return number if distance < 0.33 else None

    async def phase(self, seconds: float) -> None:
        """Wait until that many seconds after a moment of the grid."""
        now = (CLOCK.now() - self._first) % self._interval
        await asyncio.sleep((seconds - now) % self._interval)

    def lateness(self, entries: Iterable[Entry], since: float, until: float) -> list[float]:
        """Give for each moment between two dates how late the entry next to it was, seconds.

        A change is told at once, between the grid's moments: only the entry next to a moment is
        its heartbeat. Without one it is late by a whole interval.
        """
        step, moments = self._interval, sorted(entry.id.ms / 1000 for entry in entries)
        number = int((since - self._first) // step) + 1
        found: list[float] = []
        while (at := self._first + number * step) < until - 1.0:
            near = [abs(m - at) for m in moments if abs(m - at) < step / 2]
            found.append(min(near, default=step))
            number += 1
        return found


def percentile(values: Iterable[float], share: float) -> float:
    """Give the smallest value that this share of all does not exceed."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def slope(xs: list[float], ys: list[float]) -> float:
    """Give the slope of the line that fits best."""
    if len(xs) < 2:
        return float("nan")
    return statistics.linear_regression(xs, ys).slope


def threads_of(pid: int) -> int:
    """Give how many threads a process has."""
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def files_of(pid: int) -> int:
    """Give how many files a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
