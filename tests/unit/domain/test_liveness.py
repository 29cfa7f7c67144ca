"""The life of one node, told in heartbeats."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citadel_k8s.domain.liveness import (
    Beat,
    Goodbye,
    Policy,
    answering,
    beaten,
    created,
    deferred,
    expired,
    postponed,
    rejection,
)
from citadel_k8s.domain.restoring import restored
from citadel_k8s.models.fabricnode import NodeState
from tests.unit.domain.voices import FAST, FULL, LOST, hear, online, said


def test_the_default_timeout_is_a_hundred_seconds():
    assert Policy().timeout == 100


def test_a_new_node_is_unknown_and_the_first_heartbeat_brings_it_online():
    node = created(FAST, 0)
    assert node.state is NodeState.UNKNOWN
    assert hear(node, 3).state is NodeState.ONLINE


def test_a_node_that_never_speaks_is_offline_after_one_timeout():
    node = created(FAST, 0)
    assert expired(node, 34.9).state is NodeState.UNKNOWN
    gone = expired(node, 35)
    assert (gone.state, gone.reason) == (NodeState.OFFLINE, "NeverReported")


def test_silence_counts_exactly_at_the_timeout():
    node = online(100)
    assert expired(node, 134.9).state is NodeState.ONLINE
    gone = expired(node, 135)
    assert (gone.state, gone.reason, gone.deadline) == (NodeState.OFFLINE, "AgentSilent", None)


def test_time_spent_in_the_pipe_counts_as_silence():
    node = hear(created(FAST, 0), 100, age=20)
    assert node.deadline == 80 + FAST.timeout


def test_a_restarted_agent_is_back_at_its_first_word():
    gone = expired(online(100), 200)
    assert hear(gone, 201, boot="b", seq=1).state is NodeState.ONLINE


def test_a_node_that_did_not_restart_has_to_speak_twice_to_come_back():
    gone = expired(online(100), 200)
    once = hear(gone, 201)
    assert once.state is NodeState.OFFLINE
    assert hear(once, 211).state is NodeState.ONLINE


def test_two_words_too_far_apart_do_not_bring_a_node_back():
    once = hear(expired(online(100), 200), 201)
    assert hear(once, 201 + FAST.stale_after + 1).state is NodeState.OFFLINE


def test_a_node_without_boot_ids_comes_back_after_two_heartbeats():
    node = hear(created(FAST, 0), 1, boot=None)
    gone = expired(node, 100)
    assert gone.state is NodeState.OFFLINE
    once = hear(gone, 101, boot=None)
    assert once.state is NodeState.OFFLINE
    assert hear(once, 111, boot=None).state is NodeState.ONLINE


def test_old_news_from_the_backlog_does_not_bring_a_node_back():
    gone = restored(FAST, 100, state=NodeState.OFFLINE, reason="AgentSilent", message="")
    heard = hear(gone, 100, age=60)
    assert heard.state is NodeState.OFFLINE
    assert heard.deadline is None
    assert heard.age(100) == 60


def test_old_news_of_a_new_node_lets_its_silence_count_from_then():
    node = hear(created(FAST, 100), 100, age=60)
    assert node.state is NodeState.UNKNOWN
    assert expired(node, 100).reason == "AgentSilent"


@pytest.mark.parametrize(
    ("boot", "seq", "why"),
    [("a", 100, "Replayed"), ("a", 99, "Replayed"), ("a", 101, None), ("b", 1, None)],
)
def test_duplicates_and_replays_are_refused(boot, seq, why):
    node = online(100)
    assert rejection(node, Beat(at=101, boot_id=boot, seq=seq), 101) == why


def test_a_refused_message_does_not_keep_a_node_alive():
    node = online(100)
    assert beaten(node, Beat(at=130, boot_id="a", seq=100), 130).deadline == 135


def test_a_definite_fault_counts_at_once():
    node = hear(online(), 110, faults=(LOST,))
    assert (node.state, node.reason) == (NodeState.DEGRADED, "GpuLost")


def test_a_soft_fault_counts_when_it_is_repeated():
    once = hear(online(), 110, faults=(FULL,))
    assert once.state is NodeState.ONLINE
    twice = hear(once, 120, faults=(FULL,))
    assert (twice.state, twice.reason) == (NodeState.DEGRADED, "DiskFull")


def test_a_soft_fault_that_comes_and_goes_is_not_believed():
    node = hear(online(), 110, faults=(FULL,))
    node = hear(node, 120)
    assert hear(node, 130, faults=(FULL,)).state is NodeState.ONLINE


def test_two_clean_reports_end_a_degradation():
    node = hear(online(), 110, faults=(LOST,))
    node = hear(node, 120)
    assert node.state is NodeState.DEGRADED
    assert hear(node, 130).state is NodeState.ONLINE


def test_a_degraded_node_that_falls_silent_is_offline():
    node = hear(online(), 110, faults=(LOST,))
    assert expired(node, 145).state is NodeState.OFFLINE


def test_a_goodbye_makes_a_node_draining_and_its_expiry_offline():
    node = hear(online(), 110, goodbye=Goodbye("terminating"))
    assert (node.state, node.reason) == (NodeState.DRAINING, "Terminating")
    assert expired(node, 110 + 119).state is NodeState.DRAINING
    gone = expired(node, 110 + 120)
    assert (gone.state, gone.reason) == (NodeState.OFFLINE, "GoodbyeExpired")


def test_an_announced_absence_has_a_limit():
    node = hear(online(100), 110, goodbye=Goodbye("upgrade", expected_back=9999))
    assert node.deadline == 110 + 600


def test_a_node_that_said_goodbye_and_comes_back_is_online():
    node = hear(online(), 110, goodbye=Goodbye("upgrade", expected_back=60))
    assert hear(node, 130, boot="b", seq=1).state is NodeState.ONLINE


def test_a_goodbye_reason_becomes_a_condition_reason():
    node = hear(online(), 110, goodbye=Goodbye("host-shutdown now!"))
    assert node.reason == "HostShutdownNow"


def test_a_node_sets_its_own_pace_within_bounds():
    assert hear(created(FAST, 0), 1, interval=60).policy.timeout == 185
    assert hear(created(FAST, 0), 1, interval=0.001).policy.interval == 5
    assert hear(created(FAST, 0), 1, interval=1e9).policy.interval == 300


def test_a_closed_pipe_defers_and_never_hastens():
    node = online(100)
    assert deferred(node, 150).deadline == 150
    assert deferred(node, 120).deadline == 135
    gone = expired(node, 135)
    assert deferred(gone, 500).deadline is None


def test_a_restored_node_keeps_its_state_for_a_full_timeout():
    node = restored(FAST, 100, state=NodeState.DEGRADED, reason="GpuLost", message="")
    assert (node.state, node.deadline) == (NodeState.DEGRADED, 135)
    assert expired(node, 135).reason == "NeverReported"


def test_a_node_restored_as_offline_stays_so_until_it_speaks():
    node = restored(FAST, 100, state=NodeState.OFFLINE, reason="AgentSilent", message="")
    assert expired(node, 10_000).state is NodeState.OFFLINE
    assert hear(node, 200).state is NodeState.ONLINE


def test_a_node_knows_when_it_is_stale():
    node = online(100)
    assert not node.is_stale(115)
    assert node.is_stale(115.1)
    assert created(FAST, 0).is_stale(0)


def test_only_a_change_of_state_moves_its_date():
    node = hear(online(100), 110, faults=(LOST,))
    later = hear(node, 120, faults=(replace(LOST, reason="XidFatal"),))
    assert (later.reason, later.since) == ("XidFatal", 110)


@settings(max_examples=200, deadline=None)
@given(
    delays=st.lists(st.floats(0, 4), min_size=40, max_size=40),
    lost=st.sets(st.integers(0, 39), max_size=12),
    skewed=st.floats(-3600, 3600),
)
def test_a_node_that_speaks_is_never_offline_whatever_the_network_does(delays, lost, skewed):
    """Up to two messages in a row lost, delays under the skew, any sender's clock."""
    del skewed  # a sender's clock is not even an argument
    node = created(FAST, 0)
    arrivals = sorted(
        (i * 10.0 + delay, i) for i, delay in enumerate(delays) if not _third_in_a_row(i, lost)
    )
    for arrival, number in arrivals:
        assert expired(node, arrival).state is not NodeState.OFFLINE
        node = beaten(node, Beat(at=arrival, boot_id="a", seq=number + 1), arrival)
        assert node.state is NodeState.ONLINE


def _third_in_a_row(number: int, lost: set[int]) -> bool:
    if number not in lost:
        return False
    return not (number - 1 in lost and number - 2 in lost)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 60), st.sampled_from(["beat", "wait", "goodbye"]))))
def test_a_silent_node_is_always_found(story):
    now, node = 0.0, created(FAST, 0)
    for seq, (pause, event) in enumerate(story, start=1):
        now += pause
        node = expired(node, now)
        if event != "wait":
            goodbye = Goodbye("stop") if event == "goodbye" else None
            node = beaten(node, Beat(at=now, boot_id="a", seq=seq, goodbye=goodbye), now)
    assert expired(node, now + 601).state is NodeState.OFFLINE


def test_a_reason_that_somebody_wrote_into_an_online_nodes_object_does_not_stay():
    node = restored(FAST, 100, state=NodeState.ONLINE, reason="Because", message="I say so")
    node = beaten(node, Beat(at=101, boot_id="a", seq=1), 101)
    assert (node.reason, node.message) == ("Heartbeat", "reports on time")


def test_a_silent_node_that_answers_is_degraded_and_not_fresh():
    node = answering(online(100), 135)
    assert said(node) == ("Degraded", "PublishFailing")
    assert (node.fresh, node.answers, node.deadline) == (False, True, 145)


def test_a_node_that_answers_no_more_has_no_second_timeout():
    node = answering(online(100), 135)
    assert expired(node, 144.9) is node
    gone = expired(node, 145)
    assert said(gone) == ("Offline", "AgentSilent")
    assert gone.message == "no heartbeat for 45 s"


def test_a_node_that_answers_is_online_again_at_its_first_word():
    node = hear(answering(online(100), 135), 140)
    assert said(node) == ("Online", "Heartbeat")
    assert (node.fresh, node.deadline) == (True, 175)


def test_old_news_is_no_reason_to_ask_a_node_that_answers_any_sooner_or_to_believe_it():
    node = hear(answering(online(100), 160), 165, age=60)
    assert said(node) == ("Degraded", "PublishFailing")
    assert (node.last_beat, node.deadline) == (105, 170)


def test_evidence_gives_an_outage_its_reason():
    gone = expired(online(100), 135, reason="NodeNotReady", message="its Node is not Ready")
    assert (gone.reason, gone.message) == ("NodeNotReady", "its Node is not Ready")


def test_an_outage_keeps_its_reason_when_a_straggler_changed_nothing():
    gone = expired(online(100), 135, reason="NodeNotReady", message="its Node is not Ready")
    still = expired(hear(gone, 136, seq=101), 171)
    assert said(still) == ("Offline", "NodeNotReady")
    assert (still.since, still.silent) == (135, True)


def test_old_news_does_not_take_a_held_node_out_of_the_judges_hand():
    held = deferred(online(100), 180)
    heard = hear(held, 150, age=40)
    assert heard.deadline == 180
    assert expired(heard, 179.9).state is NodeState.ONLINE


def test_a_fresh_word_ends_a_deferral():
    slow = created(Policy(interval=300, missed=3, skew=10), 0)
    slow = deferred(hear(slow, 1, seq=1), 2000)
    assert hear(slow, 100, seq=2, interval=10).deadline == 100 + 40


def test_a_pause_of_the_listener_lengthens_a_wait_and_nothing_after_it():
    away = hear(online(100), 110, goodbye=Goodbye("upgrade", expected_back=600))
    away = postponed(away, 20)
    assert away.deadline == 730
    assert hear(away, 140, boot="b", seq=1).deadline == 140 + 35
    assert postponed(expired(away, 730), 20).deadline is None


def test_a_pause_adds_nothing_to_what_was_deferred_since_the_listener_woke():
    deferred_since = deferred(online(100), 137 + 15)
    late = postponed(deferred_since, 37, woke=135)
    assert (late.deadline, late.not_before) == (100 + 35 + 37, 137 + 15)
    assert postponed(deferred_since, 37, woke=138).deadline == 137 + 15 + 37


def test_a_wait_that_was_deferred_since_the_listener_woke_stays_as_long_as_that():
    away = hear(online(100), 110, goodbye=Goodbye("upgrade", expected_back=20))
    away = postponed(deferred(away, 150 + 15), 30, woke=149)
    assert away.deadline == 150 + 15


def test_an_old_goodbye_does_not_make_a_dead_node_a_leaving_one():
    gone = expired(online(100), 200)
    heard = hear(gone, 300, age=150, seq=101, goodbye=Goodbye("terminating"))
    assert (heard.state, heard.deadline) == (NodeState.OFFLINE, None)


def test_a_goodbye_of_a_node_that_was_given_up_counts():
    """It could not publish for long, and at last could."""
    gone = expired(online(100), 200)
    assert hear(gone, 210, goodbye=Goodbye("terminating")).state is NodeState.DRAINING


def test_a_straggler_from_before_the_goodbye_does_not_bring_a_node_back():
    away = hear(online(100), 110, goodbye=Goodbye("terminating"))
    assert rejection(away, Beat(at=111, boot_id="a", seq=109), 111) == "Replayed"
    restarted = hear(away, 120, boot="b", seq=1)
    assert rejection(restarted, Beat(at=121, boot_id="a", seq=110), 121) == "Replayed"
    assert rejection(restarted, Beat(at=121, boot_id="a", seq=111), 121) == "FormerBoot"


def test_nobody_speaks_in_the_future():
    node = beaten(online(100), Beat(at=5000, boot_id="a", seq=101), 110)
    assert (node.last_beat, node.deadline) == (110, 145)


def test_an_id_that_lags_behind_makes_no_node_younger_than_it_was():
    node = hear(online(100), 110)
    assert hear(node, 120, age=30).last_beat == 110


def test_of_several_faults_a_definite_one_is_named_and_the_others_are_counted():
    node = hear(online(), 110, faults=(FULL, LOST))
    node = hear(node, 120, faults=(FULL, LOST))
    assert (node.reason, node.message) == ("GpuLost", "GPU 3: GpuLost (and 1 more)")


def test_a_steady_heartbeat_moves_nothing_but_when_it_was_heard():
    node = hear(online(100), 110)
    later = hear(node, 120)
    assert (
        replace(later, last_beat=110, seq=110, deadline=node.deadline, streak=node.streak) == node
    )


def test_the_history_of_a_dead_node_told_anew_brings_it_not_back():
    node = hear(hear(online(100), 110, boot="b", seq=1), 120, boot="b", seq=2)
    gone = expired(node, 155)
    for boot, seq in (("a", 100), ("b", 1), ("b", 2), ("a", 100)):
        assert rejection(gone, Beat(at=160, boot_id=boot, seq=seq), 160) == "Replayed"


def test_a_process_that_others_followed_goes_on_where_it_was():
    gone = expired(hear(online(100), 110, boot="b", seq=1), 155)
    once = hear(gone, 160, boot="a", seq=101)
    assert (once.boot_id, once.seq) == ("a", 101)
    assert (once.former_boots, once.former_seqs) == (("b",), (1,))
