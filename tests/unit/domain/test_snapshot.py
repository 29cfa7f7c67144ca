"""What is known grows and ages by rules; `test_report` shows what a reader sees of it."""

from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.snapshot import Change, Known, Snapshot, fingerprint, gpus_now
from citadel_k8s.models.readings import Absent, Failed, Gpu, Gpus, Host, Outcome, Reading

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
    for gpu in gpus_now(after(outcomes), now + 100):
        if gpu.health != "ok" and gpu.memory_used_bytes is not None:
            assert gpu.age_seconds is not None
            assert gpu.age_seconds > 0


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
