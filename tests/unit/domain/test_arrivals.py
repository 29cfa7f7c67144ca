"""What is kept of when a node was heard, and what its clock is by that."""

from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.arrivals import ARRIVALS_KEPT, Arrival, read_arrivals, skew_seconds

NUMBERS = st.one_of(st.none(), st.integers(-(10**12), 10**12))
ARRIVALS = st.builds(Arrival, st.integers(0, 2 * 10**12), st.integers(0, 10**9), NUMBERS)


@given(st.lists(ARRIVALS, max_size=30, unique=True))
def test_what_was_kept_is_read_again_in_the_order_of_its_moments(arrivals: list[Arrival]) -> None:
    found = read_arrivals(one.text().encode() for one in arrivals)
    assert set(found) == set(arrivals)
    assert [one.ms for one in found] == sorted(one.ms for one in arrivals)


def test_what_is_not_known_stays_unknown() -> None:
    assert read_arrivals([b"1000  "]) == [Arrival(1000, None, None)]
    assert read_arrivals([b"1000 7 "]) == [Arrival(1000, 7, None)]
    assert read_arrivals([b"1000  -5"]) == [Arrival(1000, None, -5)]


def test_what_was_told_twice_is_there_once() -> None:
    assert read_arrivals([b"2 2 0", b"1 1 0", b"2 2 0"]) == [Arrival(1, 1, 0), Arrival(2, 2, 0)]


def test_no_more_are_given_than_are_kept_and_those_are_the_newest() -> None:
    found = read_arrivals(f"{ms} {ms} 0".encode() for ms in range(200))
    assert [one.ms for one in found] == list(range(200 - ARRIVALS_KEPT, 200))


def test_what_nobody_wrote_like_that_is_left_out() -> None:
    odd = [b"", b"x y z", b"1 2", b"1 2 3 4", b" 1 2", b"1.5 1 1", b"9" * 5000 + b" 1 1", b"\xff  "]
    assert read_arrivals([*odd, b"1 1 1"]) == [Arrival(1, 1, 1)]


def test_a_clock_that_is_ahead_is_a_positive_skew_and_one_that_is_late_a_negative_one() -> None:
    assert skew_seconds([Arrival(ms, ms, 61_500) for ms in range(9)]) == 61.5
    assert skew_seconds([Arrival(ms, ms, -3_000) for ms in range(9)]) == -3.0


def test_what_lay_somewhere_before_it_came_is_no_skew() -> None:
    backlog = [Arrival(1, 1, -20), Arrival(2, 2, -600_000), Arrival(3, 3, -570_000)]
    assert skew_seconds(backlog) == -0.02


def test_a_clock_that_was_set_right_is_right_after_a_few_heartbeats() -> None:
    before = [Arrival(ms, ms, 90_000) for ms in range(30)]
    after = [Arrival(100 + ms, ms, -10) for ms in range(5)]
    assert skew_seconds(before + after) == -0.01


def test_of_a_clock_that_named_no_moment_nothing_is_known() -> None:
    assert skew_seconds([]) is None
    assert skew_seconds([Arrival(1, 1, None)]) is None
    assert skew_seconds([Arrival(1, 1, None), Arrival(2, 2, 40)]) == 0.04
