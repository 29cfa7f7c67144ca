"""When a former process of a node counts, and when it does not."""

from citadel_k8s.domain.liveness import Beat, Goodbye, beaten, expired, rejection
from citadel_k8s.models.fabricnode import NodeState
from tests.unit.domain.voices import hear, online


def test_a_former_process_does_not_come_back_while_the_next_one_speaks():
    node = hear(online(100), 110, boot="b", seq=1)
    straggler = Beat(at=111, boot_id="a", seq=500)
    assert rejection(node, straggler, 111) == "FormerBoot"
    assert beaten(node, straggler, 111) is node


def test_the_nodes_own_agent_is_heard_again_after_a_second_one_came_and_went():
    node = hear(online(100), 110, boot="second", seq=1)
    node = hear(node, 111, boot="second", seq=2, goodbye=Goodbye("terminating"))
    assert hear(node, 120, boot="a").state is NodeState.DRAINING
    gone = expired(node, 111 + 120)
    once = hear(gone, 240, boot="a")
    assert once.state is NodeState.OFFLINE
    back = hear(once, 250, boot="a")
    assert back.state is NodeState.ONLINE
    assert rejection(back, Beat(at=251, boot_id="second", seq=3), 251) == "FormerBoot"


def test_a_process_whose_predecessors_last_word_came_late_is_heard_before_it_is_missed():
    node = hear(online(100), 110, boot="b", seq=1)
    node = hear(node, 111, boot="late", seq=7)
    silent = node.policy.stale_after
    assert rejection(node, Beat(at=111 + silent - 1, boot_id="b", seq=2), 125) == "FormerBoot"
    heard = hear(node, 111 + silent, boot="b", seq=3)
    assert (heard.state, heard.boot_id) == (NodeState.ONLINE, "b")


def test_one_straggler_of_a_former_process_brings_no_dead_node_back():
    node = hear(online(100), 110, boot="b", seq=1)
    gone = expired(node, 200)
    assert hear(gone, 201, boot="a", seq=500).state is NodeState.OFFLINE
    assert (
        hear(hear(gone, 201, boot="a", seq=500), 202, boot="a", seq=500).state is NodeState.OFFLINE
    )
