"""An operator that sends configuration to a stream in memory."""

from collections.abc import Collection
from typing import Any

from citadel_k8s.errors import StreamError
from citadel_k8s.operator.configpush import TICK, ConfigPush
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.stores.configsender import ConfigMessage, Sent
from tests.unit.operator.fakes import METRICS, World

AGENT = {"version": "0.1.0"}


class FakeSender:
    """Keeps what Redis keeps."""

    def __init__(self) -> None:
        self.messages: list[ConfigMessage] = []
        self.memory: dict[str, Sent] = {}
        self.loads = 0
        self.down = False

    async def send(self, message: ConfigMessage, at: float) -> None:
        if self.down:
            raise StreamError("away")
        self.messages.append(message)
        self.memory[message.node_id] = Sent(message.revision, at)

    async def load(self) -> dict[str, Sent]:
        self.loads += 1
        if self.down:
            raise StreamError("away")
        return dict(self.memory)

    async def forget(self, node_ids: Collection[str]) -> None:
        for node_id in node_ids:
            del self.memory[node_id]


class Desk:
    """A world with a sender; nodes beat each 10 s and report what they are told to."""

    def __init__(self, sender: FakeSender | None = None) -> None:
        self.world = World()
        self.sender = sender or FakeSender()
        self.leads = True
        self.metrics = METRICS()
        self.push = ConfigPush(
            self.sender,
            self.world.registry,
            self.world.clock,
            self.metrics,
            leads=lambda: self.leads,
            jitter=lambda: 0.0,
        )
        self.reports: dict[str, dict[str, Any] | None] = {}
        self._generation = 1

    def node(self, node_id: str = "gpu-1", config: Any = None, **reports: Any) -> None:
        self.ask(config, node_id)
        self.reports[node_id] = reports or None
        self.beat(node_id)

    def ask(self, config: Any, node_id: str = "gpu-1") -> None:
        """Let a person edit the object."""
        self._generation += 1
        spec = {"nodeId": node_id, **({} if config is None else {"config": config})}
        metadata = {
            "name": node_id,
            "uid": f"uid-{node_id}",
            "resourceVersion": str(self._generation),
            "generation": self._generation,
        }
        self.world.registry.observe({"metadata": metadata, "spec": spec, "status": {}})

    def report(self, node_id: str = "gpu-1", **config: Any) -> None:
        self.reports[node_id] = config or None
        self.beat(node_id)

    def beat(self, node_id: str = "gpu-1") -> None:
        config = self.reports[node_id]
        told = {} if config is None else {"config": config}
        self.world.beat(node_id, envelope={"agent": AGENT}, **told)

    async def pass_time(self, seconds: float, *, beating: bool = True) -> None:
        """Let time pass in ticks, with a beat of each node every 10 s."""
        for tick in range(round(seconds / TICK)):
            self.world.clock.advance(TICK)
            if beating and tick % 10 == 0:
                for node_id in self.reports:
                    self.beat(node_id)
            self.world.silence()
            await self.push.turn()

    @property
    def record(self) -> NodeRecord:
        return self.world.registry.nodes["gpu-1"]

    @property
    def sent(self) -> list[Any]:
        return [message.values for message in self.sender.messages]
