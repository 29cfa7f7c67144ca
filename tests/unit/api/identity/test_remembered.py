"""What is remembered, and for how long."""

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.api.identity.paces import CALLERS_MOST, Paces
from citadel_k8s.api.identity.remembered import Remembered


def test_an_answer_is_kept_for_its_time_only():
    clock = ManualClock()
    kept = Remembered[str, int](clock, seconds=30, most=3)
    kept.keep("a", 1)
    clock.advance(29.9)
    assert kept.get("a") == 1
    clock.advance(0.1)
    assert kept.get("a") is None
    assert kept.get("a", seconds=60) == 1


def test_a_jump_of_the_date_changes_nothing():
    clock = ManualClock()
    kept = Remembered[str, int](clock, seconds=30, most=3)
    kept.keep("a", 1)
    clock.jump(86_400)
    assert kept.get("a") == 1


def test_the_one_kept_longest_goes_first():
    kept = Remembered[str, int](ManualClock(), seconds=30, most=2)
    for name in "abac":
        kept.keep(name, 1)
    assert [kept.get(name) for name in "abc"] == [1, None, 1]
    assert len(kept) == 2
    kept.forget("a")
    kept.forget("nobody")
    assert kept.get("a") is None
    kept.clear()
    assert len(kept) == 0


def test_each_caller_has_a_budget_of_its_own_and_all_of_them_are_bounded():
    clock = ManualClock()
    paces = Paces(clock, (1.0, 2.0))

    def refused(key: str) -> float | None:
        try:
            paces.take(key, "slowly")
        except RefusalError as error:
            return error.retry_after if error.status == 429 else -1.0
        return None

    assert [refused("a"), refused("a"), refused("a"), refused("b")] == [None, None, 1.0, None]
    clock.advance(1)
    assert refused("a") is None
    for number in range(CALLERS_MOST + 10):
        paces.take(str(number), "slowly")
    assert len(paces._budgets) == CALLERS_MOST
