"""What an answer, a Node and a Lease say of a silent node."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.witness import (
    CONTROL_TTL,
    Answer,
    Control,
    Outcome,
    Probe,
    askable,
    identified,
    most_telling,
    weighed,
)

DOWN = [Outcome.REFUSED, Outcome.TIMED_OUT, Outcome.NO_ROUTE]


def probe(outcome: Outcome) -> Probe:
    return Probe(outcome, "10.0.0.1:8080", 0.0)


def control(*outcomes: Outcome) -> Control:
    made = Control()
    for outcome in outcomes:
        made.note(0.0, outcome)
    return made


@pytest.mark.parametrize("outcome", DOWN)
def test_silence_of_an_address_proves_nothing_where_nobody_living_is_known_to_answer(
    outcome: Outcome,
):
    assert not control().vouches(outcome, 1.0)
    assert not control(*DOWN).vouches(outcome, 1.0)
    assert control(Outcome.ANSWERS).vouches(outcome, 1.0)
    assert control(Outcome.UNPROVED).vouches(outcome, 1.0)


def test_an_operator_whose_own_network_breaks_stops_believing_it_within_two_rounds():
    made = control(*[Outcome.ANSWERS] * 24)
    for failures in range(1, 9):
        made.note(10.0, Outcome.TIMED_OUT)
        assert made.vouches(Outcome.TIMED_OUT, 11.0) == (failures <= 6)


def test_where_every_other_living_node_cannot_be_reached_one_more_is_no_news():
    made = control(*[Outcome.ANSWERS, Outcome.TIMED_OUT] * 4)
    assert not made.vouches(Outcome.TIMED_OUT, 1.0)
    assert not made.vouches(Outcome.REFUSED, 1.0)


def test_answers_of_the_living_count_for_five_minutes():
    made = control(Outcome.ANSWERS)
    assert made.vouches(Outcome.TIMED_OUT, CONTROL_TTL)
    assert not made.vouches(Outcome.TIMED_OUT, CONTROL_TTL + 1)


def test_another_node_at_the_address_is_proof_unless_nodes_share_one():
    assert control().vouches(Outcome.SOMEBODY_ELSE, 1.0)
    assert not control(Outcome.ANSWERS, Outcome.SOMEBODY_ELSE).vouches(Outcome.SOMEBODY_ELSE, 1.0)


def test_what_this_host_failed_to_ask_is_not_remembered():
    assert not control(Outcome.VOID).results


@given(
    outcome=st.none() | st.sampled_from(Outcome),
    vouched=st.booleans(),
    ready=st.none() | st.booleans(),
    stopped=st.none() | st.booleans(),
)
def test_evidence_never_makes_a_node_dead_that_answers_nor_one_alive_that_does_not(
    *, outcome: Outcome | None, vouched: bool, ready: bool | None, stopped: bool | None
):
    vouched = vouched and outcome in {*DOWN, Outcome.SOMEBODY_ELSE}
    asked = None if outcome is None else probe(outcome)
    finding = weighed(asked, vouched=vouched, node_ready=ready, lease_stopped=stopped)
    assert (finding.verdict == "alive") == (outcome is Outcome.ANSWERS)
    speaks_against = vouched or ready is False or stopped is True
    if finding.verdict != "alive":
        assert (finding.verdict == "dead") == speaks_against
    assert (finding.reason == "NodeNotReady") == (ready is False and outcome is not Outcome.ANSWERS)


def test_without_evidence_what_points_at_a_node_is_worth_more_than_nothing():
    ranks = [
        weighed(asked, vouched=False).rank
        for asked in (probe(Outcome.TIMED_OUT), None, probe(Outcome.UNPROVED))
    ]
    assert ranks == [0, 1, 2]


def test_an_answer_is_the_nodes_own_only_with_its_id():
    answer = Answer(Outcome.UNPROVED, "x answers 200", "n1", "b1")
    assert identified(answer, "n1", "b1").outcome is Outcome.ANSWERS
    assert identified(answer, "n1", None).outcome is Outcome.ANSWERS
    assert identified(answer, "n2", "b1").outcome is Outcome.SOMEBODY_ELSE
    assert identified(Answer(Outcome.UNPROVED, "x"), "n1", "b1").outcome is Outcome.UNPROVED
    renewed = identified(answer, "n1", "b0")
    assert renewed.outcome is Outcome.ANSWERS
    assert renewed.detail.endswith("as a new process")


def test_of_several_addresses_one_that_answers_is_enough():
    answers = [Answer(outcome, "") for outcome in (Outcome.NO_ROUTE, *DOWN, Outcome.ANSWERS)]
    assert most_telling(answers).outcome is Outcome.ANSWERS
    assert most_telling(answers[:-1]).outcome is Outcome.REFUSED


def test_only_addresses_of_the_network_are_asked():
    given_by_a_node = (
        "127.0.0.1", "::1", "169.254.169.254", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1",
        "0.0.0.0", "::", "255.255.255.255", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
        "2002:7f00:1::", "localhost", "metadata.internal", "10.0.0.1/24", "", "10.0.0.7 ",
    )  # fmt: skip
    assert askable(given_by_a_node) == ()
    mine = ("100.64.0.1", "10.0.0.7", "fd7a::1", "10.0.0.7", "192.168.0.1")
    assert askable(mine) == ("100.64.0.1", "10.0.0.7", "fd7a::1")


def test_loopback_is_asked_where_that_is_wanted_and_nothing_else_besides():
    assert askable(("127.0.0.1", "::1", "169.254.1.1"), loopback=True) == ("127.0.0.1", "::1")


@given(st.ip_addresses())
def test_whatever_is_asked_is_neither_this_host_nor_its_link(address: object):
    for text in askable((str(address),)):
        found = ipaddress.ip_address(text)
        kinds = (found.is_loopback, found.is_link_local, found.is_multicast)
        assert not any(kinds)
