"""What is read of NVIDIA GPUs, value by value, from a fake driver."""

from collections.abc import Iterator
from typing import Any

import pytest

from citadel_k8s.collectors.base import gpus_from
from citadel_k8s.models.readings import EccErrors, Gpu, GpuProcess, MigInstance, NvLink, RowRemap
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


def up(number: int, crc: int, replays: int, recoveries: int) -> NvLink:
    return NvLink(
        number, up=True, crc_errors=crc, replay_errors=replays, recovery_errors=recoveries
    )


def test_every_value_of_a_gpu_is_read_in_base_units(reader: NvmlReader, driver: FakeNvml):
    gpu = driver.gpu(1)
    gpu.throttle, gpu.replays, gpu.memory_utilization = 0x4 | 0x40, 3, 7
    gpu.ecc[:], gpu.remapped[:] = (1, 2, 3, 4), (5, 6, 1, 0)
    driver.link(1, 2)
    driver.gpu(1).links[1].errors[:] = (1, 2, 3, 4, 5)
    driver.processes(1, [(77, 900 * MIB)])
    driver.busy(1, 77, 30, at=10)
    value = gpus_from(reader.collect()["value"])
    assert (value.driver, value.cuda) == ("575.57.08", "12.9")
    assert value.gpus[1] == Gpu(
        index=1,
        uuid="GPU-00000001-0000-0000-0000-000000000000",
        name="NVIDIA H100 80GB HBM3",
        vendor="nvidia",
        pci_bus_id="00000000:11:00.0",
        memory_used_bytes=1001 * MIB,
        memory_total_bytes=81559 * MIB,
        utilization_ratio=0.1,
        memory_bus_ratio=0.07,
        temperature_celsius=41,
        memory_temperature_celsius=51,
        power_watts=101.0,
        power_limit_watts=700.0,
        energy_joules=5000.001,
        clock_graphics_hertz=1_980_000_000,
        clock_sm_hertz=1_980_000_000,
        clock_memory_hertz=2_619_000_000,
        throttle_reasons=("sw-power-cap", "hw-thermal"),
        ecc_enabled=True,
        ecc=EccErrors(1, 2, 3, 4),
        row_remap=RowRemap(5, 6, pending=True, failed=False),
        pcie=value.gpus[1].pcie,
        nvlinks=(
            up(0, 0, 0, 0),
            up(1, 3, 1, 2),
        ),
        mig_enabled=False,
        mig=None,
        processes=(GpuProcess(77, "compute", 900 * MIB, 0.3),),
        health="ok",
    )
    pcie = value.gpus[1].pcie
    assert pcie is not None
    assert (pcie.generation, pcie.generation_max, pcie.width, pcie.width_max) == (5, 5, 16, 16)
    # The call that would give throughput samples for 20 ms.
    assert (pcie.replays, pcie.rx_bytes_per_second) == (3, None)


@pytest.mark.parametrize(
    ("bit", "word"),
    [
        (0x1, "gpu-idle"),
        (0x2, "app-clocks"),
        (0x4, "sw-power-cap"),
        (0x8, "hw-slowdown"),
        (0x10, "sync-boost"),
        (0x20, "sw-thermal"),
        (0x40, "hw-thermal"),
        (0x80, "hw-power-brake"),
        (0x100, "display-clock"),
    ],
)
def test_each_reason_of_low_clocks_is_a_word(
    reader: NvmlReader, driver: FakeNvml, bit: int, word: str
):
    driver.gpu(0).throttle = bit
    assert read(reader)[0].throttle_reasons == (word,)


@pytest.mark.parametrize(
    ("newer", "check"),
    [
        ("nvmlDeviceGetMemoryInfo_v2", lambda g: g.memory_used_bytes == 1600 * MIB),
        ("nvmlDeviceGetTemperature", lambda g: g.temperature_celsius == 40),
        ("nvmlDeviceGetCurrentClocksEventReasons", lambda g: g.throttle_reasons == ("gpu-idle",)),
        ("nvmlDeviceGetFieldValues", lambda g: g.energy_joules == 5000.0),
        ("nvmlDeviceGetFieldValues", lambda g: g.ecc == EccErrors(1, 2, 3, 4)),
        ("nvmlDeviceGetFieldValues", lambda g: g.ecc_enabled is True),
        (
            "nvmlDeviceGetFieldValues",
            lambda g: g.row_remap == RowRemap(5, 6, pending=True, failed=False),
        ),
        ("nvmlDeviceGetFieldValues", lambda g: g.pcie.replays == 9),
        ("nvmlDeviceGetFieldValues", lambda g: len(g.nvlinks) == 2),
    ],
)
def test_where_one_call_is_missing_another_gives_the_value(
    reader: NvmlReader, driver: FakeNvml, newer: str, check: Any
):
    gpu = driver.gpu(0)
    gpu.throttle, gpu.replays = 1, 9
    gpu.ecc[:], gpu.remapped[:] = (1, 2, 3, 4), (5, 6, 1, 0)
    driver.link(0, 2)
    driver.fail(0, 13, newer)
    found = read(reader)[0]
    assert check(found)
    assert found.health == "ok"


def test_fields_that_a_gpu_lacks_are_not_known_and_not_asked_for_again(
    reader: NvmlReader, driver: FakeNvml
):
    driver.lack(0, 82, 83)
    driver.fail(0, 3, "nvmlDeviceGetTotalEnergyConsumption")
    driver.count_calls("nvmlDeviceGetFieldValues")
    gpu = read(reader)[0]
    assert (gpu.memory_temperature_celsius, gpu.energy_joules, gpu.health) == (None, None, "ok")
    first = driver.state.counted_calls
    read(reader)
    assert (first, driver.state.counted_calls - first) == (4, 1)


def test_a_gpu_older_than_row_remapping_tells_its_retired_pages(
    reader: NvmlReader, driver: FakeNvml
):
    for index, pages in enumerate([(3, 2, 1), (60, 4, 0)]):
        driver.lack(index, 142, 143, 144, 145)
        driver.fail(index, 3, "nvmlDeviceGetRemappedRows")
        driver.gpu(index).retired[:] = pages
    first, second = read(reader)
    assert first.row_remap == RowRemap(3, 2, pending=True, failed=False)
    assert second.row_remap == RowRemap(60, 4, pending=False, failed=True)


def test_counters_of_switched_off_error_correction_are_not_known(
    reader: NvmlReader, driver: FakeNvml
):
    driver.gpu(0).ecc_mode = 0
    gpu = read(reader)[0]
    assert (gpu.ecc_enabled, gpu.ecc) == (False, None)


def test_links_end_at_the_first_that_is_not_there_and_one_that_is_down_has_no_counters(
    reader: NvmlReader, driver: FakeNvml
):
    driver.link(0, 3)
    driver.gpu(0).links[1].up = 0
    driver.lack(0, 91)
    driver.count_calls("nvmlDeviceGetNvLinkState")
    first, second = read(reader)
    assert first.nvlinks == (
        up(0, 0, 0, 0),
        NvLink(1, up=False),
        up(2, 0, 0, 0),
    )
    assert second.nvlinks == ()
    assert driver.state.counted_calls == 4


def test_a_gpu_without_links_of_which_nobody_says_so_has_none_known(
    reader: NvmlReader, driver: FakeNvml
):
    driver.lack(0, 91)
    assert read(reader)[0].nvlinks is None


# Processes


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
    for _ in range(3):
        gpu = read(reader)[1]
    # Process 2 has no sample since: the one that has shows that the driver gives samples.
    assert ratios(gpu) == [0.5, 0.0, 0.0]
    for _ in range(3):
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


# Garbage


@pytest.mark.parametrize(
    ("field", "value", "reads", "core"),
    [
        ("memory_used", 2**64 - 1, "memory_used_bytes", True),
        ("memory_used", 90_000 * MIB, "memory_used_bytes", True),
        ("memory_total", 0, "memory_total_bytes", True),
        ("memory_total", 2**64 - 1, "memory_total_bytes", True),
        ("utilization", 101, "utilization_ratio", True),
        ("utilization", 2**32 - 1, "utilization_ratio", True),
        ("temperature", 201, "temperature_celsius", True),
        ("temperature", 2**32 - 51, "temperature_celsius", True),
        ("memory_utilization", 101, "memory_bus_ratio", False),
        ("memory_temperature", 201, "memory_temperature_celsius", False),
        ("memory_temperature", 0, "memory_temperature_celsius", False),
        ("power_milliwatts", 2**32 - 1, "power_watts", False),
        ("limit_milliwatts", 0, "power_limit_watts", False),
        ("energy_millijoules", 2**64 - 1, "energy_joules", False),
        ("mig_mode", 7, "mig_enabled", False),
        ("ecc_mode", 9, "ecc_enabled", False),
    ],
)
def test_a_value_that_cannot_be_is_not_known_and_a_reason_if_the_gpu_hangs_on_it(
    reader: NvmlReader, driver: FakeNvml, *, field: str, value: int, reads: str, core: bool
):
    setattr(driver.gpu(0), field, value)
    broken, whole = read(reader)
    assert getattr(broken, reads) is None
    assert (broken.health, broken.reason) == (("unknown", "BadValue") if core else ("ok", None))
    assert whole.health == "ok"


def test_cold_is_a_temperature(reader: NvmlReader, driver: FakeNvml):
    driver.gpu(0).temperature = 2**32 - 20
    assert read(reader)[0].temperature_celsius == -20


def test_counters_and_links_that_cannot_be_are_not_known(reader: NvmlReader, driver: FakeNvml):
    gpu = driver.gpu(0)
    gpu.ecc[:], gpu.remapped[:] = (2**64 - 1,) * 4, (2**64 - 1, 0, 0, 0)
    gpu.retired[:] = (2**64 - 1,) * 3
    gpu.pcie[:], gpu.replays = (2**32 - 1,) * 4, 2**64 - 1
    gpu.clocks[:] = (2**32 - 1,) * 4
    driver.link(0, 1)
    gpu.links[0].errors[:] = (2**64 - 1,) * 5
    found = read(reader)[0]
    assert (found.ecc, found.row_remap, found.health) == (None, None, "ok")
    assert found.pcie is not None
    assert (found.pcie.generation, found.pcie.width_max, found.pcie.replays) == (None, None, None)
    assert found.clock_sm_hertz is None
    assert found.nvlinks == (NvLink(0, up=True),)


def test_a_driver_that_counts_endless_links_ends(reader: NvmlReader, driver: FakeNvml):
    driver.gpu(0).link_count = 2**32 - 1
    links = read(reader)[0].nvlinks
    assert links is not None
    assert len(links) <= 36


def test_text_is_made_fit_to_leave_the_node(reader: NvmlReader, driver: FakeNvml):
    driver.gpu(0).name = b"H100\x1b[31m\n" + b"x" * 85
    driver.gpu(1).name = b"\xff\xfe"
    driver.gpu(1).pci = b"\xff"
    driver.state.driver = b"\xff575"
    answer = reader.collect()
    assert answer["value"]["driver"] is None
    first, second = gpus_from(answer["value"]).gpus
    assert first.name is not None
    assert first.name.startswith("H100 [31m x")
    assert first.health == "ok"
    assert (second.name, second.pci_bus_id, second.reason) == (None, None, "BadText")
    assert second.temperature_celsius == 41


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


@pytest.mark.parametrize("cuda", [0, 999, 2**31])
def test_a_cuda_version_that_cannot_be_is_not_known(
    reader: NvmlReader, driver: FakeNvml, cuda: int
):
    driver.state.cuda = cuda
    assert reader.collect()["value"]["cuda"] is None


def test_an_absurd_count_of_gpus_is_a_failure(reader: NvmlReader, driver: FakeNvml):
    driver.state.count = 2**32 - 1
    answer = reader.collect()
    assert (answer["kind"], answer["reason"]) == ("failed", "BadValue")
    driver.state.count = 2
    assert len(read(reader)) == 2
