"""The pipe's own pauses and outages, tick by tick."""

import math
from dataclasses import dataclass
from typing import Any

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.domain.pipe import Witnesses
from citadel_k8s.domain.witness import NO_EVIDENCE, Finding
from citadel_k8s.operator.pipe import Pipe
from citadel_k8s.operator.scheduler import Scheduler
from tests.unit.operator.fakes import METRICS, World


@dataclass
class Source:
    clock: ManualClock
    down: bool = False
    proved: float | None = None
    trouble: str | None = None
    forbidden: bool = False

    @property
    def proved_until(self) -> float | None:
        if not self.down:
            self.proved = self.clock.monotonic()
        return self.proved


class Dumb:
    """Knows nothing of anybody."""

    def __init__(self) -> None:
        self.resting = False
        self.known: dict[str, Finding] = {}

    def rest(self, resting: bool) -> None:  # noqa: FBT001
        self.resting = resting

    def finding(self, record: Any, now: float) -> Finding:
        return self.known.get(record.node_id, NO_EVIDENCE)

    def pending(self, record: Any) -> bool:
        return False

    def witnesses(self, now: float) -> Witnesses:
        return Witnesses()


class Rig:
    def __init__(self, nodes: int = 4) -> None:
        self.world = World()
        self.clock = self.world.clock
        self.reader, self.canary = Source(self.clock), Source(self.clock)
        self.evidence = Dumb()
        self.metrics = METRICS()
        registry = self.world.registry
        self.pipe = Pipe(
            registry, self.reader, self.canary, self.evidence,
            clock=self.clock, metrics=self.metrics,
        )  # fmt: skip
        self.scheduler = Scheduler(registry, self.pipe, self.clock, self.metrics, self.pipe.judge)
        self.names = [f"gpu-{n}" for n in range(nodes)]

    def beat(self, *names: str) -> None:
        for name in names or self.names:
            self.world.beat(name)

    def run(self, seconds: float, *speaking: str) -> None:
        """Let time pass, tick by tick; some nodes go on speaking."""
        for step in range(round(seconds * 4)):
            self.clock.advance(0.25)
            if speaking and step % 20 == 0:
                self.beat(*speaking)
            self.scheduler.tick()

    def reason(self) -> str:
        return self.pipe.condition().reason


def test_a_silent_node_is_offline_right_after_its_timeout():
    rig = Rig()
    rig.beat()
    rig.run(34.75, "gpu-1", "gpu-2", "gpu-3")
    assert rig.world.state("gpu-0") == "Online"
    rig.run(0.5, "gpu-1", "gpu-2", "gpu-3")
    assert rig.world.state("gpu-0") == "Offline"


def test_an_operator_that_stood_still_puts_off_what_came_due_meanwhile():
    rig = Rig()
    rig.beat()
    rig.run(20, "gpu-1", "gpu-2", "gpu-3")
    rig.clock.advance(60)  # all stood still, the nodes too
    rig.scheduler.tick()
    assert rig.reason() == "OwnPause"
    assert rig.world.transitions == [(n, "Unknown", "Online") for n in rig.names]
    rig.run(14, "gpu-1", "gpu-2", "gpu-3")
    assert rig.world.state("gpu-0") == "Online"
    rig.run(2, "gpu-1", "gpu-2", "gpu-3")
    assert rig.world.state("gpu-0") == "Offline"
    rig.run(30, "gpu-1", "gpu-2", "gpu-3")
    assert rig.reason() == "Healthy"


def test_a_jump_of_the_date_is_nothing():
    rig = Rig()
    rig.beat()
    for jump in (3600, -7200, 86_400):
        rig.clock.jump(jump)
        rig.run(10, *rig.names)
    assert rig.reason() == "Healthy"
    assert len(rig.world.transitions) == 4


def test_nothing_is_proved_before_the_first_canary_came_back():
    rig = Rig()
    rig.canary.down = True
    rig.beat()
    rig.run(60)
    assert rig.pipe.proved_until is None
    assert rig.world.state("gpu-0") == "Online"
    condition = rig.pipe.condition()
    assert (condition.status, condition.reason) == ("Unknown", "Starting")
    assert math.isnan(rig.metrics.pipe_healthy._value.get())


def test_a_start_without_redis_is_told_as_what_it_is():
    rig = Rig()
    rig.reader.down = rig.canary.down = True
    rig.reader.trouble = rig.canary.trouble = "connection refused"
    rig.run(2)
    condition = rig.pipe.condition()
    assert (condition.status, condition.reason) == ("False", "ReaderDown")
    assert rig.pipe.trouble == "ReaderDown: connection refused"


def test_a_start_is_no_outage():
    rig = Rig()
    rig.reader.down = True
    rig.beat()
    rig.run(3, "gpu-1", "gpu-2", "gpu-3")
    rig.reader.down = False
    rig.run(32.5, "gpu-1", "gpu-2", "gpu-3")
    assert rig.world.state("gpu-0") == "Offline"


def test_questions_rest_while_nobody_can_be_heard_and_for_an_interval_after():
    rig = Rig()
    rig.beat()
    rig.run(5, *rig.names)
    assert not rig.evidence.resting
    rig.reader.down, rig.reader.trouble = True, "refused"
    rig.run(8, *rig.names)
    assert rig.evidence.resting
    assert rig.metrics.pipe_healthy._value.get() == 0
    rig.reader.down, rig.reader.trouble = False, None
    rig.run(8, *rig.names)
    assert rig.evidence.resting
    rig.run(4, *rig.names)
    assert not rig.evidence.resting


def test_without_any_evidence_a_dead_fleet_is_held_and_then_goes_slowly():
    rig = Rig(20)
    rig.beat()
    rig.run(69)
    assert rig.pipe.collapsed
    assert len(rig.world.transitions) == 20
    assert rig.reason() == "ArrivalCollapse"
    assert rig.metrics.collapse._value.get() == 1
    rig.run(62)
    offline = sum(record.live.down for record in rig.world.registry.nodes.values())
    assert 2 <= offline <= 3
    assert rig.pipe.collapsed
    rig.run(600)
    assert all(record.live.down for record in rig.world.registry.nodes.values())
    rig.run(60)
    assert not rig.pipe.collapsed


def test_evidence_that_comes_while_a_node_is_held_counts_within_seconds():
    rig = Rig(20)
    rig.beat()
    rig.run(45)
    rig.evidence.known["gpu-7"] = Finding("dead", "gone")
    rig.run(5)
    assert rig.world.state("gpu-7") == "Offline"
    assert rig.world.registry.nodes["gpu-7"].live.message.endswith("gone")


def test_who_returned_is_no_longer_counted_among_the_fallen():
    rig = Rig(20)
    rig.beat()
    for name in rig.names[:15]:
        rig.evidence.known[name] = Finding("dead", "gone")
    rig.run(40)
    assert len(rig.pipe._fallen) == 15
    rig.run(40, *rig.names)
    assert not rig.pipe.collapsed
    assert rig.pipe._fallen == set()
    assert rig.reason() == "Healthy"


def test_a_node_heard_since_the_way_opened_has_no_grace_when_it_dies_after_that():
    rig = Rig()
    rig.beat()
    slow = {"intervalSeconds": 60, "missedHeartbeats": 1, "skewSeconds": 5}
    for name in ("gpu-0", "gpu-1"):
        rig.world.observe(name, heartbeat=slow)
        rig.world.beat(name, envelope={"intervalSeconds": 60})
    rig.run(20, "gpu-2", "gpu-3")
    rig.reader.down = True
    rig.run(10, "gpu-2", "gpu-3")
    rig.reader.down = False
    rig.run(2, "gpu-2", "gpu-3")
    rig.world.beat("gpu-1", envelope={"intervalSeconds": 60})  # its last word
    rig.run(66, "gpu-2", "gpu-3")
    assert rig.world.state("gpu-1") == "Offline"
    assert rig.world.state("gpu-0") == "Online", "nobody knows yet whether it can be heard"
    rig.run(27, "gpu-2", "gpu-3")
    assert rig.world.state("gpu-0") == "Offline"


def test_a_pause_and_what_the_reader_made_of_it_do_not_add_up():
    rig = Rig()
    rig.beat()
    rig.run(5)
    rig.clock.advance(20)
    rig.world.registry.defer(rig.clock.monotonic())  # the reader woke first
    rig.beat("gpu-1", "gpu-2", "gpu-3")
    rig.run(29.5, "gpu-1", "gpu-2", "gpu-3")  # silent for 54.5 s, of which it stood still for 20
    assert rig.world.state("gpu-0") == "Online"
    rig.run(2, "gpu-1", "gpu-2", "gpu-3")
    assert rig.world.state("gpu-0") == "Offline"
