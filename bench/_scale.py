"""What the benchmarks of large fleets share: objects made beforehand, an operator, its figures."""

import asyncio
import os
import random
import re
import resource
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self

import aiohttp

from bench._rig import CLOCK, cpu_seconds, resident_mib, total
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.domain.liveness import Policy
from citadel_k8s.domain.reconcile import FLEET_DIVISOR, REFRESH_GAP
from citadel_k8s.local.charge import Charge
from citadel_k8s.local.parts import Parts
from citadel_k8s.local.simulate import Fleet, SimulatedNode
from citadel_k8s.local.stack import Stack
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.fabricnode import GROUP, PLURAL, VERSION
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.projector import Projector
from citadel_k8s.operator.registry import Registry
from citadel_k8s.stores.entries import Entry, EntryId
from citadel_k8s.stores.streams import RedisStatusStream

SEEDERS = 12
"""Requests under way at once while objects are made beforehand."""

CHANCE = random.Random(7)  # noqa: S311 - nothing secret
"""Spreads the dates of confirmation."""

STATE = re.compile(r'^citadel_node_state\{node="([^"]+)",state="(\w+)"\} 1', re.MULTILINE)
"""A node's state in the operator's metrics."""

SERVING = re.compile(r'"addresses": ?\[\["127\.0\.0\.1", ?(\d+)\]')
"""Where an operator says on which port it answers."""


@dataclass
class Scale:
    """One stack with a large fleet whose objects are there already, and one operator.

    Parameters
    ----------
    policy : Policy
        Of the fleet and the operator.
    count : int
        Nodes.
    changing : bool
        Whether their load moves.
    doors : bool
        Whether they answer for their health.
    compaction : float or None
        Seconds between compactions of etcd's history.
    """

    policy: Policy
    count: int
    changing: bool = True
    doors: bool = False
    compaction: float | None = None
    stack: Stack = field(init=False)
    api: KubeClient = field(init=False)
    parts: Parts = field(init=False)
    stream: RedisStatusStream = field(init=False)
    fleet: Fleet = field(init=False)
    operator: Charge | None = None
    port: int = 0
    _starts: int = 0
    _http: aiohttp.ClientSession = field(init=False)
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

    async def _start(self) -> None:
        self.stack = Stack(etcd_compaction_interval=self.compaction)
        await self._exit.enter_async_context(self.stack)
        self.api = await KubeClient.connect(self.stack.kubeconfig)
        self._exit.push_async_callback(self.api.close)
        os.environ["CITADEL__PROBE_LOOPBACK"] = "true"  # simulated nodes are on this machine
        self.parts = Parts(self.stack, self.policy)
        await self.parts.install(self.api)
        self.stream = RedisStatusStream(self.stack.redis_url)
        self._exit.push_async_callback(self.stream.close)
        self._exit.push_async_callback(self.stop_operator)
        timeout = aiohttp.ClientTimeout(total=10)
        self._http = await self._exit.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        self.fleet = Fleet(
            self.stream, CLOCK, self.count, interval=self.policy.interval, changing=self.changing
        )
        self._exit.callback(self.fleet.remove_doors)
        if self.doors:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
            await self.fleet.open_doors()

    # --- what runs

    def beside(self, group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> None:
        """Run something until the end."""
        self._background.append(group.create_task(work))

    def end_background(self) -> None:
        """End what runs beside, so that its group can end."""
        for task in self._background:
            task.cancel()

    async def start_operator(self) -> None:
        """Start the operator with the rights that it has in a cluster; wait until it serves."""
        self.operator = await self.parts.operator()
        self._starts += 1
        await until(lambda: len(self._ports()) >= self._starts, timeout=60, pause=0.05)
        self.port = int(self._ports()[-1])

    def _ports(self) -> list[str]:
        operator = self.operator
        return SERVING.findall(operator.log_path.read_text(errors="replace")) if operator else []

    async def stop_operator(self) -> None:
        """End the operator as a cluster does."""
        if self.operator is not None and self.operator.running:
            await self.operator.stop()

    # --- what there is beforehand

    async def seed(self) -> None:
        """Make each node's object as an operator leaves it, confirmed at times spread evenly."""
        gap = max(REFRESH_GAP, self.count / FLEET_DIVISOR)
        waiting = iter(self.fleet.nodes)

        async def work() -> None:
            for node in waiting:
                await _make_object(self.api, node, self.policy, CHANCE.uniform(0, gap))

        async with asyncio.TaskGroup() as group:
            for _ in range(SEEDERS):
                group.create_task(work())

    # --- what it tells

    async def get(self, path: str) -> tuple[int, str]:
        """Ask the operator; status 0 if it does not answer."""
        try:
            async with self._http.get(f"http://127.0.0.1:{self.port}{path}") as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return 0, ""

    async def ready(self, timeout: float = 300) -> None:
        """Wait until the operator says that it is ready."""
        async with asyncio.timeout(timeout):
            while (await self.get("/readyz"))[0] != HTTPStatus.OK:  # noqa: ASYNC110 - elsewhere
                await asyncio.sleep(0.1)

    async def states(self) -> dict[str, str]:
        """Give each node's state as the operator's metrics tell it; empty if it gives none."""
        _, text = await self.get("/metrics")
        found = re.findall(
            r'^citadel_node_state\{node="([^"]+)",state="(\w+)"\} 1', text, re.MULTILINE
        )
        return dict(found)

    async def settled(self, count: int, timeout: float = 300) -> None:
        """Wait until that many nodes are Online by the metrics."""
        async with asyncio.timeout(timeout):
            while list((await self.states()).values()).count("Online") < count:  # noqa: ASYNC110
                await asyncio.sleep(0.5)

    async def writes(self, *kinds: str) -> float:
        """Give the writes that the operator has counted, of all kinds or of those named."""
        _, text = await self.get("/metrics")
        name = "citadel_operator_writes_total"
        if not kinds:
            return total(text, name)
        return sum(total(text, name, f'kind="{kind}"') for kind in kinds)

    @property
    def pid(self) -> int:
        """Process id of the operator."""
        return self.operator.pid if self.operator else 0


@asynccontextmanager
async def naive_operator(scale: Scale) -> AsyncIterator[int]:
    """Run the naive operator beside; gives its process id."""
    kubeconfig = await scale.stack.kube.write_kubeconfig(
        scale.stack.folder / "naive.kubeconfig", "citadel", "citadel-operator"
    )
    env = {**os.environ, "CITADEL__REDIS_URL": scale.stack.redis_url}
    words = (sys.executable, "-m", "bench._naive", str(kubeconfig))
    process = await asyncio.create_subprocess_exec(*words, env=env)
    try:
        yield process.pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(reached: Callable[[], bool], *, timeout: float, pause: float = 0.25) -> bool:
    """Wait for something that another process does; False if it does not happen in time."""
    end = CLOCK.monotonic() + timeout
    while not reached():
        if CLOCK.monotonic() > end:
            return False
        await asyncio.sleep(pause)
    return True


@dataclass
class Load:
    """What the operator used over a time: share of one core, %, MiB, writes per second."""

    share: float
    resident: float
    writes: float


async def load_over(scale: Scale, seconds: float) -> Load:
    """Measure the operator's process."""
    used, began, writes = cpu_seconds(scale.pid), CLOCK.monotonic(), await scale.writes()
    await asyncio.sleep(seconds)
    took = CLOCK.monotonic() - began
    share = (cpu_seconds(scale.pid) - used) / took
    return Load(100 * share, resident_mib(scale.pid), (await scale.writes() - writes) / took)


async def list_seconds(scale: Scale) -> float:
    """Give how long the API server takes to give all objects at once, seconds."""
    kube = scale.stack.kube
    token = await kube.create_token("citadel", "citadel-operator")
    context = ssl.create_default_context(cafile=str(kube.ca))
    path = f"/apis/{GROUP}/{VERSION}/{PLURAL}?resourceVersion=0"
    began = CLOCK.monotonic()
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.request("GET", kube.server + path, headers=headers, ssl=context) as answer:
        data = await answer.read()
    took = CLOCK.monotonic() - began
    if data.count(b'"kind":"FabricNode"') < scale.count:
        raise RuntimeError(f"{answer.status}: not all objects are there")
    return took


@asynccontextmanager
async def speaking(scale: Scale) -> AsyncIterator[asyncio.TaskGroup]:
    """Let the fleet speak and the operator run, until the end of the block."""
    async with asyncio.TaskGroup() as group:
        scale.beside(group, scale.fleet.run())
        await scale.start_operator()
        await scale.ready()
        try:
            yield group
        finally:
            scale.end_background()


async def _make_object(api: KubeClient, node: SimulatedNode, policy: Policy, age: float) -> None:
    """Make a node's object as the operator's own parts make it, confirmed so many seconds ago."""
    registry = Registry(CLOCK, policy, None, lambda _record, _before: None)
    projector = Projector(api, registry, CLOCK, OperatorMetrics())
    now = CLOCK.now()
    registry.hear(Entry(EntryId(int(now * 1000), 0), node.node_id, node.payload(now)), 0.0)
    record = registry.nodes[node.node_id]
    registry.observe(await api.create_fabric_node(projector.body(record)))
    status = projector.desired(record) | {"confirmedTime": format_timestamp(now - age)}
    await api.patch_fabric_node_status(record.name, {"status": status})
