"""What the operator's benchmarks share: real servers, the real operator, many simulated nodes."""

import asyncio
import json
import re
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.domain.liveness import Policy
from citadel_k8s.errors import CitadelError
from citadel_k8s.local.charge import Charge
from citadel_k8s.local.parts import Parts
from citadel_k8s.local.simulate import Fleet
from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.streams import RedisStatusStream

CLOCK = SystemClock()


@dataclass
class Rig:
    """One stack with one operator and one fleet."""

    policy: Policy
    count: int
    changing: bool = True
    stack: Stack = field(init=False)
    api: KubeClient = field(init=False)
    parts: Parts = field(init=False)
    stream: RedisStatusStream = field(init=False)
    fleet: Fleet = field(init=False)
    operator: Charge = field(init=False)
    agents: dict[str, Charge] = field(default_factory=dict)
    _exit: AsyncExitStack = field(default_factory=AsyncExitStack)
    _background: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.end_background()
        await self._exit.aclose()

    def end_background(self) -> None:
        """End what runs beside, so that its group can end."""
        for task in self._background:
            task.cancel()

    async def _start(self) -> None:
        self.stack = await self._exit.enter_async_context(Stack())
        self.api = await KubeClient.connect(self.stack.kubeconfig)
        self._exit.push_async_callback(self.api.close)
        self.parts = Parts(self.stack, self.policy)
        await self.parts.install(self.api)
        self.stream = RedisStatusStream(self.stack.redis_url)
        self._exit.push_async_callback(self.stream.close)
        self._exit.push_async_callback(self._stop_charges)
        self.fleet = Fleet(
            self.stream, CLOCK, self.count, interval=self.policy.interval, changing=self.changing
        )
        await self.start_operator()

    def speak(self, group: asyncio.TaskGroup) -> None:
        """Let the fleet speak until the rig ends."""
        self._background.append(group.create_task(self.fleet.run(), name="fleet"))

    def watch(self, group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside until the rig ends."""
        self._background.append(group.create_task(work, name="watch"))

    async def start_operator(self) -> None:
        """Start the operator with the rights that it has in a cluster."""
        self.operator = await self.parts.operator()

    async def start_agent(self, name: str) -> None:
        """Start a real agent with pretended GPUs."""
        self.agents[name] = await self.parts.agent(name, "h100x8")

    async def restart_operator(self) -> None:
        """Kill the operator and start it again."""
        await self.operator.kill()
        await self.start_operator()

    async def states(self) -> dict[str, str]:
        """Give the state of every node by its object's name; empty while the API is away."""
        try:
            objects = await self.api.list_fabric_nodes()
        except CitadelError:
            return {}
        return {o["metadata"]["name"]: o.get("status", {}).get("state", "") for o in objects}

    async def all_online(self, count: int, timeout: float = 60.0) -> None:
        """Wait until that many nodes are Online and no other is there."""
        async with asyncio.timeout(timeout):
            while True:
                states = await self.states()
                if len(states) == count and set(states.values()) == {"Online"}:
                    return
                await asyncio.sleep(0.25)

    async def _stop_charges(self) -> None:
        async with asyncio.TaskGroup() as group:
            for charge in (self.operator, *self.agents.values()):
                if charge.running:
                    group.create_task(charge.kill())


def total(text: str, name: str, *wanted: str) -> float:
    """Sum the samples of a metric in an exposition whose labels hold all the wanted texts."""
    values = [
        float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith((name + "{", name + " ")) and all(w in line for w in wanted)
    ]
    return sum(values)


async def api_writes(rig: Rig) -> float:
    """Give the writes to FabricNodes that the API server has counted."""
    text = (await rig.stack.kube.request("GET", "/metrics"))["message"]
    verbs = ("POST", "PUT", "PATCH", "APPLY", "DELETE")
    return sum(
        total(text, "apiserver_request_total", f'verb="{verb}"', 'resource="fabricnodes"')
        for verb in verbs
    )


def resident_mib(pid: int) -> float:
    """Give the resident memory of a process, MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else float("nan")


def cpu_seconds(pid: int) -> float:
    """Give the processor time that a process has used, seconds; to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def size_of(raw: dict[str, Any]) -> int:
    """Give the bytes of an object's status as compact JSON."""
    return len(json.dumps(raw.get("status", {}), separators=(",", ":")).encode())
