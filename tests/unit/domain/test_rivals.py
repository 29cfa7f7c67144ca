import pytest

from citadel_k8s.constants import HEARTBEAT_INTERVAL
from citadel_k8s.domain.rivals import RIVAL_GRACE, Rival, hear, still


def listen(*messages: tuple[float, str | None, bool]) -> Rival | None:
    rival = None
    for now, boot_id, goodbye in messages:
        rival = hear(rival, boot_id=boot_id, own="me", goodbye=goodbye, now=now)
    return rival


def test_ones_own_messages_make_no_rival():
    assert listen((0, "me", False), (30, "me", False)) is None


def test_one_foreign_message_is_no_proof():
    rival = listen((0, "other", False))
    assert rival is not None
    assert not rival.proven


def test_a_process_that_keeps_speaking_is_a_rival():
    rival = listen((0, "other", False), (30, "other", False))
    assert rival is not None
    assert rival.proven


def test_an_agent_that_finishes_beside_its_successor_is_none():
    rival = listen((0, "other", False), (RIVAL_GRACE - 1, "other", False))
    assert rival is not None
    assert not rival.proven
    assert listen((0, "other", False), (5, "other", True)) is None


def test_of_several_rivals_that_take_turns_one_is_proven():
    rival = listen(*[(30 * n, ("b", "c")[n % 2], False) for n in range(4)])
    assert rival is not None
    assert rival.proven


def test_the_goodbye_of_a_third_process_does_not_excuse_a_rival():
    rival = listen((0, "other", False), (30, "other", False), (31, "third", True))
    assert rival is not None
    assert rival.proven


def test_a_client_without_a_boot_id_is_another_process_too():
    rival = listen((0, None, False), (30, None, False))
    assert rival is not None
    assert rival.proven


def test_a_rival_that_falls_silent_is_forgotten():
    rival = listen((0, "other", False), (30, "other", False))
    assert still(rival, interval=30, now=120) == rival
    assert still(rival, interval=30, now=121) is None
    assert still(None, interval=30, now=0) is None


def test_a_rival_that_speaks_seldom_is_waited_for_as_long_as_its_own_interval_asks():
    rival = None
    for now in (0.0, 200.0, 400.0):
        rival = hear(
            still(rival, interval=5, now=now),
            boot_id="other", own="me", goodbye=False, now=now, interval=200,
        )  # fmt: skip
    assert rival is not None
    assert rival.proven
    assert still(rival, interval=5, now=1001) is None


@pytest.mark.parametrize("told", [None, "5", True, float("nan"), float("inf"), -1, 10**400, []])
def test_an_interval_that_can_be_none_is_the_usual_one(told: object):
    rival = hear(None, boot_id="b", own="me", goodbye=False, now=0.0, interval=told)
    assert rival is not None
    assert rival.interval == HEARTBEAT_INTERVAL
