"""What is read of NVIDIA GPUs, value by value, from a fake driver."""

from collections.abc import Iterator
from typing import Any

import pytest

from citadel_k8s.collectors.base import gpus_from
from citadel_k8s.collectors.nvml_fast import THROTTLE_WORDS
from citadel_k8s.models.readings import EccErrors, Gpu, GpuProcess, NvLink, RowRemap
from citadel_k8s.telemetry.gpu_metrics import THROTTLE
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
        throttle_reasons=("sw-power-cap", "hw-thermal-slowdown"),
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


def test_reasons_of_low_clocks_are_those_that_have_series():
    assert set(THROTTLE) <= {word for _, word in THROTTLE_WORDS}


@pytest.mark.parametrize(
    ("bit", "word"),
    [
        (0x1, "gpu-idle"),
        (0x2, "applications-clocks"),
        (0x4, "sw-power-cap"),
        (0x8, "hw-slowdown"),
        (0x10, "sync-boost"),
        (0x20, "sw-thermal-slowdown"),
        (0x40, "hw-thermal-slowdown"),
        (0x80, "hw-power-brake-slowdown"),
        (0x100, "display-clocks"),
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
    assert (first, driver.state.counted_calls - first) == (6, 1)


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
