"""Simulated GPU nodes: status messages of many nodes from one process.

For fleets larger than a machine can run agents for. The messages are those of a real agent; what
is made up is the load. A node can be steady or changing, silent or speaking, and can have a door
of its own at which its health is asked.
"""

import asyncio
import math
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from citadel_k8s import __version__
from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.keys import heartbeat_phase
from citadel_k8s.errors import StreamError
from citadel_k8s.local.doors import Door
from citadel_k8s.local.ports import LOOPBACK
from citadel_k8s.models.codec import decode, format_timestamp
from citadel_k8s.models.wire import StatusMessage
from citadel_k8s.stores.streams import RedisStatusStream

GPUS: Final = 8
"""GPUs of a simulated node that is not told otherwise."""

WAVE_SECONDS: Final = 300.0
"""Period of a changing load: UTIL passes all its steps twice within it."""

MODELS: Final = ("llama-3.1-70b-instruct", "qwen2.5-32b", "mixtral-8x7b", "gemma-2-27b")
"""Served names, one per node in turn."""

SLICE: Final = 0.05
"""Seconds whose messages are sent together: a round trip for seventeen of 10,000 nodes, and no
node is later on the grid than a real one on a busy machine."""

BATCH: Final = 500
"""Messages sent in one round trip at most: 2 MB."""

_HEAD: Final = (
    '{"version":"1.0","timestamp":"%s","nodeId":"%s","status":{"version":"1.0","timestamp":"%s",'
    '"node":{"name":"%s","uptime_seconds":%d},"system":{"cpu_percent":10.0,"cpu_count":96,'
    '"memory_total_gb":512.0,"memory_used_gb":64.0,"disk_percent":33.3,"load_1m":1.5,'
    '"load_5m":2.25,"load_15m":3.0,"kernel":"6.8.0"},"gpu":['
)
"""How a message begins. Text, because making 333 messages a second of models would take a sixth of
a core from what is measured; that it is a message, `SimulatedNode.message` checks."""

_GPU: Final = (
    '{"index":%d,"name":"NVIDIA H100 80GB HBM3","memory_used_mb":%d,"memory_total_mb":81559,'
    '"temperature_celsius":%d,"utilization_percent":%.1f,"driver":"570.86.15","uuid":"%s",'
    '"power_watts":%.1f,"power_limit_watts":700.0,"vendor":"nvidia","pci_bus_id":'
    '"00000000:%02X:00.0","memory_temperature_celsius":61,"clock_sm_mhz":1980,'
    '"clock_memory_mhz":2619,"throttle_reasons":[],"ecc":{"corrected_volatile":3,'
    '"uncorrected_volatile":0},"pcie":{"generation":5,"width":16},"nvlink":{"links":18,"up":18},'
    '"health":"ok"}'
)

_SERVICE: Final = (
    '],"services":[{"name":"vllm","type":"llm","status":"running","port":8000,"health":"ok",'
    '"models":["%s"],"engine":"vllm","requests_running":%d.0,"requests_waiting":0.0}]},'
)

_TAIL: Final = '"bootId":"%s","seq":%d,"intervalSeconds":%s,"agent":{"version":"%s"}'


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
    door: Door | None = None

    def reboot(self) -> None:
        """Begin anew as another process does: a new boot id, counted from 1."""
        self.boot_id = str(uuid.uuid4())
        self.seq = 0

    async def open_door(self) -> None:
        """Answer for its health from now on, on a loopback port that its messages name."""
        self.door = Door(self.node_id, lambda: self.boot_id)
        await self.door.open()

    def die(self) -> None:
        """Fall silent, with the door shut: who knocks is refused."""
        self.speaking = False
        if self.door is not None:
            self.door.shut()

    def message(self, now: float) -> StatusMessage:
        """Give the next message; ``now`` in seconds since the epoch."""
        return decode(self.payload(now))

    def payload(self, now: float) -> bytes:
        """Give the next message as it travels; ``now`` in seconds since the epoch."""
        self.seq += 1
        load = self._load(now)
        date = format_timestamp(now)
        head = _HEAD % (date, self.node_id, date, self.node_id, self.seq)
        gpus = ",".join(self._gpu(index, load) for index in range(self.gpus))
        service = _SERVICE % (MODELS[self.number % len(MODELS)], round(20 * load))
        tail = _TAIL % (self.boot_id, self.seq, float(self.interval), __version__)
        return (head + gpus + service + tail + self._whereabouts() + "}").encode()

    def _whereabouts(self) -> str:
        if self.door is None:
            return ""
        return f',"addresses":["{LOOPBACK}"],"statusPort":{self.door.port}'

    def _load(self, now: float) -> float:
        if not self.changing:
            return 0.5
        return 0.5 + 0.45 * math.sin(2 * math.pi * now / WAVE_SECONDS + self.number)

    def _gpu(self, index: int, load: float) -> str:
        return _GPU % (
            index,
            int(81_559 * (0.2 + 0.7 * load)),
            int(35 + 40 * load),
            100 * load,
            f"GPU-{self.number:08x}-0000-4000-8000-{index:012x}",
            100 + 550 * load,
            index,
        )


class Fleet:
    """Many simulated nodes on one stream, each at its own place on the grid.

    Parameters
    ----------
    stream : RedisStatusStream
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
        stream: RedisStatusStream,
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
        self.heard: dict[str, float] = {}

    async def open_doors(self) -> None:
        """Let every node answer for its health; two sockets each.

        Raises
        ------
        OSError
            If the process may not open so many files.
        """
        for node in self.nodes:
            await node.open_door()

    def remove_doors(self) -> None:
        """Let nobody answer any more, and give the ports back."""
        for node in self.nodes:
            if node.door is not None:
                node.door.remove()
                node.door = None

    async def run(self) -> None:
        """Speak for ever; a message that cannot be sent is lost, as an agent's would be late."""
        await self.announce()
        order = sorted(self.nodes, key=self._phase)
        while True:
            start = self._clock.now() // self._interval * self._interval
            for moment, nodes in self._slices(order):
                await self._sleep_until(start + moment)
                await self._send(nodes)
            await self._sleep_until(start + self._interval)

    async def announce(self) -> None:
        """Let every node speak once, at once."""
        for first in range(0, len(self.nodes), BATCH):
            await self._send(self.nodes[first : first + BATCH])

    def _slices(self, order: Iterable[SimulatedNode]) -> list[tuple[float, list[SimulatedNode]]]:
        slices: dict[int, list[SimulatedNode]] = {}
        for node in order:
            slices.setdefault(math.ceil(self._phase(node) / SLICE), []).append(node)
        return [(number * SLICE, nodes) for number, nodes in slices.items()]

    def _phase(self, node: SimulatedNode) -> float:
        return heartbeat_phase(node.node_id, self._interval)

    async def _sleep_until(self, moment: float) -> None:
        delay = moment - self._clock.now()
        if delay > 0:
            await asyncio.sleep(delay)

    async def _send(self, nodes: Sequence[SimulatedNode]) -> None:
        now = self._clock.now()
        messages = [(node.node_id, node.payload(now)) for node in nodes if node.speaking]
        if not messages:
            return
        # Twice: a connection that a restarted server dropped is found out by the first attempt.
        for _ in range(2):
            try:
                await self._stream.append_all(messages)
            except StreamError:
                self.failures += len(messages)
            else:
                self.sent += len(messages)
                said = self._clock.monotonic()
                self.heard.update((node_id, said) for node_id, _ in messages)
                return
