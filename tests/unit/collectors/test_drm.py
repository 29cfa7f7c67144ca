import shutil
from pathlib import Path

import pytest

from citadel_k8s.collectors.base import gpus_from
from citadel_k8s.collectors.drm import LIST_CARDS, LIST_PROCESSES, READ_CARD, DrmSource
from citadel_k8s.collectors.drmcards import parse_level, parse_ras
from citadel_k8s.collectors.lines import WHOLE_GPU
from citadel_k8s.models.readings import EccErrors, Gpu, GpuProcess, Pcie
from tests.unit.collectors import trees


def answer(root: Path, skip=None, source: DrmSource | None = None):
    source = source or DrmSource(str(root))
    return source.collect(lambda _gpu, _call: None, skip or {}, {})


def read(root: Path, skip=None) -> tuple[Gpu, ...]:
    given = answer(root, skip)
    assert given["kind"] == "reading", given
    return gpus_from(given["value"]).gpus


def test_a_card_of_amd_is_read(tmp_path: Path):
    trees.amd_card(tmp_path, 1)
    assert read(tmp_path) == (
        Gpu(
            index=0,
            uuid="GPU-deadbeef00c0ffee",
            name="AMD Instinct MI300X",
            vendor="amd",
            pci_bus_id="0000:03:00.0",
            memory_used_bytes=1 << 30,
            memory_total_bytes=206141652992,
            utilization_ratio=0.42,
            memory_bus_ratio=0.07,
            temperature_celsius=51,
            memory_temperature_celsius=44,
            power_watts=140.5,
            power_limit_watts=750.0,
            clock_graphics_hertz=2_100_000_000,
            clock_memory_hertz=900_000_000,
            ecc_enabled=True,
            ecc=EccErrors(corrected_volatile=25, uncorrected_volatile=1),
            pcie=Pcie(generation=5, generation_max=5, width=16, width_max=16, replays=0),
            health="ok",
        ),
    )


def test_a_card_of_intel_is_read(tmp_path: Path):
    files = {
        "drm/card0/lmem_total_bytes": "51539607552",
        "drm/card0/lmem_avail_bytes": "50465865728",
        "drm/card0/gt_act_freq_mhz": "1550",
        "hwmon/hwmon1/name": "i915",
        "hwmon/hwmon1/power1_max": "300000000",
        "hwmon/hwmon1/energy1_input": "12500000",
        "hwmon/hwmon1/temp1_input": "48000",
    }
    trees.intel_card(tmp_path, 0, files=files)
    assert read(tmp_path) == (
        Gpu(
            index=0,
            uuid="PCI-0000:4d:00.0",
            name="Intel Data Center GPU Max 1100",
            vendor="intel",
            pci_bus_id="0000:4d:00.0",
            memory_used_bytes=1 << 30,
            memory_total_bytes=51539607552,
            temperature_celsius=48,
            power_limit_watts=300.0,
            energy_joules=12.5,
            clock_graphics_hertz=1_550_000_000,
            health="ok",
        ),
    )


def test_a_card_by_the_driver_xe_is_read(tmp_path: Path):
    files = {
        "tile0/gt0/freq0/act_freq": "2400",
        "hwmon/hwmon1/temp2_label": "pkg",
        "hwmon/hwmon1/temp2_input": "51000",
        "hwmon/hwmon1/temp3_label": "vram",
        "hwmon/hwmon1/temp3_input": "60000",
    }
    trees.intel_card(tmp_path, 0, device="0xe20b", driver="xe", files=files)
    (gpu,) = read(tmp_path)
    assert gpu.name == "Intel Arc B580"
    assert (gpu.temperature_celsius, gpu.memory_temperature_celsius) == (51, 60)
    assert gpu.clock_graphics_hertz == 2_400_000_000
    assert (gpu.memory_total_bytes, gpu.memory_used_bytes) == (None, None)
    assert gpu.health == "ok"


def test_power_is_made_of_energy_where_only_that_is_counted(tmp_path: Path):
    times = iter([10.0, 20.0, 30.0])
    source = DrmSource(str(tmp_path), lambda: next(times))
    watts = []
    for microjoules in (1_000_000, 1_501_000_000, 1_000_000):
        files = {"hwmon/hwmon1/energy1_input": str(microjoules)}
        trees.intel_card(tmp_path, 0, files=files)
        watts.append(answer(tmp_path, source=source)["value"]["gpus"][0]["power_watts"])
    assert watts == [None, 150.0, None]


def test_cards_are_numbered_by_their_place_on_the_bus(tmp_path: Path):
    trees.amd_card(tmp_path, 0, slot="0000:c3:00.0", above=["0000:c0:01.1"])
    trees.amd_card(tmp_path, 9, slot="0000:03:00.0")
    trees.amd_card(tmp_path, 10, slot="0000:43:00.0", above=["0000:40:01.1"])
    gpus = read(tmp_path)
    assert [gpu.index for gpu in gpus] == [0, 1, 2]
    assert [gpu.pci_bus_id for gpu in gpus] == ["0000:03:00.0", "0000:43:00.0", "0000:c3:00.0"]


def test_what_is_no_card_of_amd_or_intel_is_left_out(tmp_path: Path):
    trees.amd_card(tmp_path, 0)
    names = tmp_path / "sys/class/drm"
    for name in ("card0-DP-1", "renderD128", "version", "card", "cardx"):
        (names / name).symlink_to(names / "card0")
    trees.amd_card(tmp_path, 1, slot="0000:05:00.0", files={"vendor": "0x10de"})
    trees.write(tmp_path / "sys/class/drm/card2/nothing", "")
    assert len(read(tmp_path)) == 1


def test_graphics_of_a_cpu_are_no_gpu_of_a_fleet(tmp_path: Path):
    trees.intel_card(tmp_path, 0, slot="0000:00:02.0", files={"drm/card0/gt_act_freq_mhz": "300"})
    trees.amd_card(tmp_path, 1, files={"mem_info_vram_total": str(512 << 20)})
    given = answer(tmp_path)
    assert (given["kind"], given["reason"]) == ("absent", "NoDrmGpus")


@pytest.mark.parametrize("folder", ["", "sys/class", "sys/class/drm"])
def test_a_host_without_cards_has_none(tmp_path: Path, folder: str):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    given = answer(tmp_path)
    assert (given["kind"], given["reason"]) == ("absent", "NoDrmGpus")


def test_a_folder_that_cannot_be_listed_is_a_failure(tmp_path: Path):
    trees.write(tmp_path / "sys/class/drm", "a file")
    assert answer(tmp_path)["reason"] == "DrmUnreadable"


AMD_FIELDS = [
    ("mem_info_vram_used", "memory_used_bytes"),
    ("gpu_busy_percent", "utilization_ratio"),
    ("mem_busy_percent", "memory_bus_ratio"),
    ("hwmon/hwmon3/temp2_input", "temperature_celsius"),
    ("hwmon/hwmon3/temp3_input", "memory_temperature_celsius"),
    ("hwmon/hwmon3/power1_input", "power_watts"),
    ("hwmon/hwmon3/power1_cap", "power_limit_watts"),
    ("pp_dpm_sclk", "clock_graphics_hertz"),
    ("ras/umc_err_count", "ecc"),
    ("ras/umc_err_count", "ecc_enabled"),
]


@pytest.mark.parametrize(("file", "field"), AMD_FIELDS)
@pytest.mark.parametrize("content", [None, "", "garbage", "-1", "ue: x", "0: *\n", "\x00\x1b\xff"])
def test_a_file_that_is_missing_or_garbled_makes_its_figure_unknown(
    tmp_path: Path, file: str, field: str, content: str | None
):
    path = trees.amd_card(tmp_path, 0) / file
    trees.unreadable(path) if content is None else path.write_text(content)
    (gpu,) = read(tmp_path)
    assert getattr(gpu, field) is None
    assert (gpu.health, gpu.memory_total_bytes) == ("ok", 206141652992)


def test_a_card_that_is_pulled_out_is_gone_at_the_next_look(tmp_path: Path):
    trees.amd_card(tmp_path, 0)
    folder = trees.amd_card(tmp_path, 1, slot="0000:05:00.0", above=["0000:00:03.1"])
    source = DrmSource(str(tmp_path))
    assert len(answer(tmp_path, source=source)["value"]["gpus"]) == 2
    shutil.rmtree(folder)
    assert len(answer(tmp_path, source=source)["value"]["gpus"]) == 1


def test_a_card_of_which_nothing_can_be_read_is_not_well(tmp_path: Path):
    folder = trees.amd_card(tmp_path, 0)
    for path in folder.iterdir():
        if path.name not in {"vendor", "uevent", "drm"}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (gpu,) = read(tmp_path)
    assert (gpu.health, gpu.reason) == ("unknown", "Unreadable")
    assert gpu.name == "AMD GPU of an unknown model"


@pytest.mark.parametrize("call", [WHOLE_GPU, READ_CARD])
def test_a_card_that_hung_is_left_alone_and_the_others_are_read(tmp_path: Path, call: str):
    trees.amd_card(tmp_path, 0)
    trees.amd_card(tmp_path, 1, slot="0000:05:00.0", above=["0000:00:03.1"])
    first, second = read(tmp_path, {(0, call): "no answer for 10 s"})
    assert (first.health, first.reason) == ("failed", "Unresponsive")
    assert first.message == "no answer for 10 s"
    assert first.uuid == "GPU-deadbeef00c0ffee"
    assert second.health == "ok"
    assert answer(tmp_path, {(None, LIST_CARDS): "hung"})["reason"] == "Unresponsive"


def test_each_card_is_announced(tmp_path: Path):
    trees.amd_card(tmp_path, 0)
    calls: list[tuple[int | None, str]] = []
    DrmSource(str(tmp_path)).collect(lambda gpu, call: calls.append((gpu, call)), {}, {})
    assert calls == [(None, LIST_CARDS), (0, READ_CARD), (None, LIST_PROCESSES)]


def test_a_card_that_sleeps_is_not_woken(tmp_path: Path):
    trees.amd_card(tmp_path, 0, files={"power/runtime_status": "suspended"})
    (gpu,) = read(tmp_path)
    assert (gpu.health, gpu.memory_total_bytes) == ("ok", 206141652992)
    assert gpu.utilization_ratio is None


def test_a_name_is_the_cards_own_before_ours(tmp_path: Path):
    trees.amd_card(tmp_path, 0, files={"product_name": "AMD Instinct MI300X\x1b[0m OAM"})
    assert read(tmp_path)[0].name == "AMD Instinct MI300X [0m OAM"
    trees.amd_card(tmp_path, 0, device="0x9999", files={"product_name": ""})
    assert read(tmp_path)[0].name == "AMD GPU 0x9999"


@pytest.mark.parametrize("unique", ["", "0", "0x0000000000000000"])
def test_a_card_without_an_identity_is_known_by_its_place(tmp_path: Path, unique: str):
    trees.amd_card(tmp_path, 0, files={"unique_id": unique})
    assert read(tmp_path)[0].uuid == "PCI-0000:03:00.0"


def test_the_link_is_that_of_the_slot_where_the_card_has_a_switch_on_board(tmp_path: Path):
    above = ["0000:00:01.1", "0000:01:00.0", "0000:02:00.0"]
    folder = trees.amd_card(tmp_path, 0, above=above)
    for bridge, vendor, speed in (
        (folder.parent, "0x1002", "32.0 GT/s PCIe"),
        (folder.parents[1], "0x1002", "8.0 GT/s PCIe"),
        (folder.parents[2], "0x1022", "2.5 GT/s PCIe"),
    ):
        trees.write(bridge / "vendor", vendor + "\n")
        trees.write(bridge / "class", "0x060400\n")
        trees.write(bridge / "current_link_speed", speed + "\n")
        trees.write(bridge / "current_link_width", "8\n")
    pcie = read(tmp_path)[0].pcie
    assert pcie is not None
    assert (pcie.generation, pcie.width) == (3, 8)


def test_edge_is_the_temperature_where_a_card_has_it(tmp_path: Path):
    files = {"hwmon/hwmon3/temp1_label": "edge", "hwmon/hwmon3/temp1_input": "39000"}
    trees.amd_card(tmp_path, 0, files=files)
    assert read(tmp_path)[0].temperature_celsius == 39


def test_the_driver_is_named_with_its_version_where_it_has_one(tmp_path: Path):
    trees.amd_card(tmp_path, 0)
    assert answer(tmp_path)["value"]["driver"] == "amdgpu"
    trees.write(tmp_path / "sys/module/amdgpu/version", "6.8.5\n")
    assert answer(tmp_path)["value"]["driver"] == "amdgpu 6.8.5"


def test_the_number_of_cards_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("citadel_k8s.collectors.drm.CARDS_MAX", 3)
    for i in range(5):
        trees.amd_card(tmp_path, i, slot=f"0000:{i:02x}:00.0")
    assert len(read(tmp_path)) == 3


def test_levels_and_counts_are_parsed_as_written():
    assert parse_level("S: 19Mhz *\n0: 132Mhz\n") == 19_000_000
    assert parse_ras("ue: 3 ce: 4 de: 5") == (3, 4)


def test_the_compute_processes_of_amd_are_told_by_card(tmp_path: Path):
    trees.amd_card(tmp_path, 0, slot="0000:03:00.0")
    trees.amd_card(tmp_path, 1, slot="0001:c3:00.0", above=["0001:c0:01.1"])
    trees.amd_card(tmp_path, 2, slot="0001:d3:00.0", above=["0001:d0:01.1"])
    trees.intel_card(tmp_path, 3)
    trees.kfd_node(tmp_path, 0, 0)
    for node, (gpu, slot) in enumerate(
        [(7, "0000:03:00"), (8, "0001:c3:00"), (9, "0001:c3:00")], 1
    ):
        trees.kfd_node(tmp_path, node, gpu, slot)
    trees.kfd_process(tmp_path, 4242, {7: 0, 8: 100, 9: 50})
    trees.kfd_process(tmp_path, 4343, {7: 0})
    trees.write(tmp_path / "sys/class/kfd/kfd/proc/self/vram_7", "5\n")
    trees.write(tmp_path / "sys/class/kfd/kfd/proc/99/vram_7", "garbage\n")
    first, intel, second, third = read(tmp_path)
    assert first.processes == ()
    assert second.processes == (GpuProcess(4242, "compute", memory_used_bytes=150),)
    assert (intel.processes, third.processes) == (None, None)


def test_processes_that_hung_or_cannot_be_listed_are_unknown(tmp_path: Path):
    trees.amd_card(tmp_path, 0)
    assert read(tmp_path)[0].processes is None
    trees.kfd_node(tmp_path, 1, 7, "0000:03:00")
    trees.kfd_process(tmp_path, 4242, {7: 5})
    assert read(tmp_path)[0].processes is not None
    assert read(tmp_path, {(None, LIST_PROCESSES): "hung"})[0].processes is None
    trees.write(tmp_path / "sys/class/kfd/kfd/topology/nodes/1/properties", "location_id x")
    assert read(tmp_path)[0].processes is None


def test_this_machines_cards_can_be_read_or_are_known_to_be_none():
    assert answer(Path("/"))["kind"] in {"reading", "absent"}
