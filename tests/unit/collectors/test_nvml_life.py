"""How the NVML source lives: tiers, faults of one GPU, and a driver that comes and goes."""

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.native.fake_nvml import LIBRARY, MIB, FakeNvml, library
from tests.native.nvml_reader import NvmlReader


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NvmlReader]:
    reader = NvmlReader(FakeNvml(tmp_path_factory.mktemp("nvml"), count=8))
    yield reader
    reader.close()


@pytest.fixture
def reader(process: NvmlReader) -> Iterator[NvmlReader]:
    process.renew()
    yield process
    assert process.driver.state.misuses == 0


@pytest.fixture
def driver(reader: NvmlReader) -> FakeNvml:
    return reader.driver


def calls_of(reader: NvmlReader, gpu: int = 0) -> Counter[str]:
    return Counter(call for index, call in reader.calls() if index == gpu)


# Tiers


def test_the_first_collection_reads_all_and_later_ones_what_moves(
    reader: NvmlReader, driver: FakeNvml
):
    driver.processes(0, [(1, MIB)])
    tiers = []
    for _ in range(17):
        reader.gpus()
        calls = calls_of(reader)
        tiers.append(
            "".join(
                letter
                for letter, call in {
                    "f": "nvmlDeviceGetTemperature",
                    "p": "nvmlDeviceGetComputeRunningProcesses_v3",
                    "s": "nvmlDeviceGetEnforcedPowerLimit",
                    "i": "nvmlDeviceGetUUID",
                }.items()
                if calls[call]
            )
        )
    assert tiers == ["fpsi", *["fp", "fp", "fp", "fps"] * 4]


def test_links_are_read_with_all_and_then_seldom(reader: NvmlReader, driver: FakeNvml):
    driver.link(0, 2)
    counts = []
    for _ in range(21):
        reader.gpus()
        counts.append(sum(n for call, n in calls_of(reader).items() if "NvLink" in call))
    assert [number for number, count in enumerate(counts) if count] == [0, 10, 20]


def test_what_is_seldom_read_is_told_in_between(reader: NvmlReader, driver: FakeNvml):
    driver.processes(0, [(1, MIB)])
    first = reader.gpus()[0]
    driver.gpu(0).temperature = 66
    second = reader.gpus()[0]
    links = first.pop("nvlinks")  # told once, and carried by whoever asked
    assert links == []
    assert second == first | {"temperature_celsius": 66}


def test_all_is_read_when_that_is_asked_for(reader: NvmlReader, driver: FakeNvml):
    reader.gpus()
    driver.gpu(0).limit_milliwatts = 500_000
    assert reader.gpus()[0]["power_limit_watts"] == 700.0
    answer = reader.collect(everything=True)
    assert answer["value"]["gpus"][0]["power_limit_watts"] == 500.0


def test_the_generation_of_the_link_is_as_new_as_the_utilization(
    reader: NvmlReader, driver: FakeNvml
):
    driver.gpu(0).pcie[0] = 1
    assert reader.gpus()[0]["pcie"]["generation"] == 1
    # An idle GPU lowers it; beside a new utilization the old value would pass for a bad link.
    driver.gpu(0).pcie[0], driver.gpu(0).utilization = 5, 90
    gpu = reader.gpus()[0]
    assert (gpu["pcie"]["generation"], gpu["utilization_ratio"]) == (5, 0.9)


def test_what_never_changes_is_read_again_after_an_hour(reader: NvmlReader, driver: FakeNvml):
    reader.gpus()
    driver.count_calls("nvmlDeviceGetUUID")
    reader.measure(119)
    assert driver.state.counted_calls == 0
    reader.gpus()
    assert driver.state.counted_calls == 8


def test_what_a_gpu_lacks_is_tried_again_after_an_hour(reader: NvmlReader, driver: FakeNvml):
    driver.fail(0, 3, "nvmlDeviceGetPowerUsage")
    assert reader.gpus()[0]["power_watts"] is None
    driver.heal(0)
    reader.measure(119)
    assert reader.gpus()[0]["power_watts"] == 100.0


def test_a_gpu_that_comes_back_is_read_as_a_whole(reader: NvmlReader, driver: FakeNvml):
    reader.gpus()
    driver.fail(0, 15)
    assert reader.gpus()[0]["health"] == "failed"
    driver.heal(0)
    driver.gpu(0).limit_milliwatts = 500_000
    gpu = reader.gpus()[0]
    assert (gpu["health"], gpu["power_limit_watts"]) == ("ok", 500.0)


def test_a_call_that_hung_and_may_be_made_again_is_made_at_once(
    reader: NvmlReader, driver: FakeNvml
):
    skip = {(0, "nvmlDeviceGetEnforcedPowerLimit"): "it hung"}
    for _ in range(2):
        gpu = reader.gpus(skip)[0]
        # Of a tier that is not due, the call still hangs.
        assert (gpu["health"], gpu["reason"], gpu["message"]) == (
            "failed",
            "Unresponsive",
            "it hung",
        )
    assert gpu["power_limit_watts"] is None
    gpu = reader.gpus()[0]
    assert (gpu["health"], gpu["power_limit_watts"]) == ("ok", 700.0)


# Faults of one GPU


def test_one_lost_gpu_of_eight_leaves_seven_fresh(reader: NvmlReader, driver: FakeNvml):
    before = reader.gpus()
    driver.lose(3)
    for index in range(8):
        driver.gpu(index).temperature = 70 + index
    gpus = reader.gpus()
    assert (gpus[3]["health"], gpus[3]["reason"]) == ("failed", "GpuLost")
    assert gpus[3]["uuid"] == before[3]["uuid"]
    assert "temperature_celsius" not in gpus[3]
    assert "processes" not in gpus[3]
    others = [gpus[i] for i in range(8) if i != 3]
    assert [gpu["temperature_celsius"] for gpu in others] == [70, 71, 72, 74, 75, 76, 77]
    assert {gpu["health"] for gpu in others} == {"ok"}
    reader.gpus()
    # A GPU that is gone is asked one thing, which says so.
    assert sum(calls_of(reader, 3).values()) == 1


def test_a_lost_gpu_is_looked_for_anew_after_five_minutes_and_keeps_its_name(
    reader: NvmlReader, driver: FakeNvml
):
    uuid = reader.gpus()[3]["uuid"]
    driver.fail(3, 15)
    reader.measure(12)
    gpu = reader.gpus()[3]
    assert driver.state.inits == 2
    assert (gpu["reason"], gpu["uuid"]) == ("GpuLost", uuid)


def test_a_value_that_nobody_needs_to_judge_a_gpu_may_fail(reader: NvmlReader, driver: FakeNvml):
    driver.fail(0, 999, "nvmlDeviceGetClockInfo")
    driver.fail(1, 15, "nvmlDeviceGetNvLinkState")
    driver.link(1, 1)
    gpus = reader.gpus()
    assert (gpus[0]["clock_sm_hertz"], gpus[0]["health"]) == (None, "ok")
    # Whichever call says it: the GPU is gone.
    assert (gpus[1]["health"], gpus[1]["reason"]) == ("failed", "GpuLost")


def test_a_slow_driver_is_waited_for(reader: NvmlReader, driver: FakeNvml):
    driver.slow_down(0, 20_000, "nvmlDeviceGetPowerUsage")
    assert reader.gpus()[0]["power_watts"] == 100.0


# The driver's life


def test_each_state_of_a_driver_is_told_until_it_is_well(reader: NvmlReader, driver: FakeNvml):
    driver.start_with(9, 18, 999, 4, 17)
    told = [reader.collect() for _ in range(6)]
    assert [(answer["kind"], answer.get("reason")) for answer in told] == [
        ("absent", "DriverNotLoaded"),
        ("failed", "DriverMismatch"),
        ("failed", "NvmlUnknownError"),
        ("failed", "NoPermission"),
        ("failed", "NoPermission"),
        ("reading", None),
    ]
    assert "upgraded" in told[1]["message"]
    assert "restart the agent's pod" in told[2]["message"]
    assert "restart the agent's pod" in told[3]["message"]


@pytest.mark.parametrize("code", [4, 17, 999])
def test_a_container_that_lost_its_devices_is_told_what_to_do(
    reader: NvmlReader, driver: FakeNvml, code: int
):
    reader.gpus()
    for index in range(8):
        driver.fail(index, code)
    gpus = reader.gpus()
    assert {gpu["health"] for gpu in gpus} == {"unknown"}
    assert all("daemon-reload" in gpu["message"] for gpu in gpus)
    driver.state.init = 999
    answer = reader.collect()
    assert (answer["kind"], answer["reason"]) == ("failed", "NvmlUnknownError")
    driver.state.init = 0
    for index in range(8):
        driver.heal(index)
    assert {gpu["health"] for gpu in reader.gpus()} == {"ok"}


def test_gpus_that_are_all_lost_are_looked_for_anew_each_time(reader: NvmlReader, driver: FakeNvml):
    names = [gpu["uuid"] for gpu in reader.gpus()]
    for index in range(8):
        driver.fail(index, 15)
    for _ in range(3):
        gpus = reader.gpus()
        assert {gpu["reason"] for gpu in gpus} == {"GpuLost"}
        assert [gpu["uuid"] for gpu in gpus] == names
    assert driver.state.inits == 3
    for index in range(8):
        driver.heal(index)
    assert {gpu["health"] for gpu in reader.gpus()} == {"ok"}


def test_nvml_that_stopped_by_itself_is_started_in_the_same_collection(
    reader: NvmlReader, driver: FakeNvml
):
    reader.gpus()
    for index in range(8):
        driver.fail(index, 1)
    driver.count_calls("nvmlDeviceGetHandleByIndex")
    assert {gpu["reason"] for gpu in reader.gpus()} == {"Uninitialized"}
    assert driver.state.inits == 2


def test_a_driver_that_says_so_only_when_asked_is_a_failure_and_recovers(
    reader: NvmlReader, driver: FakeNvml
):
    reader.gpus()
    driver.state.every = 999
    answer = reader.collect()
    assert (answer["kind"], answer["reason"]) == ("failed", "NvmlUnknownError")
    driver.state.every = 0
    assert len(reader.gpus()) == 8
    assert driver.state.inits == 2


def test_a_driver_upgraded_under_a_running_library_asks_for_a_new_process(
    reader: NvmlReader, driver: FakeNvml
):
    reader.gpus()
    for index in range(8):
        driver.fail(index, 18)
    answer = reader.collect()
    assert (answer["kind"], answer["reason"]) == ("failed", "DriverMismatch")


def test_a_gpu_that_is_taken_out_is_gone_and_all_are_counted_anew(
    reader: NvmlReader, driver: FakeNvml
):
    reader.gpus()
    driver.state.count = 7
    driver.gpu(6).uuid = b"GPU-of-another-number"
    gpus = reader.gpus()
    assert len(gpus) == 7
    assert gpus[6]["uuid"] == "GPU-of-another-number"
    assert driver.state.inits == 2
    driver.state.count = 8
    assert len(reader.gpus()) == 8


def test_a_node_whose_gpus_are_all_taken_out_has_none(reader: NvmlReader, driver: FakeNvml):
    reader.gpus()
    driver.state.count = 0
    assert reader.gpus() == []


def test_a_hang_of_the_source_is_a_failure_and_one_of_the_events_is_not(reader: NvmlReader):
    answer = reader.collect({(None, "nvmlDeviceGetCount"): "it hung"})
    assert (answer["reason"], answer["message"]) == ("Unresponsive", "it hung")
    assert len(reader.gpus({(None, "nvmlEventSetWait"): "it hung"})) == 8
    assert [None, "nvmlEventSetCreate"] not in reader.calls()


@pytest.mark.parametrize("folder", ["run/nvidia/driver/usr/lib64", "usr/lib/x86_64-linux-gnu"])
def test_a_library_that_comes_late_in_the_drivers_root_is_found(tmp_path: Path, folder: str):
    reader = NvmlReader(FakeNvml(tmp_path, count=1), tmp_path / "host", visible=False)
    try:
        answer = reader.collect()
        assert (answer["kind"], answer["reason"]) == ("absent", "NvmlLibraryNotFound")
        (tmp_path / "host" / folder).mkdir(parents=True)
        shutil.copy(library(), tmp_path / "host" / folder / LIBRARY)
        assert len(reader.gpus()) == 1
    finally:
        reader.close()


def test_a_child_that_reads_nvml_imports_nothing_that_it_does_not_need():
    code = (
        "import sys, citadel_k8s.collectors.nvml\n"
        "heavy = {'subprocess', 'tempfile', 'random', 'dataclasses', 'typing', 'logging'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "import ctypes.util\n"
        "assert callable(ctypes.util.find_library)\n"
    )
    run = [sys.executable, "-c", code]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "[]\n"
