"""Two agents for one node id."""

import itertools

from citadel_k8s.domain.doubles import DOUBLED_SECONDS, SIGHTING_SECONDS, sighted
from citadel_k8s.domain.liveness import Beat, Goodbye, Liveness, Policy, created, rejection
from citadel_k8s.models.fabricnode import NodeState
from tests.unit.domain.voices import FAST, hear, online, said


def word(node: Liveness, now: float, boot: str, seq: int | None) -> Liveness:
    """Let somebody speak, as the registry does."""
    beat = Beat(at=now, boot_id=boot, seq=seq)
    if rejection(node, beat, now) == "FormerBoot":
        return sighted(node, beat, now)
    return hear(node, now, boot=boot, seq=seq)


def replaced(at: float = 110.0) -> Liveness:
    """Give a node whose process "a" was followed by "b"."""
    return hear(online(at - 10), at, boot="b", seq=1)


def test_two_agents_that_both_go_on_speaking_are_found_within_two_intervals():
    node = online(100)
    for now, seq in zip(range(105, 126, 5), itertools.count(200), strict=False):
        node = word(node, now, "b" if now % 10 else "a", seq)
    assert said(node) == ("Degraded", "DuplicateAgent")


def test_one_straggler_of_the_former_process_is_no_second_agent():
    node = word(replaced(), 111, "a", 500)
    assert node.state is NodeState.ONLINE
    assert node.doubled_until < 111


def test_stragglers_that_come_together_are_no_second_agent():
    node = replaced()
    for seq in range(500, 505):
        node = word(node, 111 + seq / 1000, "a", seq)
    assert node.state is NodeState.ONLINE


def test_the_same_word_again_and_again_is_no_second_agent():
    node = replaced()
    for now in range(111, 400, 10):
        node = word(hear(node, now, boot="b", seq=now), now + 1, "a", 500)
        node = word(node, now + 2, "a", 499)
    assert node.state is NodeState.ONLINE


def test_a_second_word_after_five_minutes_is_another_first_one():
    node = word(replaced(), 111, "a", 500)
    assert word(node, 112 + SIGHTING_SECONDS, "a", 501).doubled_until < 112
    slow = hear(hear(created(Policy(interval=300), 0), 1, seq=1), 2, boot="b", seq=1)
    slow = word(word(slow, 10, "a", 2), 11 + SIGHTING_SECONDS, "a", 3)
    assert said(slow) == ("Degraded", "DuplicateAgent")


def test_there_is_one_agent_again_when_the_other_has_been_silent_for_ten_minutes():
    node = word(word(replaced(), 111, "a", 500), 120, "a", 501)
    assert said(node) == ("Degraded", "DuplicateAgent")
    node = word(hear(node, 129, boot="b", seq=2), 130, "a", 502)
    for now in range(140, int(130 + DOUBLED_SECONDS), 10):
        node = hear(node, now, boot="b", seq=now)
        assert said(node) == ("Degraded", "DuplicateAgent")
    assert said(hear(node, 130 + DOUBLED_SECONDS, boot="b", seq=9999)) == ("Online", "Heartbeat")


def test_when_the_second_agent_says_goodbye_the_first_is_the_nodes_own_again():
    node = word(word(replaced(), 111, "a", 500), 120, "a", 501)
    node = hear(node, 125, boot="b", seq=2, goodbye=Goodbye("terminating"))
    assert node.state is NodeState.DRAINING
    node = word(node, 130, "a", 502)
    assert said(node) == ("Degraded", "DuplicateAgent")
    assert node.deadline == 130 + FAST.timeout


def test_a_word_without_a_process_is_nobodys_double():
    node = replaced()
    assert sighted(node, Beat(at=111), 111) is node
