"""Operators that leave each other what they know, in one place in Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.broadcast import Broadcast
from citadel_k8s.operator.handover import Handover
from citadel_k8s.operator.memory import Snapshot
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.stores.fake import FakeStatusStream
from tests.unit.operator.fakes import World


class WorldClock:
    """The loop's time as both clocks."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        return 1_795_420_800 + asyncio.get_running_loop().time()


class CountingStore(FakeStatusStream):
    def __init__(self, clock) -> None:
        super().__init__(clock)
        self.saves: list[tuple[str, int, int]] = []
        self.reads = 0

    async def save_snapshot(self, name, fields, *, removed=()):
        self.saves.append((name, len(fields), len(removed)))
        return await super().save_snapshot(name, fields, removed=removed)

    async def load_snapshot(self, name):
        self.reads += 1
        return await super().load_snapshot(name)

    def of(self, name: str) -> dict[str, bytes]:
        return self._hashes.get(name, {})


class Operator:
    """Registry, snapshot, handover and broadcast of one operator; the test elects."""

    def __init__(self, store: CountingStore) -> None:
        self.world = World()
        self.world.clock = self.world.registry.clock = WorldClock()
        self.told: list[tuple[str, str, str]] = []
        self.term = 0
        self.led = asyncio.Event()
        self.metrics = OperatorMetrics()
        self.caught_up = asyncio.Event()
        self.snapshot = Snapshot(
            store, self.world.registry, self.world.clock, self.metrics, self.ready
        )
        self.broadcast = Broadcast(self.ready, [self._listen, self.snapshot.note])
        self.world.registry._on_transition = self.broadcast
        self.handover = Handover(
            self,
            self.caught_up,
            self.snapshot.told,
            lambda told: self.broadcast.catch_up(self.world.registry.nodes, told),
        )

    def leads(self) -> bool:
        return self.led.is_set()

    def ready(self) -> bool:
        return self.handover.ready()

    def elect(self) -> None:
        self.term += 1
        self.led.set()
        self.handover.begin()

    def depose(self) -> None:
        self.led.clear()

    def beat(self, *nodes: str) -> None:
        for node in nodes:
            self.world.beat(node)

    def move(self, node: str, state: NodeState, reason: str) -> None:
        """Let a node be in a state, as a heartbeat or silence would."""
        record = self.world.registry.nodes[node]
        before = record.live
        record.live = replace(before, state=state, reason=reason)
        self.broadcast(record, before)

    def _listen(self, record, before) -> None:
        self.told.append((record.node_id, before.state.value, record.live.state.value))


@asynccontextmanager
async def running(*operators: Operator) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(o.snapshot.run()) for o in operators]
        tasks += [group.create_task(o.handover.run()) for o in operators]
        yield
        for task in tasks:
            task.cancel()


def leader(store: CountingStore) -> Operator:
    operator = Operator(store)
    operator.caught_up.set()
    operator.elect()
    return operator
