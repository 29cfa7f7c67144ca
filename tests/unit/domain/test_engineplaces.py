from dataclasses import replace

import pytest

from citadel_k8s.domain.attribution import Attribution
from citadel_k8s.domain.engineplaces import engines_on_gpus
from citadel_k8s.models.readings import Engine, Gpu, GpuProcess, Pod, Process, Processes

ENGINE = Engine("vllm", "llm", "running", "ok", pid=100)
PODS = Attribution(pods=(Pod("u1", "ns", "serve-0", (("c1", "vllm"),)),))


def gpu(index: int, *pids: int) -> Gpu:
    return Gpu(index, processes=tuple(GpuProcess(pid) for pid in pids))


def placed(
    engine: Engine, gpus: list[Gpu] | None, *processes: Process, attribution: Attribution = PODS
) -> Engine:
    (found,) = engines_on_gpus([engine], gpus, Processes(processes), attribution)
    return found


def test_an_engine_that_is_on_a_gpu_itself() -> None:
    found = placed(ENGINE, [gpu(0), gpu(1, 100)], Process(100, 1))
    assert found.gpus == (1,)


def test_an_engine_whose_workers_are_on_several_gpus() -> None:
    workers = [Process(101, 1, ancestors=(100, 1)), Process(102, 1, ancestors=(101, 100, 1))]
    found = placed(ENGINE, [gpu(0, 101), gpu(1, 102), gpu(2)], Process(100, 1), *workers)
    assert found.gpus == (0, 1)


def test_an_engine_whose_worker_is_no_child_but_in_the_same_container() -> None:
    worker = Process(200, 1, container_id="c1", pod_uid="u1")
    engine = replace(ENGINE, pid=None, container_id="c1")
    assert placed(engine, [gpu(0, 200)], worker).gpus == (0,)


def test_the_container_of_the_engines_process_counts_where_the_engine_names_none() -> None:
    own = Process(100, 1, container_id="c1", pod_uid="u1")
    worker = Process(200, 1, container_id="c1", pod_uid="u1")
    found = placed(ENGINE, [gpu(0, 200)], own, worker)
    assert found.gpus == (0,)
    assert (found.namespace, found.pod, found.container) == ("ns", "serve-0", "vllm")
    assert (found.pod_uid, found.container_id) == ("u1", "c1")


def test_a_containers_id_names_the_pod_where_the_kubelet_makes_no_cgroups_of_pods() -> None:
    found = placed(ENGINE, [gpu(0, 100)], Process(100, 1, container_id="c1"))
    assert (found.pod_uid, found.namespace, found.pod, found.container) == (
        "u1",
        "ns",
        "serve-0",
        "vllm",
    )


def test_an_engine_that_is_on_no_gpu() -> None:
    stranger = Process(300, 1, container_id="c9")
    assert placed(ENGINE, [gpu(0, 300)], Process(100, 1), stranger).gpus == ()
    assert placed(ENGINE, [], Process(100, 1)).gpus == ()


@pytest.mark.parametrize(
    ("gpus", "processes"),
    [
        (None, ()),
        ([Gpu(0, processes=None)], ()),
        ([gpu(0, 300)], ()),
        ([gpu(0, 300)], (Process(300, 1, known=False),)),
        ([replace(gpu(0), age_seconds=90.0)], ()),
    ],
    ids=[
        "no gpus could be read",
        "processes are hidden",
        "a process was gone",
        "a cgroup could not be read",
        "values of an earlier reading",
    ],
)
def test_nobody_can_say(gpus: list[Gpu] | None, processes: tuple[Process, ...]) -> None:
    assert placed(ENGINE, gpus, *processes).gpus is None


def test_what_was_found_counts_where_another_gpu_is_silent() -> None:
    assert placed(ENGINE, [Gpu(0, processes=None), gpu(1, 100)]).gpus == (1,)


def test_an_engine_of_which_neither_process_nor_container_is_known() -> None:
    engine = replace(ENGINE, pid=None, pod_uid="u1")
    found = placed(engine, [gpu(0)])
    assert found.gpus is None
    assert (found.namespace, found.pod, found.container) == ("ns", "serve-0", None)


def test_names_that_an_engine_has_are_kept() -> None:
    engine = replace(ENGINE, pod_uid="u1", pod="mine")
    assert placed(engine, [gpu(0)]).pod == "mine"


def test_a_pod_that_nobody_names_stays_unnamed() -> None:
    own = Process(100, 1, pod_uid="u2", container_id="c2")
    found = placed(ENGINE, [gpu(0, 100)], own)
    assert (found.gpus, found.pod_uid, found.pod, found.container) == ((0,), "u2", None, None)
