"""Each change is told once, by an operator that knows enough and leads."""

from dataclasses import replace

import pytest

from citadel_k8s.domain.liveness import Policy, created
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.broadcast import SPARE, Broadcast
from citadel_k8s.operator.records import NodeRecord, ObservedObject

NEW = created(Policy(), 0.0)
ONLINE = replace(NEW, state=NodeState.ONLINE, reason="Heartbeat")
OFFLINE = replace(NEW, state=NodeState.OFFLINE, reason="AgentSilent")


class Stage:
    def __init__(self) -> None:
        self.may = True
        self.told: list[tuple[str, str, str]] = []
        self.broadcast = Broadcast(lambda: self.may, [self._listen])

    def _listen(self, record, before):
        self.told.append((record.node_id, before.state.value, record.live.state.value))


def node(live, written: str | None = None):
    record = NodeRecord("gpu-1", "gpu-1", live)
    if written is not None:
        raw = {"metadata": {"name": "gpu-1"}, "status": {"state": written}}
        record.observed = ObservedObject.parse(raw)
    return record


def test_who_leads_and_knows_tells_at_once():
    stage = Stage()
    stage.broadcast(node(OFFLINE), ONLINE)
    assert stage.told == [("gpu-1", "Online", "Offline")]


@pytest.mark.parametrize("written", [None, "Online"])
def test_what_was_held_back_is_told_when_the_objects_do_not_say_it(written):
    stage = Stage()
    stage.may = False
    record = node(OFFLINE, written)
    stage.broadcast(record, ONLINE)
    assert stage.told == []
    stage.may = True
    stage.broadcast.catch_up({"gpu-1": record})
    stage.broadcast.catch_up({"gpu-1": record})
    assert stage.told == [("gpu-1", "Online", "Offline")]


def test_what_the_object_says_already_was_told_by_whoever_wrote_it():
    stage = Stage()
    stage.may = False
    record = node(OFFLINE, "Offline")
    stage.broadcast(record, ONLINE)
    stage.may = True
    stage.broadcast.catch_up({"gpu-1": record})
    assert stage.told == []


def test_a_change_that_went_back_before_anybody_could_tell_it_is_none():
    stage = Stage()
    stage.may = False
    record = node(OFFLINE)
    stage.broadcast(record, ONLINE)
    record.live = ONLINE
    stage.broadcast(record, OFFLINE)
    stage.may = True
    stage.broadcast.catch_up({"gpu-1": record})
    assert stage.told == []


def test_a_node_that_is_gone_by_then_is_not_told():
    stage = Stage()
    stage.may = False
    stage.broadcast(node(OFFLINE), ONLINE)
    stage.may = True
    stage.broadcast.catch_up({})
    assert stage.told == []


def test_a_listener_that_fails_keeps_nobody_else_from_hearing():
    stage = Stage()

    def fail(record, before):
        raise RuntimeError("out of order")

    stage.broadcast.listeners = [fail, *stage.broadcast.listeners]
    stage.broadcast(node(OFFLINE), ONLINE)
    assert len(stage.told) == 1


def test_an_operator_that_stands_by_for_long_keeps_nothing_of_nodes_that_are_gone():
    stage = Stage()
    stage.may = False
    kept = NodeRecord("gpu-1", "gpu-1", OFFLINE)
    stage.broadcast.nodes = {"gpu-1": kept}
    stage.broadcast(kept, ONLINE)
    for number in range(3 * SPARE):
        stage.broadcast(NodeRecord(f"old-{number}", f"old-{number}", OFFLINE), ONLINE)
        assert len(stage.broadcast._untold) <= SPARE + 1
    stage.may = True
    stage.broadcast.catch_up(stage.broadcast.nodes)
    assert stage.told == [("gpu-1", "Online", "Offline")]
