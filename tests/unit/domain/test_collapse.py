"""When so many fall silent at once that the way may be what broke."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.collapse import (
    RANKS,
    RELEASE_SECONDS,
    Arrivals,
    Collapse,
    Releases,
    watched,
)

SETTLE = 100.0
fleets = st.integers(0, 5000)


def begun() -> Collapse:
    return Collapse(since=0.0)


@given(alive=fleets, share=st.floats(0, 1))
def test_a_collapse_begins_when_more_than_two_and_55_percent_are_late(alive: int, share: float):
    late = int(alive * share)
    seen = watched(Collapse(), Arrivals(alive, late), 1.0, SETTLE)
    assert seen.going_on == (late > 2 and late >= 0.55 * alive)


def test_two_of_two_are_no_collapse_and_three_of_three_are():
    assert not watched(Collapse(), Arrivals(2, 2), 1.0, SETTLE).going_on
    assert watched(Collapse(), Arrivals(3, 3), 1.0, SETTLE).going_on


@given(alive=st.integers(3, 5000), late=st.integers(0, 5000))
def test_nobody_at_all_heard_is_a_collapse_from_three_late_nodes_on(alive: int, late: int):
    late = min(alive, late)
    seen = watched(Collapse(), Arrivals(alive, late, quiet=True), 1.0, SETTLE)
    assert seen.going_on == (late > 2)


@given(fleet=st.integers(3, 5000), fallen=st.floats(0, 1))
def test_that_nodes_go_offline_in_a_collapse_does_not_end_it(fleet: int, fallen: float):
    fell = int(fleet * fallen)
    seen = Arrivals(alive=fleet - fell, late=fleet - fell, fallen=fell)
    assert watched(begun(), seen, 1.0, SETTLE).going_on


@given(fleet=st.integers(10, 5000), late=st.floats(0, 1))
def test_a_collapse_is_over_once_the_nodes_are_back(fleet: int, late: float):
    count = int(fleet * late)
    after = watched(begun(), Arrivals(fleet, count), 5.0, SETTLE)
    assert after.going_on == (count / fleet >= 0.30)
    assert after.ended_at == (None if after.going_on else 5.0)


def test_a_returning_fleet_makes_it_end_once_and_not_flutter():
    state, changes = Collapse(), 0
    for second, late in enumerate([*range(0, 1001, 10), *range(1000, -1, -10)]):
        before = state.going_on
        state = watched(state, Arrivals(1000, late), float(second), SETTLE)
        changes += state.going_on != before
    assert changes == 2


def test_a_collapse_whose_dead_are_all_marked_is_over_after_a_while():
    dead = Arrivals(alive=40, late=0, fallen=60)
    state = watched(begun(), dead, 10.0, SETTLE)
    assert state.going_on
    assert watched(state, dead, 109.0, SETTLE).going_on
    assert watched(state, dead, 110.0, SETTLE).ended_at == 110.0


def test_more_that_fall_silent_meanwhile_begin_the_wait_anew():
    calm, more = Arrivals(40, 0, fallen=60), Arrivals(40, 30, fallen=60)
    state = watched(begun(), calm, 10.0, SETTLE)
    state = watched(state, more, 60.0, SETTLE)
    state = watched(state, calm, 70.0, SETTLE)
    assert watched(state, calm, 165.0, SETTLE).going_on
    assert not watched(state, calm, 170.0, SETTLE).going_on


@given(fleet=st.integers(1, 2000), ranks=st.lists(st.integers(0, RANKS - 1), max_size=200))
def test_releases_are_spread_and_whoever_has_a_moment_keeps_it(fleet: int, ranks: list[int]):
    releases, pace = Releases(), min(60.0, RELEASE_SECONDS / fleet)
    moments = [releases.moment(str(n), rank, 100.0, fleet) for n, rank in enumerate(ranks)]
    for rank in range(RANKS):
        mine = [moment for moment, of in zip(moments, ranks, strict=True) if of == rank]
        gaps = [later - earlier for earlier, later in itertools.pairwise(mine)]
        assert all(gap >= pace * 0.999 for gap in gaps)
    again = [releases.moment(str(n), 0, 500.0, fleet) for n in range(len(ranks))]
    assert again == moments


def test_whoever_has_most_against_it_is_released_first():
    releases = Releases()
    worst = [releases.moment(f"w{n}", 0, 0.0, 100) for n in range(10)]
    best = [releases.moment(f"b{n}", 2, 0.0, 100) for n in range(10)]
    assert max(worst) < min(best)
    assert max(best) == 19 * 6.0


def test_a_whole_fleet_is_released_within_ten_minutes():
    releases = Releases()
    last = max(releases.moment(str(n), 1, 0.0, 5000) for n in range(5000))
    assert last <= RELEASE_SECONDS
