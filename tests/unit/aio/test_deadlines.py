"""Which keys are due."""

from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.aio.deadlines import Deadlines


def test_keys_come_out_when_their_moment_has_come_earliest_first():
    deadlines = Deadlines()
    deadlines.set("b", 2)
    deadlines.set("a", 1)
    deadlines.set("c", 3)
    assert list(deadlines.pop_due(2)) == ["a", "b"]
    assert list(deadlines.pop_due(2)) == []


def test_a_moment_can_be_put_off_hastened_and_taken_away():
    deadlines = Deadlines()
    for key in "abc":
        deadlines.set(key, 10)
    deadlines.set("a", 20)
    deadlines.set("b", 5)
    deadlines.set("c", None)
    assert list(deadlines.pop_due(10)) == ["b"]
    assert list(deadlines.pop_due(20)) == ["a"]
    assert len(deadlines) == 0


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.none() | st.integers(0, 50))))
def test_a_key_comes_out_exactly_once_at_its_last_moment(changes):
    deadlines, expected = Deadlines(), {}
    for key, moment in changes:
        deadlines.set(key, moment)
        if moment is None:
            expected.pop(key, None)
        else:
            expected[key] = moment
    found = {key: now for now in range(51) for key in deadlines.pop_due(now)}
    assert found == expected


def test_a_key_hastened_and_put_off_for_a_day_leaves_nothing_behind():
    deadlines = Deadlines()
    for now in range(0, 86_400, 5):
        assert not list(deadlines.pop_due(now))
        deadlines.set("a", now + (910 if now % 2 else 25))
    assert len(deadlines._heap) < 400
