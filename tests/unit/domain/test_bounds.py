from dataclasses import replace

import pytest

from citadel_k8s.domain.bounds import MESSAGE_MAX, bounded
from citadel_k8s.domain.report import status_message
from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.models.codec import decode, encode
from citadel_k8s.models.readings import (
    ContainerUsage,
    GpuProcess,
    Gpus,
    Holder,
    MigInstance,
    Pods,
    Processes,
    Reading,
)
from tests.unit.domain.richnode import HOST, OLLAMA, SPEAKER, gpu, moment, rich

LONG = "é" * 2000 + "\x00\ud800"


def message(snapshot: Snapshot):
    told = status_message(SPEAKER, snapshot, moment(), seq=1)
    text = encode(told)
    assert len(text) <= MESSAGE_MAX
    assert decode(text) == told
    return told


def processes(count: int) -> Snapshot:
    many = tuple(GpuProcess(pid, "compute", 1) for pid in range(count))
    return rich().learn_gpus(
        Reading(Gpus("575", (gpu(0, processes=many), gpu(1)))), at=1000, duration=0
    )


def containers(count: int, snapshot: Snapshot | None = None) -> Snapshot:
    many = tuple(ContainerUsage(LONG, f"{n}{LONG}", 1.0, 1.0) for n in range(count))
    return (snapshot or rich()).learn_containers(Reading(many), at=1000, duration=0)


def models(services: int, count: int, snapshot: Snapshot | None = None) -> Snapshot:
    names = tuple(f"{n}-{LONG}" for n in range(count))
    many = tuple(
        replace(
            OLLAMA,
            name=f"s{n}",
            models=names,
            loaded_models=names,
            adapters=names,
            message=LONG,
            reason=LONG,
            namespace=LONG,
            pod=LONG,
            container=LONG,
            version=LONG,
        )
        for n in range(services)
    )
    return (snapshot or rich()).learn_engines(Reading(many), at=1000, duration=0)


def test_a_large_node_is_told_whole():
    told = message(rich())
    assert told.status.truncated is None
    assert told.status.gpu[0].processes


def test_ten_thousand_processes_are_dropped_and_the_rest_is_told():
    told = message(processes(10_000))
    assert told.status.truncated == ["gpus"]
    assert len(told.status.gpu[0].processes) == 256
    full = tuple(GpuProcess(pid, "compute", 1) for pid in range(250))
    gpus = tuple(gpu(n, processes=full) for n in range(24))
    told = message(rich().learn_gpus(Reading(Gpus("575", gpus)), at=1000, duration=0))
    assert told.status.truncated == ["processes"]
    assert told.status.gpu[0].processes is None
    assert told.status.gpu[0].health == "ok"
    assert told.status.containers


def test_containers_go_next_and_then_most_models():
    told = message(containers(500, models(4, 30)))
    assert told.status.truncated == ["processes", "containers"]
    assert message(containers(2000)).status.truncated == ["containers"]
    told = message(models(4, 900))
    assert told.status.truncated == ["processes", "containers", "models"]
    first = told.status.services[0]
    assert (len(first.models), len(first.loaded_models), first.adapters) == (8, 8, None)


def test_services_beyond_all_measure_are_cut():
    told = message(models(3000, 8))
    assert told.status.truncated[-1] == "services"
    assert len(told.status.services) == 32
    assert len(told.status.services[0].models) == 1


def test_more_gpus_than_any_node_has_are_not_taken():
    many = tuple(gpu(n, message=LONG, processes=None) for n in range(2000))
    told = message(rich().learn_gpus(Reading(Gpus("575", many)), at=1000, duration=0))
    assert "gpus" in told.status.truncated
    assert len(told.status.gpu) <= 64


def test_gpus_go_before_the_node_itself():
    whole = status_message(SPEAKER, rich(), moment(), seq=1)
    many = [whole.status.gpu[0]] * 200
    told = bounded(
        whole.model_copy(update={"status": whole.status.model_copy(update={"gpu": many})}),
        limit=60_000,
    )
    assert told.status.truncated[-1] == "gpus"
    assert len(told.status.gpu) == 32


def test_slices_and_holders_beyond_all_measure_are_dropped():
    slices = tuple(MigInstance(f"MIG-{n}", LONG) for n in range(2000))
    one = gpu(0, mig=slices, mig_enabled=True)
    snapshot = rich().learn_gpus(Reading(Gpus("575", (one,))), at=1000, duration=0)
    assert message(snapshot).status.truncated == ["gpus"]
    held = tuple(Holder(LONG, "exclusive", LONG, LONG) for _ in range(2000))
    told = message(replace(snapshot, holders={0: held}))
    assert told.status.truncated[-1] == "holders"
    assert told.status.gpu[0].name


def test_what_is_left_when_nothing_helps_is_who_speaks_and_how_its_host_is():
    told = bounded(status_message(SPEAKER, rich(), moment(), seq=1), limit=1)
    assert told.status.gpu is None
    assert told.status.services is None
    assert told.status.node.name == SPEAKER.node_name
    assert told.status.truncated[-1] == "everything"
    assert len(encode(told)) < 4000


@pytest.mark.parametrize("field", ["boot_id", "kernel"])
def test_no_text_of_any_source_makes_a_message_large(field: str):
    host = replace(HOST, **{field: LONG}, mesh_addresses=(LONG,) * 1000)
    one = gpu(0, uuid=LONG, name=LONG, vendor=LONG, pci_bus_id=LONG, reason=LONG, message=LONG)
    snapshot = rich().learn_host(Reading(host), at=1000, duration=0)
    snapshot = snapshot.learn_gpus(
        Reading(Gpus(LONG, (replace(one, throttle_reasons=(LONG,)),))), at=1000, duration=0
    )
    snapshot = snapshot.learn_engines(
        Reading((replace(OLLAMA, name=LONG, type=LONG, status=LONG, message=LONG),)),
        at=1000,
        duration=0,
    )
    assert message(snapshot).status.truncated is None


def test_everything_at_once_is_bounded():
    snapshot = models(150, 100, containers(2000, processes(2000)))
    snapshot = snapshot.learn_pods(Reading(Pods()), at=1000, duration=0)
    snapshot = snapshot.learn_processes(Reading(Processes()), at=1000, duration=0)
    assert message(snapshot).status.truncated


def test_a_node_of_which_little_is_known_is_bounded_too():
    told = bounded(status_message(SPEAKER, Snapshot(), moment()), limit=1)
    assert told.status.truncated[-1] == "everything"
