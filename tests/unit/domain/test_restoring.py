"""What is left of a node's life when the operator is another."""

import pytest

from citadel_k8s.domain.absence import noticed
from citadel_k8s.domain.liveness import (
    Beat,
    Goodbye,
    Liveness,
    Phase,
    answering,
    expired,
    rejection,
)
from citadel_k8s.domain.restoring import Past, recalled, restored, resumed
from citadel_k8s.models.fabricnode import NodeState
from tests.unit.domain.voices import FAST, LOST, hear, online, said


def told(state: NodeState, reason: str = "Heartbeat", message: str = "m", **wants) -> Liveness:
    return restored(FAST, 100, state=state, reason=reason, message=message, **wants)


def past(last_beat: float, **kwargs) -> Past:
    return Past(last_beat, **{"boot_id": "a", "seq": 7, "former_boots": ("z",), **kwargs})


@pytest.mark.parametrize(
    ("state", "reason", "phase", "deadline"),
    [
        (NodeState.ONLINE, "Heartbeat", Phase.SPEAKING, 135),
        (NodeState.DEGRADED, "GpuLost", Phase.SPEAKING, 135),
        (NodeState.DEGRADED, "PublishFailing", Phase.ANSWERING, 135),
        (NodeState.OFFLINE, "AgentSilent", Phase.DOWN, None),
        (NodeState.DRAINING, "Terminating", Phase.LEAVING, 220),
        (NodeState.DRAINING, "Maintenance", Phase.DOWN, 101),
        (NodeState.UNKNOWN, "NeverReported", Phase.NEW, 135),
        (NodeState.DECOMMISSIONED, "Decommissioned", Phase.NEW, 135),
        (NodeState.STALE, "WhoWroteThis", Phase.NEW, 135),
    ],
)
def test_a_restored_node_stands_where_its_object_says(state, reason, phase, deadline):
    node = told(state, reason)
    assert (node.phase, node.deadline) == (phase, deadline)


@pytest.mark.parametrize("reason", ["", "no word at all!", "\x00", "x" * 5000, "SomebodysOwn"])
@pytest.mark.parametrize("state", list(NodeState))
def test_a_reason_that_nobody_knows_hurts_nobody(state, reason):
    node = resumed(told(state, reason, "\x00" * 5000), 100)
    assert len(node.reason) <= 64
    assert len(node.message) <= 500
    gone = expired(node, 10_000)
    assert gone.state is NodeState.OFFLINE
    assert hear(hear(gone, 10_010), 10_020).reason == "Heartbeat"


def test_a_restored_fault_takes_two_clean_reports_to_go():
    node = hear(told(NodeState.DEGRADED, "GpuLost"), 101)
    assert said(node) == ("Degraded", "GpuLost")
    assert said(hear(node, 111)) == ("Online", "Heartbeat")


def test_a_restored_fault_of_the_cluster_goes_with_the_clusters_word():
    node = told(NodeState.DEGRADED, "NodeNotReady")
    assert said(noticed(node, 100, ready=False)) == ("Degraded", "NodeNotReady")
    assert said(noticed(node, 100, ready=True)) == ("Online", "Heartbeat")
    assert said(hear(node, 101)) == ("Online", "Heartbeat")


def test_a_restored_double_stays_believed_for_a_while():
    node = hear(told(NodeState.DEGRADED, "DuplicateAgent"), 101)
    assert said(node) == ("Degraded", "DuplicateAgent")


def test_a_dead_node_whose_maintenance_began_meanwhile_is_draining():
    node = resumed(told(NodeState.OFFLINE, "AgentSilent", maintenance=True), 100)
    assert said(node) == ("Draining", "Maintenance")


def test_a_node_in_maintenance_is_no_outage_after_a_restart():
    node = resumed(told(NodeState.DRAINING, "Maintenance", maintenance=True), 100)
    assert (said(node), node.deadline) == (("Draining", "Maintenance"), None)


def test_a_node_whose_maintenance_ended_meanwhile_is_judged():
    node = resumed(told(NodeState.DRAINING, "Maintenance"), 100)
    assert (node.state, node.to_be_judged) == (NodeState.DRAINING, True)
    assert said(expired(node, 101))[0] == "Offline"


def test_a_decommissioned_node_stays_so():
    node = resumed(told(NodeState.DECOMMISSIONED, "Decommissioned", decommission=True), 100)
    assert node.state is NodeState.DECOMMISSIONED
    assert expired(node, 135).silent


# --- with a snapshot


def test_a_node_that_died_before_the_restart_is_found_in_time():
    node = recalled(told(NodeState.ONLINE), past(70), 100)
    assert node.deadline == 105
    assert expired(node, 105).message == "no heartbeat for 35 s"


def test_a_node_that_died_long_before_the_restart_is_found_at_once():
    assert expired(recalled(told(NodeState.ONLINE), past(10), 100), 100).state is NodeState.OFFLINE


def test_what_was_counted_before_the_restart_counts_no_second_time():
    node = recalled(told(NodeState.ONLINE), past(90), 100)
    assert rejection(node, Beat(at=90, boot_id="a", seq=7), 100) == "Replayed"
    assert rejection(node, Beat(at=90, boot_id="z", seq=70), 100) == "FormerBoot"


def test_a_dead_node_stays_so_and_has_to_speak_twice():
    node = recalled(told(NodeState.OFFLINE, "NodeNotReady"), past(50), 100)
    assert (said(node), node.deadline) == (("Offline", "NodeNotReady"), None)
    once = hear(node, 110, seq=8)
    assert once.state is NodeState.OFFLINE
    assert hear(once, 120, seq=9).state is NodeState.ONLINE


def test_an_announced_absence_ends_when_it_would_have():
    leaving = told(NodeState.DRAINING, "Terminating")
    assert recalled(leaving, past(90), 100).deadline == 210
    assert recalled(leaving, past(90, back_by=690), 100).deadline == 690


def test_the_time_given_after_an_outage_is_not_cut_short_by_a_restart():
    node = recalled(told(NodeState.ONLINE), past(70, back_by=115), 100)
    assert node.deadline == 115
    assert hear(node, 112, seq=8).deadline == 112 + 35


def test_no_more_time_than_was_ever_given_comes_of_a_clock_that_was_set():
    assert recalled(told(NodeState.ONLINE), past(70, back_by=3700), 100).deadline == 100 + 35
    assert recalled(told(NodeState.ONLINE), past(70, back_by=20), 100).deadline == 70 + 35


def test_a_node_that_only_answered_is_asked_again():
    node = recalled(told(NodeState.DEGRADED, "PublishFailing"), past(40), 100)
    assert said(answering(node, 101)) == ("Degraded", "PublishFailing")
    assert said(expired(node, 101)) == ("Offline", "AgentSilent")


def test_a_flapping_node_flaps_on():
    node = recalled(told(NodeState.ONLINE), past(90, changes=(10, 20, 30, 80)), 100)
    assert node.flapping
    assert not recalled(told(NodeState.ONLINE), past(90, changes=(10, 20, 30)), 100).flapping


def test_a_moment_in_the_future_is_now():
    assert recalled(told(NodeState.ONLINE), past(500), 100).last_beat == 100


def test_a_restart_of_the_agent_meanwhile_is_believed_at_its_first_word():
    node = recalled(told(NodeState.OFFLINE, "AgentSilent"), past(50), 100)
    assert hear(node, 110, boot="b", seq=1).state is NodeState.ONLINE


def test_a_goodbye_before_the_restart_can_still_turn_out_an_upgrade():
    away = recalled(told(NodeState.DRAINING, "Terminating"), past(90), 100)
    assert away.left_at == 90
    assert hear(online(), 110, goodbye=Goodbye("x"), faults=(LOST,)).left_at == 110
