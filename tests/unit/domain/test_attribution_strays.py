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
    granted_at: float | None = None,
) -> Attribution:
    pods = Pods(A, None if away else allocations)
    processes = Processes((runs(10, "a", started=started),))
    return attribute([gpu(on(10))], pods, processes, before, now, granted_at=granted_at)


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


def test_grants_that_were_read_before_a_pod_began_accuse_it_of_nothing() -> None:
    found = look(None, 10.0, granted_at=0.0)
    for now in (20.0, 29.0):
        found = look(found, now, granted_at=0.0)
        assert how(found) == ["process"]
    assert how(look(found, 30.0, granted_at=30.0)) == ["unallocated"]
    assert how(look(found, 30.0, *GIVEN, granted_at=30.0)) == ["exclusive"]
