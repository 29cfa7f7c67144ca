"""No pod is accused by one look: grants and processes are read one after the other."""

from citadel_k8s.domain.attribution import CONFIRM_SECONDS, Attribution, attribute
from citadel_k8s.models.readings import Allocation, Pods, Processes
from tests.unit.domain.situations import G0, A, given, gpu, on, runs

GIVEN = (given("a", G0),)


def look(
    before: Attribution | None,
    now: float,
    *allocations: Allocation,
    started: int = 1,
    away: bool = False,
) -> Attribution:
    pods = Pods(A, None if away else allocations)
    processes = Processes((runs(10, "a", started=started),))
    return attribute([gpu(on(10))], pods, processes, before, now)


def how(found: Attribution) -> list[str]:
    return [holder.how for holder in found.of(0) or ()]


def test_a_use_without_a_right_is_told_from_the_second_look_on() -> None:
    first = look(None, 0.0)
    assert how(first) == ["process"]
    assert how(look(first, CONFIRM_SECONDS)) == ["unallocated"]


def test_looks_that_follow_at_once_are_one_look() -> None:
    found = look(None, 0.0)
    for tenth in range(40):
        found = look(found, tenth / 10)
        assert how(found) == ["process"]


def test_a_pod_whose_grant_is_read_later_was_never_accused() -> None:
    found = look(look(None, 0.0), 30.0, *GIVEN)
    assert how(found) == ["exclusive"]
    assert found.strays == ()


def test_another_process_of_the_same_number_is_seen_for_the_first_time() -> None:
    assert how(look(look(None, 0.0), 30.0, started=2)) == ["process"]


def test_a_look_without_the_kubelet_proves_nothing() -> None:
    away = look(look(None, 0.0), 30.0, away=True)
    assert how(away) == ["process"]
    assert how(look(away, 60.0)) == ["process"]
    assert how(look(look(away, 60.0), 90.0)) == ["unallocated"]
