"""A real agent process, its server and its driver."""

import asyncio
import inspect
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis.asyncio

from citadel_k8s.constants import STATUS_STREAM
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.models.codec import decode
from citadel_k8s.models.wire import StatusMessage
from tests.native.fake_nvml import FakeNvml

PROGRAM = (
    "import asyncio, json, sys\n"
    "from citadel_k8s.agent.main import run\n"
    "from citadel_k8s.config.agent import AgentSettings\n"
    "asyncio.run(run(AgentSettings.model_validate(json.loads(sys.argv[1]))))\n"
)


class AgentProcess:
    """An agent, seen from outside."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.port = 0

    async def read_log(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            self.lines.append(json.loads(line))

    async def started(self) -> None:
        await until(lambda: self.find("agent_started") is not None)
        started = self.find("agent_started")
        assert started is not None
        self.port = started["port"]

    def find(self, event: str) -> dict[str, Any] | None:
        return next((line for line in self.lines if line["event"] == event), None)

    async def get(self, path: str) -> Any:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(url) as response,
        ):
            text = await response.text()
            return json.loads(text) if response.content_type == "application/json" else text

    async def gpus(self) -> list[dict[str, Any]]:
        return (await self.get("/status"))["status"]["gpu"]

    def children(self) -> list[int]:
        return [pid for pid in processes() if parent_of(pid) == self.process.pid]

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Send a signal; give the seconds until the end."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        self.process.send_signal(number)
        async with asyncio.timeout(10):
            await self.process.wait()
        return loop.time() - started


@pytest.fixture
def driver(tmp_path: Path) -> FakeNvml:
    return FakeNvml(tmp_path, count=4)


@pytest.fixture
async def start_agent() -> AsyncIterator[Callable[..., Awaitable[AgentProcess]]]:
    agents: list[AgentProcess] = []
    async with asyncio.TaskGroup() as group:

        async def start(env: dict[str, str] | None = None, **settings: Any) -> AgentProcess:
            values = {
                "node_name": "n1",
                "interval_seconds": 5,
                "listen_host": "127.0.0.1",
                "listen_port": 0,
                "discover_engines": False,
            } | settings
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", PROGRAM, json.dumps(values),
                env=env, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            agent = AgentProcess(process)
            agents.append(agent)
            group.create_task(agent.read_log())
            await agent.started()
            return agent

        yield start
        for agent in agents:
            if agent.process.returncode is None:
                agent.process.kill()
                await agent.process.wait()


@pytest.fixture
def stream(own_valkey: Valkey) -> "Stream":
    return Stream(own_valkey.url)


class Stream:
    """What arrived, each with the milliseconds of its arrival."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def entries(self) -> list[tuple[int, StatusMessage]]:
        # A connection from before a restart of the server would fail the test, not the agent.
        async with redis.asyncio.Redis.from_url(self._url) as client:
            entries = await client.xrange(STATUS_STREAM)
        return [(int(i.split(b"-")[0]), decode(fields[b"payload"])) for i, fields in entries]

    async def messages(self) -> list[StatusMessage]:
        return [message for _, message in await self.entries()]

    async def until(
        self, enough: Callable[[list[StatusMessage]], bool], seconds: float = 20
    ) -> None:
        async def arrived() -> bool:
            return enough(await self.messages())

        await until(arrived, seconds)


async def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    """Wait for a condition, plain or a coroutine, of another process."""
    async with asyncio.timeout(seconds):
        while not await _value(condition()):  # noqa: ASYNC110 - a process sets no event here
            await asyncio.sleep(0.05)


async def _value(found: Any) -> Any:
    return await found if inspect.isawaitable(found) else found


def processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def parent_of(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return None


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
