"""The real reader, registry and scheduler, and a stream with a fleet's encoded messages in it.

The operator's process is made of the real parts in virtual time; what it is restarted from are
objects as the API server has them, written up to two seconds after a change. The fleet and its
troubles are those of the first simulation.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.liveness import Liveness, Policy
from citadel_k8s.domain.pipe import Witnesses
from citadel_k8s.domain.witness import NO_EVIDENCE, Finding
from citadel_k8s.models.codec import encode, format_timestamp
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.canary import Canary
from citadel_k8s.operator.memory import Snapshot
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.pipe import Pipe
from citadel_k8s.operator.reader import READ_BLOCK, READ_PAUSE, Reader
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.registry import Registry
from citadel_k8s.operator.scheduler import TICK, Scheduler
from tests.simulation.agents import BEAT, JUNK, Happening, Life
from tests.simulation.receiver import Change
from tests.simulation.stream import EPOCH, Landing, SimulatedStream
from tests.simulation.tally import Tally
from tests.simulation.traces import conceded, habits, naive_changes
from tests.simulation.truth import Truth
from tests.simulation.virtual import VirtualLoop, run
from tests.simulation.weather import Climate, Closure, Weather, weather
from tests.unit.domain.samples import message

OPENING: Final = 0.9
"""Seconds after its way reopened within which the real reader has read everything: it tries twice
a second."""

CLOCKWORK: Final = 2 * READ_BLOCK + READ_PAUSE + TICK + 0.3
"""Seconds from a deadline to its verdict at most: a read that an entry ends proves its start, so
that a deadline just behind that waits for the next one's end."""

WRITTEN: Final = 2.0
"""Seconds after a change within which its object is written."""

ProofOf = Callable[[Pipe, Clock], Any]
"""Gives what the scheduler takes for the proof; the pipe itself, unless a mutant is made."""


def _itself(pipe: Pipe, clock: Clock) -> Pipe:
    return pipe


class NoEvidence:
    """Nobody can be asked, and nobody else knows: the hardest case."""

    def rest(self, resting: bool) -> None:  # noqa: FBT001 - the protocol's
        """Begin no questions; there are none."""

    def finding(self, record: NodeRecord, now: float) -> Finding:
        """Know nothing."""
        return NO_EVIDENCE

    def pending(self, record: NodeRecord) -> bool:
        """Expect nothing."""
        return False

    def witnesses(self, now: float) -> Witnesses:
        """Know nothing of anybody."""
        return Witnesses()


class LoopClock:
    """The operator's clocks: one follows the loop, the other is set at will."""

    def __init__(self, loop: VirtualLoop, sky: Weather) -> None:
        self._loop, self._sky = loop, sky

    def monotonic(self) -> float:
        """Give the loop's time."""
        return self._loop.moment

    def now(self) -> float:
        """Give the wall clock, wrong by what it was set to last."""
        set_to = [offset for moment, offset in self._sky.wall_jumps if moment <= self._loop.moment]
        return EPOCH + self._loop.moment + (set_to[-1] if set_to else 0.0)


@dataclass(slots=True)
class Operator:
    """One operator after the other, on the same objects and the same stream."""

    sky: Weather
    stream: SimulatedStream
    objects: dict[str, dict[str, Any]]
    random: Random
    proof_of: ProofOf = _itself
    changes: dict[str, list[Change]] = field(default_factory=dict[str, list[Change]])
    collapses: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    _collapsed: bool = False
    _told: dict[str, str] = field(default_factory=dict[str, str])
    _writes: list[asyncio.TimerHandle] = field(default_factory=list[asyncio.TimerHandle])
    _reader: Reader | None = None
    _version: int = 0

    async def run(self, loop: VirtualLoop) -> None:
        """Live through the weather."""
        for closure in self.sky.closures:
            if closure.trouble == "paused":
                loop.call_at(closure.start, self._pause, loop, closure)
        for closure in (c for c in self.sky.closures if c.trouble == "restarted"):
            await self._one_process(loop, closure.start)
            await asyncio.sleep(max(0.0, closure.end - loop.moment))
        await self._one_process(loop, self.sky.end)

    def _pause(self, loop: VirtualLoop, closure: Closure) -> None:
        loop.moment = max(loop.moment, closure.end)

    async def _one_process(self, loop: VirtualLoop, until: float) -> None:
        clock = LoopClock(loop, self.sky)
        metrics = OperatorMetrics()
        registry = Registry(clock, Policy(), None, self._on_transition)
        self._reader = reader = Reader(self.stream, registry, clock, metrics)
        canary = Canary(SimulatedStream(self.sky, []), "one", clock, metrics)
        pipe = Pipe(registry, reader, canary, NoEvidence(), clock=clock, metrics=metrics)
        proof = self.proof_of(pipe, clock)
        scheduler = Scheduler(registry, proof, clock, metrics, pipe.judge)
        snapshot = Snapshot(self.stream, registry, clock, metrics, lambda: True)
        for name, raw in self.objects.items():
            registry.observe(raw)
            self._tell(name, raw["status"].get("state", "Unknown"), loop.moment, told=False)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until), asyncio.TaskGroup() as group:
                group.create_task(scheduler.run())
                await snapshot.load()
                group.create_task(snapshot.run())
                group.create_task(reader.run())
                group.create_task(canary.run())
                group.create_task(self._note_collapses(pipe))
                await reader.first_proof.wait()
                for record in list(registry.nodes.values()):
                    self._note(record)
        for write in self._writes:
            write.cancel()
        self._writes.clear()

    async def _note_collapses(self, pipe: Pipe) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if pipe.collapsed:
                begun = self.collapses.pop()[0] if self._collapsed else loop.time()
                self.collapses.append((begun, loop.time()))
            self._collapsed = pipe.collapsed
            await asyncio.sleep(1.0)

    def _on_transition(self, record: NodeRecord, before: Liveness) -> None:
        if self._reader is not None and self._reader.caught_up:
            self._note(record)

    def _note(self, record: NodeRecord) -> None:
        """Tell a change as the operator does, and write it soon."""
        loop = asyncio.get_running_loop()
        if self._tell(record.node_id, record.live.state.value, loop.time()):
            words = record.live.reason, record.live.message
            delay = WRITTEN * self.random.random()
            writing = loop.call_later(delay, self._write, record.node_id, record.live.state, words)
            self._writes.append(writing)

    def _tell(self, node_id: str, state: str, now: float, *, told: bool = True) -> bool:
        before = self._told.get(node_id, "Unknown")
        if state == before:
            return False
        change = Change(now, NodeState(before), NodeState(state), told=told)
        self.changes.setdefault(node_id, []).append(change)
        self._told[node_id] = state
        return True

    def _write(self, node_id: str, state: str, words: tuple[str, str]) -> None:
        self._version += 1
        raw = self.objects[node_id]
        raw["metadata"]["resourceVersion"] = str(self._version)
        ready = {
            "type": "Ready",
            "status": "Unknown",
            "reason": words[0],
            "message": words[1],
            "lastTransitionTime": format_timestamp(EPOCH),
        }
        raw["status"] = {"state": str(state), "conditions": [ready]}


def landings(lives: list[Life], told: list[list[Happening]], random: Random) -> list[Landing]:
    """Encode what lands; senders' clocks are off by up to an hour, and set now and then."""
    found: list[Landing] = []
    for life, happenings in zip(lives, told, strict=True):
        skew = random.choice((0.0, random.uniform(-3600, 3600)))
        for h in happenings:
            if h.code not in {BEAT, JUNK}:
                continue
            if random.random() < 0.002:
                skew = random.uniform(-3600, 3600)
            found.append(Landing(h.landed, life.name, _payload(life.name, h, skew)))
    return sorted(found, key=lambda landing: landing.landed)


def _payload(name: str, happening: Happening, skew: float) -> bytes:
    envelope: dict[str, Any] = {"timestamp": format_timestamp(EPOCH + happening.landed + skew)}
    if happening.boot is not None:
        envelope |= {
            "bootId": happening.boot,
            "seq": happening.seq,
            "intervalSeconds": happening.interval,
        }
    if happening.goodbye:
        envelope["goodbye"] = {"reason": "terminating"}
    return encode(message(name, envelope=envelope, gpu=[], services=[]))


def _object(number: int, life: Life) -> dict[str, Any]:
    policy = life.habits.policy
    heartbeat = {
        "intervalSeconds": policy.interval,
        "missedHeartbeats": policy.missed,
        "skewSeconds": policy.skew,
    }
    return {
        "metadata": {"name": life.name, "uid": f"uid-{number}", "resourceVersion": "0"},
        "spec": {"nodeId": life.name, "heartbeat": heartbeat},
        "status": {},
    }


def simulate(
    sky: Weather,
    lives: list[Life],
    random: Random,
    tally: Tally,
    *,
    proof_of: ProofOf | None = None,
) -> Operator:
    """Let a fleet live and the operator watch it; count."""
    where = tally.where
    told = [life.live() for life in lives]
    time_from = conceded(sky, told, OPENING + READ_BLOCK)
    stream = SimulatedStream(sky, landings(lives, told, random))
    objects = {life.name: _object(number, life) for number, life in enumerate(lives)}
    operator = Operator(sky, stream, objects, random, proof_of or (_itself))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        await operator.run(loop)

    run(main())
    for life, happenings in zip(lives, told, strict=True):
        tally.where = f"{where}, {life.name}"
        truth = Truth(
            happenings,
            life.habits.policy,
            sky,
            time_from,
            opening=OPENING,
            clockwork=CLOCKWORK,
            shifts=True,
            collapses=operator.collapses,
        )
        truth.judge(operator.changes.get(life.name, []), tally)
        naive = Tally()
        truth.judge(naive_changes(happenings, life.habits.policy, sky), naive)
        tally.naive_false += naive.false
        tally.naive_missed += naive.missed
        tally.count(life, happenings)
    tally.count_weather(sky, len(lives))
    return operator


def whole_fleet(
    seed: int,
    tally: Tally,
    *,
    nodes: int = 12,
    hours: float = 3.0,
    proof_of: ProofOf | None = None,
    climate: Climate | None = None,
) -> None:
    """Simulate one fleet for some hours with the real parts and count."""
    random = Random(seed)
    sky = weather(random, hours * 3600, climate or Climate(60, 40, 60, 10, 10))
    rates = {"crashes": 24, "restarts": 16, "hangs": 8, "cuts": 8, "flapping": 1, "junk": 20}
    lives = [
        Life(f"n{number}", replace(habits(random), **rates), sky, random) for number in range(nodes)
    ]
    tally.where = f"seed {seed}"
    simulate(sky, lives, random, tally, proof_of=proof_of)
