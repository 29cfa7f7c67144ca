"""An answer of any size becomes one that the largest node could give."""

from dataclasses import replace

import pytest

from citadel_k8s.collectors import cgroups
from citadel_k8s.domain import intake
from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.models.readings import (
    Absent,
    ContainerUsage,
    Failed,
    GpuProcess,
    Gpus,
    Listener,
    MigInstance,
    Pod,
    Pods,
    Process,
    Processes,
    Reading,
)
from tests.unit.domain.richnode import CONTAINERS, GPUS, OLLAMA, PODS, PROCESSES, VLLM, gpu, rich

TAKERS = (intake.gpus, intake.engines, intake.pods, intake.processes, intake.containers)


@pytest.mark.parametrize(
    ("take", "value"),
    [
        (intake.gpus, GPUS),
        (intake.engines, (VLLM, OLLAMA)),
        (intake.pods, PODS),
        (intake.processes, PROCESSES),
        (intake.containers, CONTAINERS),
    ],
)
def test_a_usual_answer_is_taken_as_it_is(take, value):
    outcome = Reading(value)
    assert take(outcome) is outcome


@pytest.mark.parametrize("take", TAKERS)
@pytest.mark.parametrize("outcome", [Absent("a", "b"), Failed("a", "b")])
def test_a_failure_is_taken_as_it_is(take, outcome):
    assert take(outcome) is outcome


def test_gpus_and_what_is_on_each_are_limited():
    crowd = tuple(GpuProcess(pid) for pid in range(1000))
    slices = tuple(MigInstance(f"MIG-{n}") for n in range(1000))
    full = (gpu(0, processes=crowd, mig=slices), gpu(1, processes=None))
    one, two = intake.gpus(Reading(Gpus("575", full))).value.gpus
    assert (len(one.processes), len(one.mig)) == (intake.GPU_PROCESSES_MAX,) * 2
    assert two is full[1]
    many = tuple(gpu(n) for n in range(1000))
    assert len(intake.gpus(Reading(Gpus("575", many))).value.gpus) == intake.GPUS_MAX


def test_services_and_their_models_are_limited_and_unknown_models_stay_so():
    names = tuple(f"m{n}" for n in range(5000))
    full = replace(VLLM, models=names, loaded_models=None, adapters=names)
    (one,) = intake.engines(Reading((full,))).value
    assert (len(one.models), one.loaded_models) == (intake.MODELS_MAX, None)
    assert len(intake.engines(Reading((VLLM,) * 5000)).value) == intake.ENGINES_MAX


def test_pods_processes_ports_and_containers_are_limited():
    pods = Pods(tuple(Pod(str(n), "a", str(n)) for n in range(5000)), PODS.allocations)
    taken = intake.pods(Reading(pods)).value
    assert (len(taken.pods), taken.allocations) == (intake.PODS_MAX, PODS.allocations)
    found = Processes(
        tuple(Process(n, 0) for n in range(9999)), tuple(Listener(n, "::") for n in range(9999))
    )
    kept = intake.processes(Reading(found)).value
    assert len(kept.processes) == len(kept.listeners) == intake.PROCESSES_MAX
    usage = tuple(ContainerUsage(str(n), str(n)) for n in range(9999))
    assert len(intake.containers(Reading(usage)).value) == intake.CONTAINERS_MAX


def test_a_source_that_was_cut_is_named_until_it_is_taken_whole():
    many = tuple(replace(OLLAMA, name=f"s{n}") for n in range(1000))
    cut = rich().learn_engines(Reading(many), at=1000, duration=0)
    assert cut.cut == {"engines"}
    assert cut.learn_engines(Reading((VLLM,)), at=1010, duration=0).cut == frozenset()
    assert Snapshot().cut == frozenset()


def test_a_node_with_too_many_containers_says_so():
    usage = tuple(ContainerUsage("uid", f"c{n}") for n in range(cgroups.CONTAINERS_MAX))
    snapshot = Snapshot().learn_containers(Reading(usage), at=0.0, duration=0.0)
    assert snapshot.cut == {"containers"}
