"""The demo: all parts for real on this machine, with simulated GPUs where it has none.

Valkey, PostgreSQL, etcd, kube-apiserver, the operator (with the rights it has in a cluster, and no
more), the worker, the API, one agent for this machine and some more with pretended GPUs and models.
Every other one of those reports through the API, with a token of its own, as a node far away does.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.domain.keys import node_id_from_name, object_name
from citadel_k8s.domain.liveness import Policy
from citadel_k8s.errors import StackError
from citadel_k8s.local.charge import Charge
from citadel_k8s.local.controlplane import ORG, ControlPlane
from citadel_k8s.local.parts import Parts
from citadel_k8s.local.stack import Stack

POLICY: Final = Policy(interval=10, missed=3, skew=5)
"""The fast profile, so that a failure shows within 35 s; everything runs on one machine."""

FAKE_GPUS: Final = ("h100x8", "a100x4", "l40sx2", "b200x8", "rtx4090x2", "l4x4", "gh200x1")
"""What the simulated nodes pretend to have, in turn."""

BROKEN_GPU: Final = "a100x4!"
"""What the node pretends to have of which one is broken."""

START_TIMEOUT: Final = 30.0
"""Seconds in which a part must be up; the slowest takes about three."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What the demo is made of; ``broken``: one node more, with a GPU that is."""

    nodes: int = 5
    broken: bool = False
    host_agent: bool = True


@dataclass(slots=True)
class DemoNode:
    """One agent of the demo."""

    name: str
    fake_gpu: str | None
    proxied: bool = False
    charge: Charge | None = None

    @property
    def running(self) -> bool:
        """Whether its agent lives."""
        return self.charge is not None and self.charge.running


@dataclass(slots=True)
class Demo:
    """The running demo; an async context manager that leaves nothing behind.

    Parameters
    ----------
    options : Options
        How many nodes.
    report : callable
        Told in one line each what starts.
    """

    options: Options
    report: Report
    clock: Clock = field(default_factory=SystemClock)
    nodes: list[DemoNode] = field(default_factory=list[DemoNode])
    _stack: Stack | None = None
    _api: KubeClient | None = None
    _operator: Charge | None = None
    _control: ControlPlane | None = None
    _exit: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def stack(self) -> Stack:
        """The servers."""
        if self._stack is None:
            raise StackError("the demo does not run")
        return self._stack

    @property
    def api(self) -> KubeClient:
        """A client with all rights."""
        if self._api is None:
            raise StackError("the demo does not run")
        return self._api

    @property
    def parts(self) -> Parts:
        """Where operators and agents come from."""
        return Parts(self.stack, POLICY, ORG)

    @property
    def control(self) -> ControlPlane:
        """Worker, API and database."""
        if self._control is None:
            raise StackError("the demo does not run")
        return self._control

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._exit.aclose()

    async def kill(self, node: DemoNode) -> None:
        """Kill a node's agent as a power failure would: SIGKILL, no goodbye."""
        if node.charge is not None:
            await node.charge.kill()
            node.charge = None

    async def revive(self, node: DemoNode) -> None:
        """Start a node's agent again."""
        if node.running:
            return
        proxy = None
        if node.proxied:
            proxy = (self.control.url, await self.control.token(node.name))
        node.charge = await self.parts.agent(node.name, node.fake_gpu, proxy=proxy)

    async def objects(self) -> list[dict[str, Any]]:
        """Give the FabricNodes as the API server has them."""
        return await self.api.list_fabric_nodes()

    async def kubectl(self, *words: str) -> str:
        """Run kubectl against the demo's API server and give what it prints.

        Raises
        ------
        StackError
            If it fails; with what it said.
        """
        process = await asyncio.create_subprocess_exec(
            str(self.stack.kubectl),
            f"--kubeconfig={self.stack.kubeconfig}",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(START_TIMEOUT):
            out, errors = await process.communicate()
        if process.returncode:
            raise StackError(f"kubectl {' '.join(words)}: {errors.decode().strip()}")
        return out.decode().rstrip()

    def dead_parts(self) -> list[str]:
        """Give the names of parts that ended by themselves, with the end of their logs."""
        parts = {"operator": self._operator} | {n.name: n.charge for n in self.nodes}
        parts |= self.control.charges()
        return [
            f"{name} ended by itself:\n{charge.tail()}"
            for name, charge in parts.items()
            if charge is not None and not charge.running
        ]

    def logs(self) -> str:
        """Give the end of the operator's log, for an error message."""
        return self._operator.tail() if self._operator else ""

    async def _start(self) -> None:
        began = self.clock.monotonic()
        stack = Stack(postgres=True, report=self.report)
        self._stack = await self._exit.enter_async_context(stack)
        self._api = await KubeClient.connect(self._stack.kubeconfig)
        self._exit.push_async_callback(self._api.close)
        self._control = ControlPlane(self._stack, POLICY.interval, POLICY.missed, POLICY.skew)
        self._exit.push_async_callback(self._control.close)
        self._exit.push_async_callback(self._stop_charges)
        await self.parts.install(self._api)
        self._name_nodes()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._start_operator(), name="start operator")
            group.create_task(self._start_control(), name="start control plane")
        took = self.clock.monotonic() - began
        self.report(
            f"operator, worker, API and {len(self.nodes)} agents started, {took:.1f} s in all"
        )

    def _name_nodes(self) -> None:
        if self.options.host_agent:
            self.nodes.append(DemoNode(node_id_from_name(os.uname().nodename), None))
        for number in range(self.options.nodes):
            fake = FAKE_GPUS[number % len(FAKE_GPUS)]
            proxied = number % 2 == 0
            self.nodes.append(DemoNode(f"gpu-node-{number + 1}", fake, proxied))
        if self.options.broken:
            name = f"gpu-node-{self.options.nodes + 1}"
            self.nodes.append(DemoNode(name, BROKEN_GPU))

    async def _start_control(self) -> None:
        direct = [node for node in self.nodes if not node.proxied]
        async with asyncio.TaskGroup() as group:
            group.create_task(self.control.start(), name="start worker and API")
            for node in direct:
                group.create_task(self.revive(node), name=f"start {node.name}")
        async with asyncio.TaskGroup() as group:
            for node in self.nodes:
                group.create_task(self.revive(node), name=f"start {node.name}")

    async def _start_operator(self) -> None:
        self._operator = await self.parts.operator()

    async def _stop_charges(self) -> None:
        charges = [self._operator, *(node.charge for node in self.nodes)]
        async with asyncio.TaskGroup() as group:
            for charge in charges:
                if charge is not None and charge.running:
                    group.create_task(charge.kill(), name=f"end {charge.pid}")


def objects_of(demo: Demo) -> dict[str, DemoNode]:
    """Give the demo's nodes by the names of their objects."""
    return {object_name(node.name): node for node in demo.nodes}
