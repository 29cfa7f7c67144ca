"""A fleet in virtual time, with a way to the operator that can break at either end."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from citadel_k8s.domain.witness import Answer, Outcome
from citadel_k8s.operator.evidence import Evidence
from citadel_k8s.operator.pipe import Pipe
from citadel_k8s.operator.scheduler import Scheduler
from tests.unit.operator.fakes import METRICS, World

INTERVAL = 10.0
T_FAILURE = 35.0


class LoopClock:
    """The loop's time, and ``stood`` seconds in which this process stood still."""

    def __init__(self) -> None:
        self.stood = 0.0

    def monotonic(self) -> float:
        return 1000.0 + self.stood + asyncio.get_running_loop().time()

    def now(self) -> float:
        return 1_795_420_800 + self.stood + asyncio.get_running_loop().time()


@dataclass
class Source:
    """A reader, or a canary."""

    clock: LoopClock
    down_since: float | None = None
    trouble: str | None = None
    forbidden: bool = False

    @property
    def proved_until(self) -> float | None:
        return self.clock.monotonic() if self.down_since is None else self.down_since

    def fail(self, trouble: str = "down") -> None:
        self.down_since, self.trouble = self.clock.monotonic(), trouble

    def recover(self) -> None:
        self.down_since = self.trouble = None


class Doors:
    """What each address answers: the node behind it unless told otherwise."""

    def __init__(self) -> None:
        self.nodes: dict[str, str] = {}
        self.broken: dict[str, Outcome] = {}
        self.asked: Counter[str] = Counter()
        self.open = self.most = 0
        self.closed = False

    async def ask(self, address: str, port: int, *, hurried: bool = False) -> Answer:
        assert port == 8080
        self.asked[address] += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            return await self._answer(address, hurried=hurried)
        finally:
            self.open -= 1

    async def _answer(self, address: str, *, hurried: bool) -> Answer:
        outcome = self.broken.get(address)
        if outcome is Outcome.TIMED_OUT:
            await asyncio.sleep(1.5 if hurried else 3.0)
        await asyncio.sleep(0.005)
        if outcome is Outcome.SOMEBODY_ELSE:
            return Answer(Outcome.UNPROVED, f"{address} answers 200", "another", "b")
        if outcome is not None:
            return Answer(outcome, f"{address} {outcome}")
        return Answer(Outcome.UNPROVED, f"{address} answers 200", self.nodes[address], "b")

    async def close(self) -> None:
        self.closed = True


class NoLeases:
    async def get_lease(self, *_: Any, **__: Any) -> None:
        return None

    async def request(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {}


class Fleet:
    """Nodes that beat each ten seconds, spread over the interval."""

    def __init__(self, count: int, api: Any = None, at_once: int = 256) -> None:
        self.clock = LoopClock()
        self.world = World()
        self.world.clock = self.world.registry.clock = self.clock  # type: ignore[assignment]
        self.registry = self.world.registry
        self.metrics = METRICS()
        self.doors = Doors()
        self.reader, self.canary = Source(self.clock), Source(self.clock)
        self.evidence = Evidence(
            self.registry, self.doors, api or NoLeases(), self.clock, self.metrics,
            at_once=at_once,
        )  # fmt: skip
        self.pipe = Pipe(
            self.registry, self.reader, self.canary, self.evidence,
            clock=self.clock, metrics=self.metrics,
        )  # fmt: skip
        self.scheduler = Scheduler(
            self.registry, self.pipe, self.clock, self.metrics, self.pipe.judge
        )
        self.names = [f"gpu-{number}" for number in range(count)]
        self.addresses = {
            name: f"10.0.{number // 250}.{number % 250 + 1}"
            for number, name in enumerate(self.names)
        }
        self.doors.nodes = {address: name for name, address in self.addresses.items()}
        self.silent: set[str] = set()
        self.offline_at: dict[str, float] = {}
        self.heard_at: dict[str, float] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Fleet"]:
        async with asyncio.TaskGroup() as group:
            parts = [self.evidence.run(), self.scheduler.run(), self._beats(), self._watch()]
            tasks = [group.create_task(part) for part in parts]
            await asyncio.sleep(3 * INTERVAL)
            assert self.states() == {"Online": len(self.names)}
            self.world.transitions.clear()
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()

    def fall_silent(self, names: Iterable[str], outcome: Outcome | None = None) -> None:
        """Let nodes say no more, and their doors be so from now on."""
        for name in names:
            self.silent.add(name)
            if outcome is not None:
                self.doors.broken[self.addresses[name]] = outcome

    def states(self) -> dict[str, int]:
        return dict(Counter(r.live.state.value for r in self.registry.nodes.values()))

    def delays(self) -> list[float]:
        """Give by how much each Offline was later than the node's failure timeout."""
        return [moment - self.heard_at[n] - T_FAILURE for n, moment in self.offline_at.items()]

    async def until(self, condition: Callable[[], Any], seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - many things are waited for
                await asyncio.sleep(0.25)

    async def _beats(self) -> None:
        step = INTERVAL / len(self.names)
        began, turn = self.clock.monotonic(), 0
        while True:
            name = self.names[turn % len(self.names)]
            if name not in self.silent:
                envelope = {"addresses": [self.addresses[name]], "statusPort": 8080}
                self.world.beat(name, boot="b", envelope=envelope)
                self.heard_at[name] = self.clock.monotonic()
            turn += 1
            await asyncio.sleep(max(0.0, began + turn * step - self.clock.monotonic()))

    async def _watch(self) -> None:
        while True:
            for name, record in self.registry.nodes.items():
                if record.live.down:
                    self.offline_at.setdefault(name, self.clock.monotonic())
                else:
                    self.offline_at.pop(name, None)
            await asyncio.sleep(0.25)
