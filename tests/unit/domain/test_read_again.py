"""A stream that is read again from its beginning, by an operator that knows more already."""

import pytest

from citadel_k8s.domain.liveness import Beat, Liveness, Policy, beaten, rejection
from citadel_k8s.domain.restoring import Past, recalled, restored
from citadel_k8s.models.fabricnode import NodeState

FAST = Policy(interval=10, missed=3, skew=5)


def recalled_at(now: float, *, state: NodeState, boot: str | None, at: float) -> Liveness:
    node = restored(FAST, now, state=state, reason="Heartbeat", message="as it was")
    seq = 1 if boot else None
    return recalled(node, Past(last_beat=at, boot_id=boot, seq=seq, former_boots=()), now)


@pytest.mark.parametrize("state", [NodeState.OFFLINE, NodeState.ONLINE])
def test_a_process_from_before_the_last_word_does_not_take_its_place(state):
    node = recalled_at(200, state=state, boot="b", at=190)
    for seq in range(1, 9):
        old = Beat(at=100 + 10 * seq, boot_id="a", seq=seq, interval=10.0)
        assert rejection(node, old, 200) == "Outdated"
        node = beaten(node, old, 200)
    assert (node.boot_id, node.former_boots, node.state) == ("b", (), state)
    assert rejection(node, Beat(at=201, boot_id="b", seq=2), 201) is None


def test_old_words_do_not_bring_back_a_node_without_boot_ids():
    node = recalled_at(200, state=NodeState.OFFLINE, boot=None, at=150)
    for at in (120, 130, 140, 150):
        node = beaten(node, Beat(at=at), 200)
    assert node.state is NodeState.OFFLINE


def test_a_new_process_counts_at_its_first_word_after_the_last():
    node = recalled_at(200, state=NodeState.ONLINE, boot="b", at=190)
    assert rejection(node, Beat(at=195, boot_id="c", seq=1), 200) is None
