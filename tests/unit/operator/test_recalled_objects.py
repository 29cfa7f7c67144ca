"""Objects of nodes that an operator before this one heard: left alone until there is news."""

import pytest

from citadel_k8s.operator.projector import Projector
from citadel_k8s.operator.records import Memory
from tests.unit.operator.fakes import METRICS, FakeKube, World


def recalled(state: str, reason: str, age: float) -> tuple[World, Projector]:
    world = World()
    condition = {
        "type": "Ready", "status": "True", "reason": reason, "lastTransitionTime": "2026-11-23",
    }  # fmt: skip
    status = {"state": state, "conditions": [condition], "gpus": [{"index": 0, "health": "ok"}]}
    world.observe(status={**status, "confirmedTime": "2026-11-23T08:00:00Z"})
    memory = Memory(1_795_420_000_000, "boot-gpu-1", 5, (), state, reason, 10.0, age)
    world.registry.recall("gpu-1", memory)
    return world, Projector(FakeKube(), world.registry, world.clock, METRICS())


@pytest.mark.parametrize(("state", "reason"), [("Online", "Heartbeat"), ("Degraded", "GpuLost")])
def test_a_living_node_stays_as_it_stands_until_it_is_heard(state, reason):
    world, projector = recalled(state, reason, 5)
    world.clock.advance(20)
    assert projector.due() == []
    world.beat(seq=6)
    world.clock.advance(20)
    assert projector.due() == ["gpu-1"]


def test_a_node_that_fell_silent_meanwhile_is_written():
    world, projector = recalled("Online", "Heartbeat", 34)
    world.wait(1)
    world.clock.advance(20)
    assert projector.due() == ["gpu-1"]


@pytest.mark.parametrize(("back", "state"), [(20, "Offline"), (60, "Draining")])
def test_one_whose_announced_absence_was_over_stays_as_its_object_has_it(back, state):
    world = World()
    world.observe(status={"state": "Offline"})
    ms = 1_795_420_000_000
    left = ("boot-gpu-1", 5, (), "Draining", "Terminating", 10.0, 25.0, ms + back * 1000)
    world.registry.recall("gpu-1", Memory(ms, *left))
    assert world.state() == state


def test_a_node_that_has_long_been_down_is_confirmed_as_ever():
    world, projector = recalled("Offline", "AgentSilent", 5000)
    world.clock.advance(10_000)
    assert projector.due() == ["gpu-1"]
