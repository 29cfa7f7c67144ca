"""One agent for each thing that can hang, all at the same time, and who still speaks on the grid.

Files hang by a library that is preloaded into the agent, the driver by the fake NVML, the kubelet
and the engines by servers in this process that accept and never answer, Redis by a relay.
"""

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench._agent import (
    GPUS,
    Grid,
    Running,
    agent,
    fresh_gpus,
    get,
    heard,
    host_root,
    percentile,
    put_on_gpus,
    status,
)
from bench._rig import CLOCK
from bench.figures import Bench
from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.streams import RedisStatusStream
from tests import fake_engines
from tests.native.fake_nvml import HANG, FakeNvml
from tests.podresources import behaving

INTERVAL = 5.0

SHIM = Path(__file__).with_name("_hang.c")
"""Library that makes calls for files hang."""

FILES = ("statvfs", "proc", "cgroups", "processes")
"""What it knows to let hang."""


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accept all, answer nothing, and end with the connection."""
    while await reader.read(65536):
        pass


MISBEHAVIOURS = (
    fake_engines.large_body(10 * 1024**2),
    fake_engines.drips,
    silence,
    fake_engines.resets,
    fake_engines.endless_headers,
)
"""What engines do instead of an answer."""

SOURCES = {
    "init": "nvml",
    "proc": "host",
    "cgroups": "containers",
    "processes": "processes",
    "pod-resources": "pods",
}
"""The source that fails where something hangs."""

PEERS = ("pod-resources", "engines", "redis")

SCENES: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "a driver's call hung": ("nvml",),
    "a lost GPU": ("lost",),
    "the driver's start hung": ("init",),
    "statvfs hung": ("statvfs",),
    "/proc hung": ("proc",),
    "cgroups hung": ("cgroups",),
    "processes' files hung": ("processes",),
    "pod-resources hung": ("pod-resources",),
    "misbehaving engines": ("engines",),
    "redis a black hole": ("redis",),
    "all but redis hung": ("nvml", *FILES, "pod-resources", "engines"),
    "all hung": ("nvml", *FILES, *PEERS),
}
"""What hangs in which agent."""

QUICK = (
    "nothing",
    "a driver's call hung",
    "misbehaving engines",
    "redis a black hole",
    "all but redis hung",
)
"""The scenes of a quick run."""


@dataclass
class Relay:
    """Connects an agent with a server, until it is told to let nothing through any more."""

    target: int
    port: int = 0
    black: bool = False
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    @asynccontextmanager
    async def run(self) -> AsyncIterator["Relay"]:
        """Relay."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._tasks.add(task)
        try:
            there, out = await asyncio.open_connection("127.0.0.1", self.target)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, out), name="to the server")
                group.create_task(self._pass(there, writer), name="from the server")
            out.transport.abort()
        except (asyncio.CancelledError, OSError, ExceptionGroup):
            return
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            if self.black:
                await self._open.wait()
            sink.write(data)
            await sink.drain()
        sink.transport.abort()


@dataclass
class Place:
    """A node that can be broken."""

    name: str
    folder: Path
    nvml: FakeNvml
    relay: Relay
    engines: list[fake_engines.FakeEngine]
    what: tuple[str, ...]

    def hang(self) -> None:
        """Let all that is to hang do so."""
        doers: dict[str, Callable[[], None]] = {
            "nvml": lambda: self.nvml.hang(3),
            "lost": lambda: self.nvml.lose(3),
            "redis": lambda: setattr(self.relay, "black", True),
            "engines": self._spoil,
        }
        for what in self.what:
            if what in FILES:
                (self.folder / "hang" / what).touch()
            elif what in doers:
                doers[what]()

    def heal(self) -> None:
        """Let all files go on, so that no process is left behind."""
        for what in FILES:
            (self.folder / "hang" / what).unlink(missing_ok=True)

    def settings(self) -> dict[str, Any]:
        """Give an agent's settings."""
        engines = [
            {"name": f"e{n}", "engine": "vllm", "url": e.url} for n, e in enumerate(self.engines)
        ]
        return {"hostRoot": str(self.folder / "host"), "engines": engines}

    def _spoil(self) -> None:
        for engine, page in zip(self.engines, MISBEHAVIOURS, strict=False):
            engine.pages = {"/v1/models": page, "/metrics": page, "/health": page, "/": page}


@asynccontextmanager
async def place(
    stack: Stack, folder: Path, name: str, what: tuple[str, ...]
) -> AsyncIterator[tuple[Place, Running]]:
    """Run an agent on a node of its own."""
    own = folder / "".join(c if c.isalnum() else "-" for c in name)
    (own / "hang").mkdir(parents=True)
    nvml = FakeNvml(own, GPUS)
    put_on_gpus(nvml, [os.getpid()])
    if "init" in what:
        nvml.state.init = HANG
    root = host_root(own, [os.getpid()])
    _own_proc(root)

    async with AsyncExitStack() as exits:
        count = len(MISBEHAVIOURS) if "engines" in what else 1
        engines = await exits.enter_async_context(
            fake_engines.fake_engines(*[fake_engines.vllm()] * count)
        )
        relay = await exits.enter_async_context(Relay(stack.valkey.port).run())
        if "pod-resources" in what:
            socket = root / "var/lib/kubelet/pod-resources/kubelet.sock"
            await exits.enter_async_context(behaving(socket, silence))
        here = Place(name, own, nvml, relay, engines, what)
        url = stack.redis_url.replace(f":{stack.valkey.port}/", f":{relay.port}/")
        env = nvml.env({**os.environ, "CITADEL__REDIS_URL": url, "LD_PRELOAD": str(shim(folder))})
        env["BENCH_HANG"] = str(own / "hang")
        running = await exits.enter_async_context(
            agent(own, env, own.name, INTERVAL, here.settings())
        )
        exits.callback(here.heal)
        yield here, running


def _own_proc(root: Path) -> None:
    # A folder of links instead of one link, so that the paths asked for are below this root.
    (root / "proc").unlink()
    (root / "proc").mkdir()
    for name in ("meminfo", "stat", "loadavg", "uptime", "pressure", "sys", "1", "net"):
        (root / "proc" / name).symlink_to(f"/proc/{name}")


def shim(folder: Path) -> Path:
    """Give the compiled library."""
    target = folder / "hang.so"
    if not target.exists():
        found = shutil.which("cc")
        compiler = [found] if found else [sys.executable, "-m", "ziglang", "cc"]
        flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
        subprocess.run(
            [*compiler, *flags, "-o", str(target), str(SHIM), "-ldl"], check=True, timeout=300
        )
    return target


@dataclass
class Seen:
    """What was seen of one agent."""

    lateness: list[float]
    fresh: int
    felt: bool
    lag: float
    goodbye: float
    exit: float


async def watch(stack: Stack, here: Place, running: Running, seconds: float) -> Seen:
    """Let it hang, watch it for a while and end it."""
    stream = RedisStatusStream(stack.redis_url)
    grid = Grid(running.node_id, INTERVAL)
    try:
        await asyncio.sleep(INTERVAL + 1)
        here.hang()
        began = CLOCK.now()
        lags: list[float] = []
        while CLOCK.now() < began + seconds:
            await asyncio.sleep(0.5)
            lags.append(json.loads(await get(running.port, "/health/live"))["loopLagSeconds"])
        until = CLOCK.now()
        fresh = await fresh_gpus(running.port)
        felt = {what: await _is_felt(running.port, what) for what in here.what}
        stopping = CLOCK.now()
        await running.charge.stop(timeout=10)
        took = CLOCK.now() - stopping
        entries = await heard(stream, running.node_id)
    finally:
        await stream.close()
    if not all(felt.values()):
        print(f"{here.name}: not felt: {felt}", file=sys.stderr)
    last = json.loads(entries[-1].payload) if entries else {}
    said = entries[-1].id.ms / 1000 - stopping if last.get("goodbye") else float("nan")
    late = grid.lateness(entries, began, until)
    return Seen(late, fresh, all(felt.values()), max(lags), said, took)


async def _is_felt(port: int, what: str) -> bool:
    """Say whether the agent tells of something that hangs."""
    told = await status(port)
    match what:
        case "nvml" | "lost":
            return bool(told["gpu"][3].get("health") != "ok")
        case "statvfs":
            return "diskTotalGb" not in told["system"]
        case "engines":
            healths = [one.get("health") for one in told["services"]]
            return bool(healths) and "ok" not in healths
        case "redis":
            return json.loads(await get(port, "/health"))["heartbeat"]["consecutiveFailures"] > 0
        case _:
            source = SOURCES[what]
            line = f'citadel_collector_state{{collector="{source}",state="failed"}} 1.0'
            return line in await get(port, "/metrics")


async def hangs(bench: Bench, stack: Stack, folder: Path) -> None:
    """Run all scenes at once and record them."""
    names = QUICK if bench.quick else tuple(SCENES)
    seconds = 3 * INTERVAL + 1 if bench.quick else 36 * INTERVAL + 1
    seen: dict[str, Seen] = {}
    shim(folder)

    async def scene(name: str) -> None:
        async with place(stack, folder, name, SCENES[name]) as (here, running):
            seen[name] = await watch(stack, here, running, seconds)

    bench.say(f"{len(names)} agents; watching {seconds:g} s")
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(scene(name), name=name)
    record(bench, {name: seen[name] for name in names})


def record(bench: Bench, seen: dict[str, Seen]) -> None:
    """Record what was seen."""
    for name, one in seen.items():
        what = f"with {name}" if SCENES[name] else "as it should be"
        if "redis" in SCENES[name]:
            bench.at_most(f"lag of the loop at most, {what}", one.lag, "s", target=1)
        else:
            late = percentile(one.lateness, 0.99)
            bench.at_most(f"heartbeat jitter p99, {what}", late, "s", target=1)
            bench.at_most(f"goodbye after SIGTERM, {what}", one.goodbye, "s", target=2)
        bench.at_most(f"exit after SIGTERM, {what}", one.exit, "s", target=5)
        if {"nvml", "lost"} & set(SCENES[name]):
            bench.at_least(f"GPUs fresh, {what}", one.fresh, "", target=GPUS - 1)
    felt = sum(one.felt for one in seen.values()) / len(seen)
    bench.at_least("agents that tell what hangs", felt, "", target=1)
    if {"nothing", "misbehaving engines"} <= set(seen):
        calm, bad = seen["nothing"].lateness, seen["misbehaving engines"].lateness
        added = statistics.median(bad) - statistics.median(calm)
        # The machine's own noise; what it is to be is nothing.
        bench.at_most("heartbeat later by bad engines, median", 1000 * added, "ms", target=20)
