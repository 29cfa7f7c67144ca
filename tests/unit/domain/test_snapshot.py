"""What is known grows and ages by rules; `test_report` shows what a reader sees of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.known import Known
from citadel_k8s.domain.snapshot import Change, Snapshot, fingerprint, gpus_now
from citadel_k8s.models.readings import (
    Absent,
    ContainerUsage,
    Failed,
    Gpu,
    GpuEvent,
    Gpus,
    Host,
    Outcome,
    Pods,
    Process,
    Processes,
    Reading,
)
from tests.unit.domain.richnode import CONTAINERS, GPUS, PODS, PROCESSES, gpu, rich

INDEXES = st.integers(0, 3)
GPU = st.builds(
    lambda index, health: Gpu(
        index,
        uuid=f"GPU-{index}" if health == "ok" else None,
        memory_used_bytes=index if health == "ok" else None,
        health=health,
        reason=None if health == "ok" else "Unresponsive",
    ),
    INDEXES,
    st.sampled_from(["ok", "failed", "unknown"]),
)
LISTS = st.lists(GPU, max_size=4, unique_by=lambda gpu: gpu.index)
OUTCOMES: st.SearchStrategy[Outcome[Gpus]] = st.one_of(
    LISTS.map(lambda gpus: Reading(Gpus("575", tuple(gpus)))),
    st.just(Failed("Unresponsive", "x")),
    st.just(Absent("DriverNotLoaded", "x")),
)


def after(outcomes: list[Outcome[Gpus]]) -> Snapshot:
    snapshot = Snapshot()
    for at, outcome in enumerate(outcomes):
        snapshot = snapshot.learn_gpus(outcome, at=float(at), duration=0)
    return snapshot


@given(st.lists(OUTCOMES, max_size=8))
def test_a_gpu_that_was_well_once_is_never_forgotten(outcomes: list[Outcome[Gpus]]):
    snapshot = after(outcomes)
    well = {
        gpu.uuid
        for outcome in outcomes
        if isinstance(outcome, Reading)
        for gpu in outcome.value.gpus
        if gpu.health == "ok"
    }
    assert well <= {gpu.uuid for gpu in gpus_now(snapshot, 100.0)}


@given(st.lists(OUTCOMES, max_size=8))
def test_each_number_is_one_gpus(outcomes: list[Outcome[Gpus]]):
    numbers = [gpu.index for gpu in gpus_now(after(outcomes), 100.0)]
    assert len(numbers) == len(set(numbers))


@given(st.lists(OUTCOMES, max_size=8))
def test_only_what_the_last_answer_called_well_is_well(outcomes: list[Outcome[Gpus]]):
    snapshot = after(outcomes)
    last = outcomes[-1] if outcomes else None
    well = (
        {g.uuid for g in last.value.gpus if g.health == "ok"}
        if isinstance(last, Reading)
        else set()
    )
    assert {g.uuid for g in gpus_now(snapshot, 100.0) if g.health == "ok"} == well


@given(st.lists(OUTCOMES, max_size=8), st.floats(0, 1e6))
def test_values_that_are_not_fresh_have_an_age(outcomes: list[Outcome[Gpus]], now: float):
    for one in gpus_now(after(outcomes), now + 100):
        if one.health != "ok" and one.memory_used_bytes is not None:
            assert one.age_seconds is not None
            assert one.age_seconds > 0


@given(st.lists(OUTCOMES, min_size=1, max_size=6))
def test_the_same_answer_again_changes_nothing(outcomes: list[Outcome[Gpus]]):
    once, twice = after(outcomes), after([*outcomes, outcomes[-1]])
    assert fingerprint(once).change_to(fingerprint(twice)) is Change.NONE


def test_the_age_is_that_of_the_last_reading_and_none_before_the_first():
    known: Known[Host] = Known()
    assert known.age(5) is None
    known = known.learn(Reading(Host()), at=10, duration=1)
    known = known.learn(Failed("x", "y"), at=20, duration=1)
    assert known.age(25) == 15
    assert known.age(5) == 0


def xid(number: int, snapshot: Snapshot, at: float, index: int = 0) -> Snapshot:
    return snapshot.learn_event(GpuEvent("xid", index, None, number), at=at, date=5000.0 + at)


def health(snapshot: Snapshot, now: float = 0.0) -> dict[int, str]:
    return {gpu.index: gpu.health for gpu in gpus_now(snapshot, now)}


def change(before: Snapshot, after: Snapshot) -> Change:
    return fingerprint(before).change_to(fingerprint(after))


def again(snapshot: Snapshot, at: float, **more: object) -> Snapshot:
    gpus = tuple(replace(one, **more) for one in GPUS.gpus)
    return snapshot.learn_gpus(Reading(replace(GPUS, gpus=gpus)), at=at, duration=0)


def test_an_error_is_told_at_once_whoever_caused_it_and_marks_only_by_its_rule():
    before = rich()
    application, fatal = xid(31, before, 1001), xid(79, before, 1001, index=1)
    assert change(before, application) is Change.HARD
    assert change(before, fatal) is Change.HARD
    assert health(application) == {0: "ok", 1: "ok"}
    assert health(fatal) == {0: "ok", 1: "failed"}
    assert change(fatal, xid(79, fatal, 1002, index=1)) is Change.HARD


def test_an_applications_error_that_is_over_is_no_news():
    told = xid(31, rich(), 1001)
    assert gpus_now(told, 1001)[0].verdicts
    over = again(told, 1100)
    assert not gpus_now(over, 1100)[0].verdicts
    assert change(told, over) is Change.NONE


def test_an_error_that_fails_the_gpu_stands_until_the_gpu_was_reset():
    told = xid(79, rich(), 1001)
    assert health(again(told, 1e5)) == {0: "failed", 1: "ok"}
    assert health(again(told, 1e5, energy_joules=0.5)) == {0: "ok", 1: "ok"}
    assert gpus_now(again(told, 1e5, energy_joules=0.5), 0)[0].xids == gpus_now(told, 0)[0].xids


def test_another_version_of_the_driver_has_reset_the_gpus_that_answer():
    told = rich().learn_event(GpuEvent("xid", 1, "GPU-1", 95), at=1001, date=0.0)
    same = told.learn_gpus(Reading(GPUS), at=2000, duration=0)
    assert [one.gpu.health for one in same.told] == ["ok", "failed"]
    newer = told.learn_gpus(Reading(replace(GPUS, driver="580.1")), at=2000, duration=0)
    assert [one.gpu.health for one in newer.told] == ["ok", "ok"]


def test_an_error_that_is_over_by_itself_ends_even_while_the_driver_is_silent():
    told = xid(109, rich(), 1001)
    assert health(told)[0] == "degraded"
    hung = told.learn_gpus(Failed("Unresponsive", "x"), at=1040, duration=3)
    assert hung.told[0].gpu.verdicts[0].reason == "Xid109"
    over = hung.learn_gpus(Failed("Unresponsive", "x"), at=1062, duration=3)
    assert over.told[0].gpu.verdicts == ()


def test_a_gpu_that_fell_off_the_bus_is_failed_though_the_driver_hangs():
    hung = xid(79, rich(), 1001).learn_gpus(Failed("Unresponsive", "x"), at=1005, duration=3)
    assert health(hung) == {0: "failed", 1: "unknown"}


def test_an_event_without_a_uuid_is_the_gpus_of_its_index():
    assert [one.xid for one in gpus_now(xid(79, rich(), 1001, index=1), 0)[1].xids] == [79]


def test_measures_that_move_are_no_news():
    before = rich()
    moved = again(
        before,
        1010,
        utilization_ratio=0.1,
        memory_used_bytes=1,
        temperature_celsius=40,
        power_watts=60.0,
        processes=(),
        throttle_reasons=("gpu-idle",),
    )
    assert change(before, moved) is Change.NONE


def test_a_symptom_that_flaps_is_told_once():
    snapshot, news = rich(), 0
    for at in range(1010, 1310, 10):
        hot = 95 if at % 20 else 60
        after = again(snapshot, at, temperature_celsius=hot)
        news += change(snapshot, after) is not Change.NONE
        snapshot = after
    assert news == 1


def test_a_storm_of_one_error_is_not_a_storm_of_news():
    snapshot, news = rich(), 0
    for at in range(1000, 2000):
        after = xid(31, snapshot, at)
        news += change(snapshot, after) is not Change.NONE
        snapshot = after
    assert news < 30
    assert gpus_now(snapshot, 2000)[0].xids[-1].count == 1000


def test_pods_and_processes_wait_for_the_grid():
    before = rich()
    after = before.learn_pods(Reading(Pods()), at=1010, duration=0)
    after = after.learn_processes(Reading(Processes()), at=1010, duration=0)
    assert after.holders != before.holders
    assert change(before, after) is Change.NONE


def test_holders_are_forgotten_when_the_kubelet_is_silent_for_three_intervals():
    silent = rich().learn_pods(Failed("Refused", "x"), at=1010, duration=0)
    assert silent.holders[0][0].pod == "vllm-0"
    assert again(silent, 1090).holders[0][0].how == "exclusive"
    late = again(silent, 1091).holders
    assert [holder.how for holder in late.get(0, ())] != ["exclusive"]


def test_an_answer_like_the_last_is_not_worked_out_again():
    before = rich()
    same = before.learn_pods(Reading(PODS), at=1010, duration=0)
    assert same.attribution is before.attribution
    assert same.pods.good_at == 1010
    assert before.learn_processes(Reading(PROCESSES), at=1010, duration=0).attribution is (
        before.attribution
    )


def test_services_are_told_with_their_gpus():
    services = {one.name: one for one in rich().services or ()}
    assert (services["vllm"].gpus, services["vllm"].pod) == ((0,), "vllm-0")
    assert Snapshot().services is None


ABSENT, FAILED = Absent("NoDevice", "x"), Failed("Unresponsive", "x")


@pytest.mark.parametrize(
    ("nvidia", "others", "known"),
    [
        (None, None, False),
        (ABSENT, None, True),
        (Reading(Gpus("575")), None, True),
        (ABSENT, ABSENT, True),
        (FAILED, None, False),
        (FAILED, ABSENT, False),
        (None, ABSENT, False),
        (ABSENT, FAILED, False),
        (FAILED, Reading(Gpus("6.8", (Gpu(0),))), True),
    ],
)
def test_that_there_is_no_gpu_is_known_when_no_driver_is_silent(nvidia, others, known):
    snapshot = Snapshot()
    if nvidia is not None:
        snapshot = snapshot.learn_gpus(nvidia, at=1, duration=0)
    if others is not None:
        snapshot = snapshot.learn_drm(others, at=1, duration=0)
    assert snapshot.gpus_known is known


def test_a_pod_that_began_after_the_grants_were_read_is_not_accused_before_the_next_ones():
    # The kubelet is asked each 30 s, the driver each 10 s.
    began = Process(1000, 5, pod_uid="uid-new", container_id="c-new")
    snapshot = Snapshot().learn_pods(Reading(Pods((), ())), at=0.0, duration=0.0)
    snapshot = snapshot.learn_gpus(Reading(Gpus("575", (gpu(0),))), at=10.0, duration=0.0)
    snapshot = snapshot.learn_processes(Reading(Processes((began,))), at=10.1, duration=0.0)
    for at in (20.0, 29.0):
        snapshot = snapshot.learn_gpus(Reading(Gpus("575", (gpu(0),))), at=at, duration=0.0)
        assert [holder.how for holder in snapshot.holders[0]] == ["process"]
    snapshot = snapshot.learn_pods(Reading(Pods((), ())), at=30.0, duration=0.0)
    snapshot = snapshot.learn_gpus(Reading(Gpus("575", (gpu(0),))), at=39.0, duration=0.0)
    assert [holder.how for holder in snapshot.holders[0]] == ["unallocated"]


def test_a_sandbox_is_no_container_where_the_names_of_its_pods_containers_are_known():
    pause = ContainerUsage("uid-vllm", "c-pause")
    snapshot = rich().learn_containers(Reading((*CONTAINERS, pause)), at=1000, duration=0)
    assert snapshot.known_containers(1090) == CONTAINERS
    # A name may be missing for another reason when the names are old.
    assert snapshot.known_containers(1091) == (*CONTAINERS, pause)
    unnamed = Pods((replace(PODS.pods[0], containers=()),))
    nameless = snapshot.learn_pods(Reading(unnamed), at=1000, duration=0)
    assert nameless.known_containers(1000) == (*CONTAINERS, pause)
    assert Snapshot().known_containers(0) is None
