"""Nodes that change their state too often, and what stays true of them."""

from citadel_k8s.domain import flapping
from citadel_k8s.domain.life import calmed
from citadel_k8s.domain.liveness import Goodbye, Liveness, expired
from citadel_k8s.models.fabricnode import NodeState
from tests.unit.domain.voices import LOST, hear, online


def restless(until: float = 400.0) -> Liveness:
    """Give a node that is Offline and has been there twice within five minutes."""
    node = expired(online(100), 200)
    node = hear(hear(node, 210), 220)
    node = expired(node, 300)
    node = hear(hear(node, 310), 320)
    assert node.flapping
    return expired(node, until)


def test_the_first_word_of_a_node_is_no_unrest():
    assert online().changes == ()


def test_three_changes_are_no_flapping_and_the_fourth_is():
    node = hear(online(100), 110, faults=(LOST,))
    node = expired(node, 200)
    node = hear(node, 210, boot="b", seq=1)
    assert not node.flapping
    node = hear(node, 220, boot="b", seq=2, goodbye=Goodbye("terminating"))
    assert node.flapping


def test_four_changes_spread_over_an_hour_are_none():
    node, now = online(100), 100.0
    for _ in range(3):
        now += 1000
        node = hear(expired(node, now), now + 1, boot=f"b{now}", seq=1)
    assert not node.flapping


def test_a_flapping_node_has_to_speak_three_times_to_come_back():
    node = hear(hear(restless(), 410), 420)
    assert node.state is NodeState.OFFLINE
    assert hear(node, 430).state is NodeState.ONLINE


def test_a_crash_loop_is_not_back_until_one_process_stays():
    node = restless()
    for seq, boot in enumerate(("b", "c", "d", "e")):
        node = hear(node, 410 + seq * 10, boot=boot, seq=1)
        assert node.state is NodeState.OFFLINE
    node = hear(node, 450, boot="e", seq=2)
    assert node.state is NodeState.OFFLINE
    assert hear(node, 460, boot="e", seq=3).state is NodeState.ONLINE


def test_flapping_never_hides_an_outage():
    node = hear(hear(hear(restless(), 410), 420), 430)
    assert node.state is NodeState.ONLINE
    assert expired(node, 464.9).state is NodeState.ONLINE
    gone = expired(node, 465)
    assert gone.state is NodeState.OFFLINE
    assert not gone.restless


def test_a_node_that_settled_flaps_no_more():
    node = hear(hear(hear(restless(), 410), 420), 430)
    now = 430
    while now < 430 + flapping.FLAPPING_WINDOW:
        assert node.flapping == (now - node.changes[0] < flapping.FLAPPING_WINDOW)
        now += 10
        node = hear(node, now)
    assert (node.flapping, node.state) == (False, NodeState.ONLINE)


def test_a_node_that_stays_down_flaps_no_more_either():
    gone = restless(400)
    over = flapping.calm_at(gone.changes)
    assert over is not None
    assert calmed(gone, over - 1).flapping
    assert not calmed(gone, over).flapping


def test_nobody_is_calm_at_a_moment_who_never_flapped():
    assert flapping.calm_at((1.0, 2.0, 3.0)) is None
