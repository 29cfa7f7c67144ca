"""Simulated GPU nodes: status messages of many nodes from one process.

For fleets larger than a machine can run agents for. The messages are those of a real agent; what
is made up is the load. A node can be steady or changing, silent or speaking.
"""

import asyncio
import math
import uuid
from dataclasses import dataclass, field
from typing import Final

from citadel_k8s import __version__
from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.keys import heartbeat_phase
from citadel_k8s.errors import StreamError
from citadel_k8s.models.codec import encode, format_timestamp
from citadel_k8s.models.wire import (
    AgentInfo,
    NodeInfo,
    NodeStatus,
    ServiceInfo,
    StatusMessage,
    SystemInfo,
)
from citadel_k8s.models.wire_gpu import GpuInfo
from citadel_k8s.stores.entries import StatusStream

GPUS: Final = 8
"""GPUs of a simulated node that is not told otherwise."""

WAVE_SECONDS: Final = 300.0
"""Period of a changing load: UTIL passes all its steps twice within it."""

MODELS: Final = ("llama-3.1-70b-instruct", "qwen2.5-32b", "mixtral-8x7b", "gemma-2-27b")
"""Served names, one per node in turn."""


@dataclass(slots=True)
class SimulatedNode:
    """One node that speaks on the grid.

    Parameters
    ----------
    node_id : str
        Its id.
    number : int
        Makes its load and model differ from its neighbours'.
    changing : bool
        Whether its load moves.
    interval : float
        Seconds between two of its messages.
    gpus : int
        How many it has.
    """

    node_id: str
    number: int
    changing: bool
    interval: float
    gpus: int = GPUS
    boot_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    seq: int = 0
    speaking: bool = True

    def reboot(self) -> None:
        """Begin anew as another process does: a new boot id, counted from 1."""
        self.boot_id = str(uuid.uuid4())
        self.seq = 0

    def message(self, now: float) -> StatusMessage:
        """Give the next message; ``now`` in seconds since the epoch."""
        self.seq += 1
        load = self._load(now)
        status = NodeStatus(
            timestamp=format_timestamp(now, fraction=True),
            node=NodeInfo(name=self.node_id, uptime_seconds=self.seq),
            system=SystemInfo(cpu_percent=10.0, memory_total_gb=512.0, memory_used_gb=64.0),
            gpu=[self._gpu(index, load) for index in range(self.gpus)],
            services=[self._service(load)],
        )
        return StatusMessage(
            timestamp=format_timestamp(now),
            node_id=self.node_id,
            status=status,
            boot_id=self.boot_id,
            seq=self.seq,
            interval_seconds=self.interval,
            agent=AgentInfo(version=__version__),
        )

    def _load(self, now: float) -> float:
        if not self.changing:
            return 0.5
        return 0.5 + 0.45 * math.sin(2 * math.pi * now / WAVE_SECONDS + self.number)

    def _gpu(self, index: int, load: float) -> GpuInfo:
        return GpuInfo(
            index=index,
            name="NVIDIA H100 80GB HBM3",
            uuid=str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.node_id}/{index}")),
            memory_total_mb=81_559,
            memory_used_mb=int(81_559 * (0.2 + 0.7 * load)),
            temperature_celsius=int(35 + 40 * load),
            utilization_percent=round(100 * load, 1),
            power_watts=round(100 + 550 * load, 1),
            driver="570.86.15",
            health="ok",
        )

    def _service(self, load: float) -> ServiceInfo:
        return ServiceInfo(
            name="vllm",
            type="llm",
            engine="vllm",
            status="running",
            health="ok",
            port=8000,
            models=[MODELS[self.number % len(MODELS)]],
            requests_running=round(20 * load),
            requests_waiting=0,
        )


class Fleet:
    """Many simulated nodes on one stream, each at its own place on the grid.

    Parameters
    ----------
    stream : StatusStream
        Where they speak.
    clock : Clock
        Their common clock.
    count : int
        How many.
    interval : float
        Seconds between two messages of a node.
    changing : bool
        Whether their load moves.
    prefix : str
        Start of their ids.
    """

    def __init__(
        self,
        stream: StatusStream,
        clock: Clock,
        count: int,
        *,
        interval: float,
        changing: bool = True,
        prefix: str = "sim",
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._interval = interval
        self.nodes = [
            SimulatedNode(f"{prefix}-{number:05d}", number, changing, interval)
            for number in range(count)
        ]
        self.sent = 0
        self.failures = 0

    async def run(self) -> None:
        """Speak for ever; a message that cannot be sent is lost, as an agent's would be late."""
        await self.announce()
        order = sorted(self.nodes, key=self._phase)
        while True:
            start = self._clock.now() // self._interval * self._interval
            for node in order:
                await self._sleep_until(start + self._phase(node))
                await self._send(node)
            await self._sleep_until(start + self._interval)

    async def announce(self) -> None:
        """Let every node speak once, at once."""
        for node in self.nodes:
            await self._send(node)

    def _phase(self, node: SimulatedNode) -> float:
        return heartbeat_phase(node.node_id, self._interval)

    async def _sleep_until(self, moment: float) -> None:
        delay = moment - self._clock.now()
        if delay > 0:
            await asyncio.sleep(delay)

    async def _send(self, node: SimulatedNode) -> None:
        if not node.speaking:
            return
        payload = encode(node.message(self._clock.now()))
        # Twice: a connection that a restarted server dropped is found out by the first attempt.
        for _ in range(2):
            try:
                await self._stream.append(node.node_id, payload)
            except StreamError:
                self.failures += 1
            else:
                self.sent += 1
                return
