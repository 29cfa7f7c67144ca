"""How the tests ask: through the agent's collector, which nothing else here knows."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from citadel_k8s.collectors.engines import EngineCollector
from citadel_k8s.config import EngineEndpoint, EngineKind
from citadel_k8s.local.engines import RunningEngine, RunningLlamaCpp, RunningOllama
from citadel_k8s.local.vllm import RunningVllm
from citadel_k8s.models.readings import Engine, Listener, Reading

SETTLED = 20.0  # seconds for what an engine does by itself; it takes under one


class Agent:
    """What the agent tells of these engines: the one place that knows its collector."""

    def __init__(
        self,
        *endpoints: EngineEndpoint,
        listeners: Sequence[Listener] = (),
        usual: Sequence[int] = (),
    ) -> None:
        self._collector = EngineCollector(
            endpoints,
            discover=bool(listeners or usual),
            listeners=lambda: tuple(listeners),
            ports=[("ollama", port) for port in usual],
        )

    async def asked(self) -> tuple[Engine, ...]:
        """All engines."""
        outcome = await self._collector.collect()
        assert isinstance(outcome, Reading)
        return outcome.value

    async def engine(self) -> Engine:
        """The only engine."""
        (engine,) = await self.asked()
        return engine

    async def until(self, reached: Callable[[Engine], bool]) -> Engine:
        """The only engine as soon as it is so."""
        engine = None
        try:
            async with asyncio.timeout(SETTLED):
                while not reached(engine := await self.engine()):  # noqa: ASYNC110 - other process
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"still {engine}")
        return engine

    async def close(self) -> None:
        await self._collector.close()


def endpoint(engine: RunningEngine, *, key_file: Path | None = None) -> EngineEndpoint:
    """How an administrator writes an engine down."""
    kinds: dict[type[RunningEngine], EngineKind] = {
        RunningOllama: "ollama",
        RunningLlamaCpp: "llamacpp",
        RunningVllm: "vllm",
    }
    kind = kinds[type(engine)]
    return EngineEndpoint(name=kind, engine=kind, url=engine.url, api_key_file=key_file)


def listeners_of(engine: RunningEngine) -> tuple[Listener, ...]:
    """The ports of an engine and of its children, as the host tells them."""
    pids = [engine.pid, *_children(engine.pid)]
    rows = [(pid, _command(pid)) for pid in pids]
    ports = [engine.port, *(int(_port_option(command)) for _, command in rows[1:])]
    return tuple(
        Listener(port, "127.0.0.1", pid, command)
        for (pid, command), port in zip(rows, ports, strict=True)
    )


def _children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] or [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/stat")
        if path.read_text().rpartition(")")[2].split()[1] == str(pid)
    ]


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()


def _port_option(command: str) -> str:
    match = re.search(r"--port (\d+)", command)
    assert match, command
    return match[1]


@asynccontextmanager
async def busy(request: Callable[[], Awaitable[None]], *, requests: int = 1) -> AsyncIterator[None]:
    """Keep so many requests going, each begun anew when it ends."""

    async def again() -> None:
        while True:
            await request()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(again(), name=f"request {n}") for n in range(requests)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
