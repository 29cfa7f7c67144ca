"""Processes and slices of NVIDIA GPUs, as a fake driver tells them."""

import ctypes
from collections.abc import Iterator

import pynvml
import pytest

from citadel_k8s.collectors.base import gpus_from
from citadel_k8s.collectors.nvml_processes import _ENTRY, _SAMPLE
from citadel_k8s.models.readings import Gpu, GpuProcess, MigInstance
from tests.native.fake_nvml import MIB, FakeNvml
from tests.native.nvml_reader import NvmlReader


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NvmlReader]:
    reader = NvmlReader(FakeNvml(tmp_path_factory.mktemp("nvml"), count=2))
    yield reader
    reader.close()


@pytest.fixture
def reader(process: NvmlReader) -> NvmlReader:
    process.renew()
    return process


@pytest.fixture
def driver(reader: NvmlReader) -> FakeNvml:
    return reader.driver


def read(reader: NvmlReader) -> tuple[Gpu, ...]:
    answer = reader.collect()
    assert answer["kind"] == "reading", answer
    return gpus_from(answer["value"]).gpus


def test_lists_are_unpacked_as_the_library_lays_them_out():
    assert _ENTRY.size == ctypes.sizeof(pynvml.c_nvmlProcessInfo_v3_t)
    assert _SAMPLE.size == ctypes.sizeof(pynvml.c_nvmlProcessUtilizationSample_t)


def test_processes_of_all_kinds_are_told_once_each(reader: NvmlReader, driver: FakeNvml):
    driver.processes(
        0, [(1, 10 * MIB), (2, 20 * MIB, "mps"), (3, 2**64 - 1, "graphics"), (3, 5 * MIB)]
    )
    assert read(reader)[0].processes == (
        GpuProcess(1, "compute", 10 * MIB, 0.0),
        GpuProcess(2, "mps", 20 * MIB, 0.0),
        GpuProcess(3, "compute", 5 * MIB, 0.0),
    )


def test_memory_that_the_driver_does_not_tell_is_not_known(reader: NvmlReader, driver: FakeNvml):
    driver.processes(0, [(1, 2**64 - 1), (2, 200_000 * MIB)])
    processes = read(reader)[0].processes
    assert processes is not None
    assert [p.memory_used_bytes for p in processes] == [None, None]


@pytest.mark.parametrize(("used", "known"), [(4, True), (512, True), (513, False), (1000, False)])
def test_no_processes_with_memory_in_use_are_hidden_ones(
    reader: NvmlReader, driver: FakeNvml, used: int, *, known: bool
):
    driver.gpu(0).memory_used = used * MIB
    assert read(reader)[0].processes == (() if known else None)


def test_the_reserve_that_the_first_version_counts_as_used_hides_nobody(
    reader: NvmlReader, driver: FakeNvml
):
    driver.fail(0, 3, "nvmlDeviceGetMemoryInfo_v2")
    assert read(reader)[0].processes == ()
    driver.gpu(0).memory_used = 3000 * MIB
    for _ in range(3):
        gpu = read(reader)[0]
    assert gpu.processes is None


def test_processes_that_nobody_may_list_are_not_known(reader: NvmlReader, driver: FakeNvml):
    driver.fail(0, 4, "nvmlDeviceGetComputeRunningProcesses_v3")
    gpu = read(reader)[0]
    assert (gpu.processes, gpu.health) == (None, "ok")


def test_how_busy_a_process_is_comes_of_its_newest_sample(reader: NvmlReader, driver: FakeNvml):
    driver.processes(1, [(1, MIB), (2, MIB), (3, MIB)])
    driver.busy(1, 1, 40, at=5)
    driver.busy(1, 2, 400, at=6)
    assert ratios(read(reader)[1]) == [0.4, None, 0.0]
    driver.busy(1, 1, 50, at=7)
    gpu = read(reader)[1]
    # Process 2 has no sample since: the one that has shows that the driver gives samples.
    assert ratios(gpu) == [0.5, 0.0, 0.0]
    gpu = read(reader)[1]
    # The GPU is busy, and nobody says with whom.
    assert ratios(gpu) == [None, None, None]


def test_on_a_gpu_that_gives_no_samples_nothing_is_known_of_a_process(
    reader: NvmlReader, driver: FakeNvml
):
    driver.processes(0, [(1, MIB)])
    driver.fail(0, 3, "nvmlDeviceGetProcessUtilization")
    assert ratios(read(reader)[0]) == [None]


def ratios(gpu: Gpu) -> list[float | None]:
    assert gpu.processes is not None
    return [process.utilization_ratio for process in gpu.processes]


def test_of_endless_processes_the_largest_are_kept(reader: NvmlReader, driver: FakeNvml):
    driver.gpu(0).phantoms = 100_000
    processes = read(reader)[0].processes
    assert processes is not None
    assert len(processes) == 256
    assert {p.pid for p in processes} == set(range(199_744, 200_000))


def test_more_processes_than_can_be_are_not_known(reader: NvmlReader, driver: FakeNvml):
    driver.gpu(0).phantoms = 140_000
    gpu = read(reader)[0]
    assert (gpu.processes, gpu.health) == (None, "ok")


def test_process_ids_that_cannot_be_are_left_out(reader: NvmlReader, driver: FakeNvml):
    driver.processes(0, [(0, MIB), (2**32 - 1, MIB), (9, MIB)])
    processes = read(reader)[0].processes
    assert processes is not None
    assert [p.pid for p in processes] == [9]


# Slices


def test_slices_and_their_processes_are_told_with_their_ids(reader: NvmlReader, driver: FakeNvml):
    driver.slice(0, ["1g.10gb", "3g.40gb"])
    driver.processes(0, [(5, 50 * MIB), (6, 60 * MIB)])
    for process, instance in zip(driver.gpu(0).processes, (7, 8), strict=False):
        process.gpu_instance, process.compute_instance = instance, 0
    gpu = read(reader)[0]
    assert (gpu.mig_enabled, gpu.utilization_ratio, gpu.health) == (True, None, "ok")
    assert gpu.mig == (
        MigInstance(
            "MIG-00000000-0000-0000-0000-000000000000", "1g.10gb", 7, 0, 100 * MIB, 10240 * MIB
        ),
        MigInstance(
            "MIG-00000000-0001-0000-0000-000000000000", "3g.40gb", 8, 0, 101 * MIB, 10240 * MIB
        ),
    )
    assert gpu.processes == (
        GpuProcess(5, "compute", 50 * MIB, None, 7, 0),
        GpuProcess(6, "compute", 60 * MIB, None, 8, 0),
    )


def test_slices_of_one_id_are_one(reader: NvmlReader, driver: FakeNvml):
    driver.slice(0, ["1g.10gb", "1g.10gb"])
    driver.gpu(0).slices[1].uuid = driver.gpu(0).slices[0].uuid
    mig = read(reader)[0].mig
    assert mig is not None
    assert len(mig) == 1


def test_a_busy_slice_without_processes_has_hidden_ones(reader: NvmlReader, driver: FakeNvml):
    driver.slice(0, ["1g.10gb"])
    driver.gpu(0).slices[0].memory_used = 600 * MIB
    gpu = read(reader)[0]
    assert gpu.mig is not None
    assert gpu.processes is None


def test_a_gpu_that_leaves_mig_mode_tells_again_what_it_did_not_there(
    reader: NvmlReader, driver: FakeNvml
):
    driver.slice(0, ["1g.10gb"])
    assert read(reader)[0].utilization_ratio is None
    driver.slice(0, [])
    driver.gpu(0).utilization = 30
    for _ in range(4):
        gpu = read(reader)[0]
    assert (gpu.mig_enabled, gpu.mig, gpu.utilization_ratio) == (False, None, 0.3)
