"""What one silence means, with and without evidence, in a collapse and outside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.pipe import (
    PROBE_WAIT,
    PipeCondition,
    Ruling,
    Silence,
    Witnesses,
    collapse_condition,
    judged,
)
from citadel_k8s.domain.witness import Finding

ALIVE = Finding("alive", "10.0.0.1:8080 answers 200")
DEAD = Finding("dead", "10.0.0.1:8080 refuses connections")
NONE = Finding("none")
findings = st.sampled_from([ALIVE, DEAD, NONE, Finding("none", "x", rank=0)])
T = 100.0


def silence(
    finding: Finding, *, held: float | None = None, pending: bool = False, age: float | None = 100.0
) -> Silence:
    since = None if held is None else 1000.0 - held
    return Silence(1000.0, T, since, finding, pending=pending, age=age)


@pytest.mark.parametrize(
    ("finding", "verdict"), [(ALIVE, "answers"), (DEAD, "offline"), (NONE, "offline")]
)
def test_one_node_is_judged_by_its_own_evidence(finding: Finding, verdict: str):
    assert judged(silence(finding)).verdict == verdict


def test_a_question_under_way_is_waited_for_four_seconds_and_no_longer():
    assert judged(silence(NONE, pending=True)) == Ruling("hold", until=1000.5)
    assert judged(silence(NONE, pending=True, held=PROBE_WAIT - 0.1)).verdict == "hold"
    assert judged(silence(NONE, pending=True, held=PROBE_WAIT)).verdict == "offline"


def test_who_answered_a_while_ago_and_is_being_asked_anew_is_waited_for_as_long():
    assert judged(silence(ALIVE, pending=True)) == Ruling("hold", until=1000.5)
    assert judged(silence(ALIVE, pending=True, held=PROBE_WAIT)).verdict == "answers"


def test_who_answers_in_a_collapse_keeps_its_state_however_long_it_lasts():
    for held in (None, T, 100 * T):
        ruling = judged(silence(ALIVE, held=held), collapsed=True, release=lambda _: 0.0)
        assert ruling.verdict == "hold"


def test_who_is_dead_by_evidence_is_offline_at_once_even_in_a_collapse():
    for collapsed, grace in ((True, 0.0), (False, 2000.0), (True, 2000.0)):
        assert judged(silence(DEAD), collapsed=collapsed, grace_until=grace).verdict == "offline"


def test_who_has_no_evidence_is_held_for_one_more_timeout_in_a_collapse_and_then_released():
    moments = {"release": 1030.0}
    free = {"collapsed": True, "release": lambda _: moments["release"]}
    assert judged(silence(NONE), **free).verdict == "hold"
    assert judged(silence(NONE, held=T - 0.1), **free).verdict == "hold"
    assert judged(silence(NONE, held=T), **free).verdict == "hold"
    moments["release"] = 1000.0
    assert judged(silence(NONE, held=T), **free).verdict == "offline"


def test_after_an_outage_of_the_way_nobody_goes_offline_for_silence():
    ruling = judged(silence(NONE), grace_until=1045.0)
    assert (ruling.verdict, ruling.until) == ("hold", 1004.0)
    assert judged(silence(NONE), grace_until=1000.0).verdict == "offline"


@given(
    finding=findings,
    held=st.none() | st.floats(0, 1000),
    pending=st.booleans(),
    collapsed=st.booleans(),
    grace=st.floats(0, 2000),
    release=st.floats(0, 3000),
)
def test_whatever_is_held_is_looked_at_again_soon_but_not_at_once(
    *,
    finding: Finding,
    held: float | None,
    pending: bool,
    collapsed: bool,
    grace: float,
    release: float,
):
    ruling = judged(
        silence(finding, held=held, pending=pending),
        collapsed=collapsed,
        grace_until=grace,
        release=lambda _: release,
    )
    if ruling.verdict == "hold":
        assert 1000.0 < ruling.until <= 1004.0
    if finding.verdict == "alive":
        assert ruling.verdict != "offline"
    if finding.verdict == "dead":
        assert ruling.verdict == "offline"
    if ruling.verdict == "answers":
        assert not collapsed


@given(collapsed=st.booleans(), grace=st.floats(0, 1100))
def test_held_time_never_keeps_a_node_without_evidence_for_ever(*, collapsed: bool, grace: float):
    now, held_since = 1000.0, None
    for _ in range(10_000):
        ruling = judged(
            Silence(now, T, held_since, NONE, pending=True, age=now),
            collapsed=collapsed,
            grace_until=grace,
            release=lambda _: 1200.0,
        )
        if ruling.verdict == "offline":
            break
        held_since = now if held_since is None else held_since
        now = ruling.until
    assert now <= 1000.0 + T + 110.0


def test_the_message_says_since_when_and_what_was_found():
    ruling = judged(silence(Finding("dead", "its Node is not Ready", "NodeNotReady")))
    assert ruling.reason == "NodeNotReady"
    assert ruling.message == "no heartbeat for 100 s; its Node is not Ready"
    assert judged(silence(NONE)) == Ruling("offline")
    told = judged(silence(ALIVE)).message
    assert told == "no heartbeat arrives, yet 10.0.0.1:8080 answers 200"


def test_an_announced_absence_keeps_its_own_words():
    assert judged(silence(DEAD, age=None)) == Ruling("offline")


@pytest.mark.parametrize(
    ("seen", "status", "reason"),
    [
        (Witnesses(alive=50, dead=1, none=9), "False", "ArrivalCollapse"),
        (Witnesses(alive=0, dead=59, none=1), "True", "NodesLost"),
        (Witnesses(alive=0, dead=10, none=50), "Unknown", "ArrivalCollapse"),
        (Witnesses(), "Unknown", "ArrivalCollapse"),
    ],
)
def test_a_collapse_is_told_as_what_the_evidence_makes_of_it(
    seen: Witnesses, status: str, reason: str
):
    told = collapse_condition(60, 100, seen)
    assert (told.status, told.reason) == (status, reason)
    assert told.message.startswith("60 of 100 nodes fell silent at once")
    assert isinstance(told, PipeCondition)
