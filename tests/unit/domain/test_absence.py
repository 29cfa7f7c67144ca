"""What people and the cluster say of a node."""

from citadel_k8s.domain.absence import (
    REJUDGE_SECONDS,
    drained,
    governed,
    instructed,
    noticed,
    upgraded,
)
from citadel_k8s.domain.liveness import (
    Goodbye,
    Liveness,
    Policy,
    answering,
    created,
    deferred,
    expired,
)
from citadel_k8s.models.fabricnode import NodeState
from tests.unit.domain.voices import FAST, LOST, hear, online, said


def asked(node: Liveness, now: float, *, maintenance=False, decommission=False) -> Liveness:
    return instructed(node, maintenance=maintenance, decommission=decommission, now=now)


def away(**kwargs) -> Liveness:
    return hear(online(100), 110, goodbye=Goodbye("terminating"), **kwargs)


# --- maintenance


def test_a_node_that_speaks_is_online_in_maintenance_too():
    node = asked(online(), 101, maintenance=True)
    assert (node.state, node.maintenance) == (NodeState.ONLINE, True)
    assert hear(node, 110, faults=(LOST,)).state is NodeState.DEGRADED


def test_a_node_that_falls_silent_in_maintenance_is_draining_and_not_offline():
    gone = expired(asked(online(100), 101, maintenance=True), 135)
    assert said(gone) == ("Draining", "Maintenance")
    assert gone.silent
    assert gone.down


def test_maintenance_of_a_dead_node_makes_its_outage_one_that_is_known():
    gone = asked(expired(online(100), 135), 500, maintenance=True)
    assert (said(gone), gone.since) == (("Draining", "Maintenance"), 500)


def test_a_goodbye_that_expires_in_maintenance_is_no_outage():
    gone = expired(asked(away(), 111, maintenance=True), 230)
    assert said(gone) == ("Draining", "Maintenance")


def test_a_node_never_heard_of_in_maintenance_is_no_outage():
    assert said(expired(asked(created(FAST, 0), 1, maintenance=True), 35))[1] == "Maintenance"


def test_a_silent_node_is_judged_when_maintenance_ends_and_not_before_it_was_asked():
    gone = expired(asked(online(100), 101, maintenance=True), 135)
    over = asked(gone, 500)
    assert (over.state, over.to_be_judged) == (NodeState.DRAINING, True)
    assert over.deadline == 500 + REJUDGE_SECONDS
    assert said(expired(over, 501)) == ("Offline", "AgentSilent")
    assert said(answering(over, 501)) == ("Degraded", "PublishFailing")


def test_a_node_whose_maintenance_ends_between_two_words_is_where_it_would_be():
    node = asked(online(100), 101, maintenance=True)
    assert asked(node, 120).deadline == 135
    assert asked(node, 120).state is NodeState.ONLINE


def test_a_node_comes_back_from_maintenance_as_from_an_outage():
    gone = expired(asked(online(100), 101, maintenance=True), 135)
    once = hear(gone, 300)
    assert once.state is NodeState.DRAINING
    assert hear(once, 310).state is NodeState.ONLINE
    assert hear(gone, 300, boot="b", seq=1).state is NodeState.ONLINE


# --- decommission


def test_a_decommissioned_node_is_so_whether_it_speaks_or_not():
    node = asked(online(100), 101, decommission=True)
    assert said(node) == ("Decommissioned", "Decommissioned")
    assert node.fresh
    node = hear(node, 110, faults=(LOST,))
    assert (node.state, node.silent) == (NodeState.DECOMMISSIONED, False)
    gone = expired(node, 145)
    assert (gone.state, gone.silent) == (NodeState.DECOMMISSIONED, True)


def test_a_decommissioned_node_that_speaks_again_is_not_silent():
    gone = expired(asked(online(100), 101, decommission=True), 135)
    assert not hear(gone, 140).silent


def test_a_node_taken_back_into_service_is_where_it_would_be():
    node = hear(asked(online(100), 101, decommission=True), 110, faults=(LOST,))
    assert said(asked(node, 115)) == ("Degraded", "GpuLost")
    gone = asked(expired(node, 145), 150)
    assert gone.to_be_judged
    assert said(expired(gone, 151)) == ("Offline", "AgentSilent")


def test_a_decommissioned_node_in_maintenance_is_decommissioned():
    gone = asked(expired(online(100), 135), 140, maintenance=True)
    both = asked(gone, 150, maintenance=True, decommission=True)
    assert both.state is NodeState.DECOMMISSIONED
    kept = asked(both, 160, decommission=True)
    assert (kept.state, kept.silent) == (NodeState.DECOMMISSIONED, True)


def test_what_people_want_is_no_unrest():
    node = online(100)
    for now in range(110, 150, 2):
        node = asked(asked(node, now, decommission=True), now + 1)
    assert (node.changes, node.flapping) == ((), False)


# --- the policy


def test_a_shorter_timeout_counts_for_the_silence_so_far():
    node = governed(online(100), Policy(interval=5, missed=1, skew=0))
    assert node.deadline == 105
    assert expired(node, 120).reason == "AgentSilent"


def test_a_longer_timeout_gives_the_silent_more_time():
    assert governed(online(100), Policy()).deadline == 200
    assert governed(created(FAST, 50), Policy()).deadline == 150


def test_another_policy_moves_no_announced_absence_and_no_question():
    assert governed(away(), Policy()).deadline == away().deadline
    assert governed(answering(online(100), 135), Policy()).deadline == 145


def test_a_shorter_timeout_does_not_hasten_a_verdict_while_the_pipe_is_closed():
    held = deferred(online(100), 180)
    assert governed(held, Policy(interval=5, missed=1, skew=0)).deadline == 180


def test_another_policy_brings_no_dead_node_back():
    gone = governed(expired(online(100), 135), Policy())
    assert (gone.state, gone.deadline, gone.policy) == (NodeState.OFFLINE, None, Policy())


# --- the cluster's word


def test_a_node_that_speaks_while_its_node_is_not_ready_is_degraded_at_once():
    node = noticed(online(), 105, ready=False)
    assert said(node) == ("Degraded", "NodeNotReady")
    node = hear(node, 110)
    assert said(node) == ("Degraded", "NodeNotReady")


def test_a_ready_node_is_online_at_once():
    node = hear(noticed(online(), 105, ready=False), 110)
    assert said(noticed(node, 115, ready=True)) == ("Online", "Heartbeat")
    assert noticed(node, 115, ready=None).state is NodeState.ONLINE


def test_a_fault_of_the_nodes_own_outlives_the_clusters():
    node = hear(noticed(online(), 105, ready=False), 110, faults=(LOST,))
    assert (node.reason, node.message) == ("GpuLost", "GPU 3: GpuLost (and 1 more)")
    assert said(noticed(node, 115, ready=True)) == ("Degraded", "GpuLost")


def test_what_the_cluster_says_of_a_silent_node_changes_nothing_yet():
    gone = noticed(expired(online(100), 135), 140, ready=False)
    assert said(gone) == ("Offline", "AgentSilent")
    back = hear(hear(gone, 150), 160)
    assert said(back) == ("Degraded", "NodeNotReady")


# --- why it left


def test_a_leaving_agent_on_a_cordoned_node_is_being_drained():
    node = drained(away(), 111)
    assert said(node) == ("Draining", "Drain")
    assert "terminating" in node.message
    assert (node.since, node.deadline) == (110, 230)


def test_who_said_why_it_leaves_is_believed():
    node = hear(online(100), 110, goodbye=Goodbye("shutdown"))
    assert drained(node, 111) is node
    assert drained(online(), 111).state is NodeState.ONLINE


def test_another_version_soon_after_a_goodbye_makes_it_an_upgrade():
    node = upgraded(away(), "1.0", "1.1", 150)
    assert (node.reason, node.message) == ("Upgrade", "agent 1.1 comes after 1.0")


def test_the_same_version_or_a_late_or_unknown_one_makes_no_upgrade():
    for before, after, now in (
        ("1.0", "1.0", 150),
        ("1.0", "1.1", 231),
        (None, "1.1", 150),
        ("1.0", None, 150),
    ):
        assert upgraded(away(), before, after, now).reason == "Terminating"
    assert upgraded(online(), "1.0", "1.1", 101).reason == "Heartbeat"
