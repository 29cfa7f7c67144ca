"""How the tests ask: through the agent's collector, which nothing else here knows."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from citadel_k8s.collectors.base import processes_from
from citadel_k8s.collectors.engines import EngineCollector
from citadel_k8s.collectors.processes import ProcessSource
from citadel_k8s.config.agent import EngineEndpoint, EngineKind
from citadel_k8s.local.engines import RunningEngine
from citadel_k8s.local.llamacpp import RunningLlamaCpp
from citadel_k8s.local.ollama import RunningOllama
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


def children(pid: int) -> list[int]:
    """The processes that a process has begun, and theirs."""
    own = [
        int(number)
        for path in Path(f"/proc/{pid}/task").glob("*/children")
        for number in path.read_text().split()
    ]
    return own + [grandchild for child in own for grandchild in children(child)]


def runner_of(ollama: RunningOllama) -> tuple[int, int]:
    """Process and port of what runs the loaded model."""
    (pid,) = children(ollama.pid)
    match = re.search(rb"runner\0.*--port\0(\d+)", Path(f"/proc/{pid}/cmdline").read_bytes())
    assert match
    return pid, int(match[1])


def seen_on_host(pids: Sequence[int], ports: Sequence[int]) -> tuple[Listener, ...]:
    """What the agent's child process tells of processes on GPUs and of these known ports."""
    answer = ProcessSource("/").collect(
        lambda *_: None, {}, {"pids": list(pids), "ports": list(ports)}
    )
    assert answer["kind"] == "reading", answer
    return processes_from(answer["value"]).listeners


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
