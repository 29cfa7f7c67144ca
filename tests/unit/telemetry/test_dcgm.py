"""The names, labels and units that dashboards made for dcgm-exporter look for."""

from citadel_k8s.models.readings import Failed
from tests.unit.domain.richnode import rich
from tests.unit.telemetry.scraped import labelled, scrape


def test_the_aliases_have_the_units_and_labels_of_dcgm_exporter():
    assert not [name for name in scrape(rich()) if name.startswith("DCGM")]
    series = scrape(rich(), dcgm=True)
    key = labelled(
        gpu="0",
        UUID="GPU-0",
        pci_bus_id="00000000:00:00.0",
        device="nvidia0",
        modelName="NVIDIA H100 80GB HBM3",
        Hostname="gpu-1.example",
        DCGM_FI_DRIVER_VERSION="575.57.08",
        namespace="llm",
        pod="vllm-0",
        container="vllm",
    )
    expected = {
        "GPU_UTIL": 93,
        "FB_USED": 65536,
        "FB_FREE": 81559 - 65536,
        "GPU_TEMP": 61,
        "MEMORY_TEMP": 70,
        "POWER_USAGE": 512.34,
        "TOTAL_ENERGY_CONSUMPTION": 1_234_560,
        "SM_CLOCK": 1980,
        "MEM_CLOCK": 2619,
        "XID_ERRORS": 13,
        "ECC_SBE_VOL_TOTAL": 3,
        "ECC_DBE_VOL_TOTAL": 0,
        "PCIE_REPLAY_COUNTER": 2,
        "NVLINK_REPLAY_ERROR_COUNT_TOTAL": 18,
    }
    told = {name: series[f"DCGM_FI_DEV_{name}"].get(key) for name in expected}
    assert told == expected


def test_an_alias_names_a_container_only_where_one_holds_the_whole_gpu():
    series = scrape(rich(), dcgm=True)
    rows = {dict(k)["gpu"]: dict(k)["pod"] for k in series["DCGM_FI_DEV_FB_USED"]}
    assert rows == {"0": "vllm-0", "1": ""}


def test_the_aliases_go_with_their_source():
    hung = rich().learn_gpus(Failed("Unresponsive", "x"), at=1010, duration=3)
    assert not [name for name in scrape(hung, at=1061, dcgm=True) if name.startswith("DCGM")]
