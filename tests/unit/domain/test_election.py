"""Who may take the Lease, and until when its holder may write."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.election import (
    DURATION,
    DURATION_MAX,
    MARGIN,
    NOTHING,
    RELEASED,
    Claim,
    claim_of,
    free_at,
    leads_until,
    micro_time,
    proven_at,
    released_spec,
    renewed_spec,
    sighted,
)

HELD = Claim("u1", "a", "2026-11-23T12:00:00.000000Z", "2026-11-23T12:00:00.000000Z", DURATION, 1)


def test_a_lease_reads_as_what_it_says():
    spec = {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "t1",
        "renewTime": "t2",
        "leaseTransitions": 3,
    }
    lease = {"metadata": {"uid": "u"}, "spec": spec}
    assert claim_of(lease) == Claim("u", "a", "t1", "t2", 15, 3)


@pytest.mark.parametrize(
    "lease",
    [
        None,
        {},
        {"metadata": None, "spec": None},
        {"metadata": [], "spec": "x"},
        {"spec": {"holderIdentity": "", "leaseDurationSeconds": True, "renewTime": 7}},
        {"spec": {"holderIdentity": ["a"], "leaseDurationSeconds": -15, "leaseTransitions": "9"}},
    ],
)
def test_garbage_in_a_lease_reads_as_nothing(lease):
    assert claim_of(lease) == NOTHING


def test_only_a_change_restarts_the_wait():
    first = sighted(None, HELD, 100.0)
    assert sighted(first, replace(HELD), 105.0) is first
    assert sighted(first, replace(HELD, renewed="other"), 105.0).since == 105.0
    assert sighted(first, replace(HELD, uid="u2"), 106.0).since == 106.0


@pytest.mark.parametrize("date", ["1999-01-01T00:00:00.000000Z", "2126-01-01T00:00:00Z", "noon"])
def test_a_date_is_compared_for_change_and_for_nothing_else(date):
    seen = sighted(None, replace(HELD, renewed=date), 100.0)
    assert free_at(seen, "b") == 100.0 + DURATION


def test_a_lease_of_another_is_free_once_it_stood_still():
    assert free_at(sighted(None, HELD, 100.0), "b") == 115.0


def test_a_lease_that_was_given_back_is_free_at_once():
    given_back = claim_of({"spec": released_spec(HELD, 5.0)})
    assert given_back.released
    assert free_at(sighted(None, given_back, 100.0), "b") == 100.0


@pytest.mark.parametrize(
    "claim", [NOTHING, replace(HELD, holder=None), replace(HELD, renewed=None)]
)
def test_a_lease_that_somebody_emptied_or_deleted_may_be_taken_and_is_proved_afterwards(claim):
    assert claim.vacant
    assert free_at(sighted(None, claim, 100.0), "b") == 103.0
    assert proven_at(103.0) == 118.0


def test_a_lease_that_is_held_or_given_back_is_not_vacant():
    assert not HELD.vacant
    assert not claim_of({"spec": released_spec(HELD, 5.0)}).vacant


@pytest.mark.parametrize(
    ("said", "waited"),
    [(None, DURATION), (1, DURATION), (15, 15), (30, 30), (3600, DURATION_MAX)],
)
def test_a_duration_is_believed_within_bounds(said, waited):
    assert free_at(sighted(None, replace(HELD, duration=said), 0.0), "b") == waited


def test_ones_own_lease_is_taken_up_again_at_once():
    assert free_at(sighted(None, HELD, 100.0), "a") == 100.0


@given(
    asked=st.floats(0, 1e6),
    served=st.floats(0, 60),
    seen=st.floats(0, 60),
)
def test_a_holder_ends_before_anybody_else_may_begin(asked, served, seen):
    """The server writes after it was asked, and another sees it after it was written."""
    observer = sighted(None, HELD, asked + served + seen)
    assert leads_until(asked) <= free_at(observer, "b") - MARGIN


def test_taking_a_lease_counts_a_transition_and_renewing_does_not():
    taken = renewed_spec(HELD, "b", 1_795_420_800.25)
    assert taken == {
        "holderIdentity": "b",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-11-23T08:00:00.250000Z",
        "renewTime": "2026-11-23T08:00:00.250000Z",
        "leaseTransitions": 2,
    }
    renewed = renewed_spec(claim_of({"spec": taken}), "b", 1_795_420_802.25)
    assert renewed["acquireTime"] == taken["acquireTime"]
    assert renewed["leaseTransitions"] == 2


@pytest.mark.parametrize("clock", [100.0, 0.0, 1_795_420_800.123456])
def test_a_renewal_reads_otherwise_even_by_a_clock_that_stands_still(clock):
    first = renewed_spec(NOTHING, "a", clock)
    second = renewed_spec(claim_of({"spec": first}), "a", clock)
    assert first["renewTime"] != second["renewTime"]


def test_a_lease_given_back_names_nobody():
    spec = released_spec(HELD, 0.0)
    assert "holderIdentity" not in spec
    assert spec["leaseDurationSeconds"] == RELEASED


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_795_420_800, "2026-11-23T08:00:00.000000Z"),
        (1_795_420_800.9999999, "2026-11-23T08:00:01.000000Z"),
    ],
)
def test_dates_have_six_digits_behind_the_point(seconds, text):
    assert micro_time(seconds) == text
