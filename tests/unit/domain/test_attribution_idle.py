"""How long a GPU has been idle, and what the next look has to know of this one."""

from collections.abc import Callable

import pytest

from citadel_k8s.domain.attribution import Attribution, attribute
from citadel_k8s.models.readings import Pods, Process, Processes
from tests.unit.domain.situations import G0, A, given, gpu, named, on, runs

Step = Callable[[Attribution | None, float], Attribution]


def idle_after(*steps: Step) -> float | None:
    before: Attribution | None = None
    for number, step in enumerate(steps):
        before = step(before, number * 100.0)
    assert before is not None
    (holder,) = before.of(0) or ()
    return holder.idle_seconds


def quiet(before: Attribution | None, now: float) -> Attribution:
    return attribute([gpu()], Pods(A, (given("a", G0),)), Processes(), before, now)


def busy(before: Attribution | None, now: float) -> Attribution:
    look = Processes((runs(10, "a"),))
    return attribute([gpu(on(10))], Pods(A, (given("a", G0),)), look, before, now)


def kubelet_away(before: Attribution | None, now: float) -> Attribution:
    return attribute([gpu()], Pods(A, None), Processes(), before, now)


def hidden(before: Attribution | None, now: float) -> Attribution:
    return attribute([gpu(processes=None)], Pods(A, (given("a", G0),)), None, before, now)


def away_and_busy(before: Attribution | None, now: float) -> Attribution:
    return attribute([gpu(on(10))], Pods(A, None), Processes((runs(10, "a"),)), before, now)


def moved(before: Attribution | None, now: float) -> Attribution:
    return attribute([gpu(index=3, uuid=G0)], Pods(A, (given("a", G0),)), None, before, now)


@pytest.mark.parametrize(
    ("steps", "seconds"),
    [
        ([quiet], 0.0),
        ([quiet, quiet, quiet], 200.0),
        ([busy, quiet], 0.0),
        ([quiet, busy, quiet, quiet], 100.0),
        ([quiet, kubelet_away, quiet], 200.0),
        ([quiet, away_and_busy, quiet], 0.0),
        ([quiet, hidden, quiet], 0.0),
    ],
    ids=[
        "begins at first sight",
        "grows",
        "begins when the last process is gone",
        "begins anew after use",
        "outlives a kubelet that restarts",
        "ends with a use that was seen while the kubelet was away",
        "begins anew where nobody could look",
    ],
)
def test_the_time_that_a_gpu_is_idle(steps: list[Step], seconds: float) -> None:
    assert idle_after(*steps) == seconds


def beside(before: Attribution | None, now: float, *processes: Process) -> Attribution:
    """Give a look at a shared GPU with a process on it that belongs to b, if anybody knows."""
    pods = Pods(named("a", "b"), (given("a", f"{G0}::0"), given("b", f"{G0}::1")))
    return attribute([gpu(on(20))], pods, Processes(processes), before, now)


def idle_of_a(found: Attribution) -> float | None:
    return next(h.idle_seconds for h in found.of(0) or () if h.pod == "a")


def test_a_neighbours_new_process_that_nobody_has_read_yet_ends_no_idle_time() -> None:
    known = beside(None, 0.0, runs(20, "b"))
    unread = beside(known, 30.0)
    assert idle_of_a(unread) is None
    assert idle_of_a(beside(unread, 30.1, runs(20, "b"))) == 30.1


def test_an_idle_time_ends_where_the_doubt_lasts() -> None:
    found = beside(None, 0.0, runs(20, "b"))
    for now in (30.0, 60.0, 90.0, 120.0):
        found = beside(found, now)
    assert found.idle == ()
    assert idle_of_a(beside(found, 121.0, runs(20, "b"))) == 0.0


def test_an_idle_time_ends_where_the_new_process_is_the_pods_own() -> None:
    unread = beside(beside(None, 0.0, runs(20, "b")), 30.0)
    used = beside(unread, 30.1, runs(20, "a"))
    assert idle_of_a(used) is None
    assert idle_of_a(beside(used, 60.0, runs(20, "b"))) == 0.0


def test_idle_time_goes_with_the_gpu_where_its_index_changes() -> None:
    (holder,) = moved(quiet(None, 0.0), 100.0).of(3) or ()
    assert holder.idle_seconds == 100.0


def test_mps_is_remembered_while_no_client_runs() -> None:
    pods = Pods(A, (given("a", f"{G0}::0"),))
    before = attribute([gpu(on(10, kind="mps"))], pods, Processes((runs(10, "a"),)), None, 0.0)
    (holder,) = attribute([gpu()], pods, Processes(), before, 1.0).of(0) or ()
    assert holder.how == "mps"


def test_idle_memory_holds_only_what_is_given_now() -> None:
    before = quiet(None, 0.0)
    after = attribute([gpu()], Pods(A, ()), Processes(), before, 1.0)
    assert after.idle == ()


def test_a_thousand_pods_on_one_gpu_are_sorted_in_time() -> None:
    pods = [f"p{number}" for number in range(1000)]
    allocations = tuple(given(p, f"{G0}::{number}") for number, p in enumerate(pods))
    processes = Processes(tuple(runs(number, p) for number, p in enumerate(pods)))
    found = attribute(
        [gpu(*(on(number) for number in range(1000)))],
        Pods(named(*pods), allocations),
        processes,
        None,
        0.0,
    )
    assert len(found.of(0) or ()) == 1000
