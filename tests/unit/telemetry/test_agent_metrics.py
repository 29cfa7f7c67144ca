import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from citadel_k8s.aio.outbox import Freshness
from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.models.readings import (
    Absent,
    ContainerUsage,
    Failed,
    Gpu,
    GpuEvent,
    Gpus,
    Host,
    Pod,
    Pods,
    Reading,
)
from tests.unit.domain.richnode import GPUS, OLLAMA, PODS, VLLM, gpu, moment, rich
from tests.unit.telemetry.scraped import (
    ONE,
    OPENMETRICS,
    ZERO,
    everything,
    labelled,
    metrics,
    of_gpu,
    scrape,
)

DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"


def test_gpu_series_are_in_base_units():
    series = scrape(rich())
    assert series["citadel_gpu_utilization_ratio"] == {ZERO: 0.93}
    assert series["citadel_gpu_memory_used_bytes"][ZERO] == 65536 * 1024**2
    assert series["citadel_gpu_memory_used_ratio"][ZERO] == pytest.approx(65536 / 81559)
    assert series["citadel_gpu_temperature_celsius"][ZERO] == 61
    assert series["citadel_gpu_power_watts"][ZERO] == 512.34
    assert series["citadel_gpu_energy_joules_total"][ZERO] == 1234.56
    assert of_gpu(series, "citadel_gpu_clock_hertz", type="memory") == {"0": 2.619e9, "1": 2.619e9}
    assert series["citadel_gpu_healthy"] == {ZERO: 1, ONE: 1}
    assert series["citadel_gpu_pcie_lanes"][ZERO] == 16
    assert of_gpu(series, "citadel_gpu_nvlinks", state="up") == {"0": 18, "1": 18}
    assert of_gpu(series, "citadel_gpu_nvlink_errors_total", type="replay")["0"] == 18


def test_a_gpu_and_its_slices_say_what_they_are():
    rows = [dict(labels) for labels in scrape(rich())["citadel_gpu_info"]]
    assert {(r["gpu"], r["uuid"], r["mig_profile"]) for r in rows} == {
        ("0", "GPU-0", ""),
        ("1", "GPU-1", ""),
        ("1", "MIG-1a", "1g.10gb"),
        ("1", "MIG-1b", "1g.10gb"),
    }
    assert rows[0]["driver_version"] == "575.57.08"
    assert rows[0]["model"] == "NVIDIA H100 80GB HBM3"
    assert rows[0]["pci_bus_id"] == "00000000:00:00.0"


def test_containers_that_hold_gpus_are_told_without_a_series_for_processes_outside():
    series = scrape(rich())
    holder = labelled(uuid="GPU-0", namespace="llm", pod="vllm-0", container="vllm")
    idle = labelled(uuid="MIG-1b", namespace="lab", pod="notebook", container="jupyter")
    assert series["citadel_gpu_pod_info"] == {holder: 1, idle: 1}
    assert series["citadel_gpu_pod_idle_seconds"] == {idle: 0}
    assert series["citadel_gpu_pod_memory_used_bytes"][holder] == 65000 * 1024**2


def test_throttling_is_a_set_of_states():
    states = {
        dict(labels)["reason"]: value
        for labels, value in scrape(rich())["citadel_gpu_throttle"].items()
        if dict(labels)["gpu"] == "0"
    }
    assert states["sw-power-cap"] == 1
    assert sum(states.values()) == 1
    assert len(states) >= 9


def test_errors_of_the_driver_are_counted_by_number():
    twice = rich().learn_event(GpuEvent("xid", 0, "GPU-0", 13), at=1000, date=6000.0)
    series = scrape(twice)
    key = labelled(gpu="0", uuid="GPU-0", xid="13")
    assert series["citadel_gpu_xid_errors_total"] == {key: 2}
    assert series["citadel_gpu_xid_last_timestamp_seconds"] == {key: 6000}
    later = twice.learn_event(GpuEvent("xid", 0, "GPU-0", 31), at=1000, date=6001.0)
    assert scrape(twice)["citadel_gpu_last_xid"] == {ZERO: 13}
    assert scrape(later)["citadel_gpu_last_xid"] == {ZERO: 31}
    verdict = labelled(
        gpu="0", uuid="GPU-0", reason="Xid13", severity="warning", cause="application"
    )
    assert series["citadel_gpu_verdict"] == {verdict: 1}


def test_services_and_their_models_are_told():
    series = scrape(rich())
    vllm = labelled(service="vllm", port="8000", namespace="llm", pod="vllm-0")
    assert series["citadel_service_up"][labelled(**dict(vllm), type="llm")] == 1
    assert series["citadel_service_models"][vllm] == 2
    assert series["citadel_service_requests_running"] == {vllm: 12}
    assert series["citadel_service_kv_cache_ratio"] == {vllm: 0.4567}
    assert series["citadel_service_time_to_first_token_median_seconds"] == {vllm: 0.1234}
    assert labelled(**dict(vllm), model="adapter-a") in series["citadel_service_model_info"]


def test_a_service_that_runs_and_is_not_ready_is_not_up():
    starting = replace(VLLM, health="starting")
    series = scrape(Snapshot().learn_engines(Reading((starting,)), at=1000, duration=0))
    assert list(series["citadel_service_up"].values()) == [0]


def test_two_services_of_one_name_are_one_series_each_or_the_first():
    same = Snapshot().learn_engines(
        Reading((VLLM, replace(VLLM, health="unhealthy"), replace(VLLM, port=8001))),
        at=1000,
        duration=0,
    )
    ports = {dict(k)["port"]: v for k, v in scrape(same)["citadel_service_up"].items()}
    assert ports == {"8000": 1, "8001": 1}


def test_containers_are_told_by_name_or_by_id():
    series = scrape(rich())
    named = labelled(namespace="llm", pod="vllm-0", container="vllm")
    other = labelled(namespace="", pod="uid-lost", container="c-0123456789")
    assert series["citadel_container_cpu_cores"] == {named: 3.25, other: 0.001}
    assert series["citadel_container_cpu_seconds_total"][named] == 100.5
    assert series["citadel_container_memory_limit_bytes"] == {named: 64 * 1024**3}


def test_the_hosts_figures_are_told():
    series = scrape(rich())
    assert series["citadel_host_cpu_ratio"] == {(): 0.1234}
    assert series["citadel_host_pressure_ratio"][labelled(resource="io")] == 0.5
    assert series["citadel_host_network_receive_bytes_total"] == {(): 123}


def test_heartbeats_are_counted_by_result_and_dated():
    series = scrape(rich())
    assert series["citadel_heartbeat_sent_total"] == {
        labelled(result="success", transport="redis"): 5,
        labelled(result="failure", transport="redis"): 3,
    }
    assert series["citadel_heartbeat_last_success_timestamp_seconds"] == {(): 900}
    assert series["citadel_heartbeat_consecutive_failures"] == {(): 2}
    assert series["citadel_heartbeat_queue_length"] == {(): 1}


def test_the_configuration_is_told():
    series = scrape(rich())
    assert series["citadel_config_info"] == {labelled(revision="7"): 1}
    assert series["citadel_config_failed"] == {(): 0}
    assert series["citadel_config_applied_timestamp_seconds"] == {(): 1_795_417_200}


def test_without_a_configuration_nothing_is_told_of_one():
    assert not [name for name in scrape(rich(), config=None) if "config" in name]


def test_before_the_first_success_there_is_no_date_instead_of_a_zero():
    series = scrape(rich(), freshness=Freshness(consecutive_failures=1, failed=1))
    assert "citadel_heartbeat_last_success_timestamp_seconds" not in series


def test_where_nothing_is_sent_nothing_is_counted():
    names = {n for n in scrape(rich(), freshness=None) if "heartbeat" in n}
    assert names == {"citadel_heartbeat_interval_seconds"}


def test_a_source_that_hangs_loses_its_series_after_two_intervals_and_is_down():
    hung = rich().learn_gpus(Failed("Unresponsive", "x"), at=1010, duration=3)
    early, late = scrape(hung, at=1059), scrape(hung, at=1061)
    assert "citadel_gpu_memory_used_bytes" in early
    # What the agent counted itself stays true.
    assert {name for name in late if name.startswith("citadel_gpu_")} == {
        "citadel_gpu_xid_errors_total",
        "citadel_gpu_xid_last_timestamp_seconds",
        "citadel_gpu_last_xid",
        "citadel_gpu_events_lost_total",
    }
    for series in (early, late):
        assert series["citadel_collector_up"][("collector", "nvml"),] == 0
    assert late["citadel_collector_state"][labelled(collector="nvml", state="failed")] == 1
    date = late["citadel_collector_last_success_timestamp_seconds"][("collector", "nvml"),]
    assert date == pytest.approx(moment(1000).date)


@pytest.mark.parametrize(
    ("source", "prefix"),
    [
        ("host", "citadel_host_"),
        ("containers", "citadel_container_"),
        ("engines", "citadel_service_"),
    ],
)
def test_a_source_that_says_nothing_at_all_is_down_and_gone_after_two_intervals(source, prefix):
    early, late = scrape(rich(), at=1059), scrape(rich(), at=1061)
    assert early["citadel_collector_up"][("collector", source),] == 1
    assert [name for name in early if name.startswith(prefix)]
    assert late["citadel_collector_up"][("collector", source),] == 0
    assert not [name for name in late if name.startswith(prefix)]


def test_a_hung_gpu_loses_its_series_and_the_others_keep_theirs():
    snapshot = Snapshot().learn_gpus(Reading(Gpus("575", (gpu(0), gpu(1)))), at=1000, duration=0)
    hung = Gpu(0, health="failed", reason="Unresponsive")
    snapshot = snapshot.learn_gpus(Reading(Gpus("575", (hung, gpu(1)))), at=1070, duration=3)
    series = scrape(snapshot, at=1070)
    assert set(series["citadel_gpu_memory_used_bytes"]) == {ONE}
    assert series["citadel_gpu_healthy"] == {ZERO: 0, ONE: 1}


def test_where_it_is_known_that_there_is_no_gpu_its_source_is_neither_up_nor_down():
    snapshot = Snapshot().learn_gpus(Absent("NvmlLibraryNotFound", "x"), at=1000, duration=0)
    series = scrape(snapshot)
    assert not series.get("citadel_collector_up", {}).keys() & {(("collector", "nvml"),)}
    assert series["citadel_collector_state"][labelled(collector="nvml", state="absent")] == 1


def test_gpus_of_other_makers_are_told_beside_nvidias_under_numbers_of_their_own():
    card = Gpu(0, name="AMD Instinct MI300X", vendor="amd", utilization_ratio=0.5, health="ok")
    both = rich().learn_drm(Reading(Gpus("6.8.0", (card,))), at=1000, duration=0)
    series = scrape(both)
    assert of_gpu(series, "citadel_gpu_utilization_ratio") == {"0": 0.93, "2": 0.5}
    rows = {dict(k)["gpu"]: dict(k)["driver_version"] for k in series["citadel_gpu_info"]}
    assert rows["2"] == "6.8.0"
    late = both.learn_gpus(Reading(GPUS), at=1070, duration=0)
    assert set(of_gpu(scrape(late, at=1070), "citadel_gpu_healthy")) == {"0", "1"}


def test_what_is_unknown_has_no_series():
    bare = Snapshot().learn_gpus(
        Reading(Gpus(None, (Gpu(0, uuid="GPU-0", health="unknown"),))), at=1000, duration=0
    )
    series = scrape(bare.learn_host(Reading(Host()), at=1000, duration=0))
    names = {name for name in series if name.startswith(("citadel_gpu_", "citadel_host_"))}
    assert names == {"citadel_gpu_info", "citadel_gpu_events_lost_total"}


@pytest.mark.parametrize("snapshot", [Snapshot(), rich(), everything()])
@pytest.mark.parametrize("dcgm", [False, True])
def test_a_scraper_that_asks_for_openmetrics_gets_it(snapshot: Snapshot, *, dcgm: bool):
    body, content_type = metrics(snapshot, dcgm=dcgm).render(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    names = [family.name for family in openmetrics(body.decode())]
    assert "citadel_heartbeat_sent" in names
    assert len(names) == len(set(names))


def test_no_family_is_told_twice_and_each_name_ends_as_its_unit_asks():
    families = list(metrics(everything(), dcgm=True).collect())
    assert max(Counter(family.name for family in families).values()) == 1
    for family in families:
        assert family.samples
        if not family.name.startswith("DCGM"):
            assert re.fullmatch(r"citadel_[a-z0-9_]+", family.name)
            assert "percent" not in family.name
            assert (family.kind == "counter") is family.name.endswith("_total")


HOSTILE = 'odd"name\\with\nbreaks\x00\ud800' + "x" * 500


def test_names_from_outside_break_nothing():
    services = (replace(VLLM, name=HOSTILE, models=(HOSTILE, HOSTILE + "y")),)
    snapshot = rich().learn_engines(Reading(services), at=1000, duration=0)
    odd = replace(gpu(0), uuid=HOSTILE, name=HOSTILE, throttle_reasons=(HOSTILE,))
    snapshot = snapshot.learn_gpus(Reading(Gpus(HOSTILE, (odd,))), at=1000, duration=0)
    for accept, parse in (("", prometheus), (OPENMETRICS, openmetrics)):
        body, _ = metrics(snapshot, dcgm=True).render(accept)
        assert max(map(len, body.splitlines())) < 2000
        assert list(parse(body.decode()))


def test_a_store_of_ten_thousand_models_does_not_become_ten_thousand_series():
    many = replace(OLLAMA, models=tuple(f"model-{n}" for n in range(10_000)))
    series = scrape(Snapshot().learn_engines(Reading((many,)), at=1000, duration=0))
    assert len(series["citadel_service_model_info"]) == 256
    assert list(series["citadel_service_models"].values()) == [1000]


def test_pods_that_come_and_go_leave_no_series():
    snapshot, counts = rich(), set()
    for turn in range(200):
        uid = f"uid-{turn}"
        pod = Pod(uid, "jobs", f"job-{turn}", ((f"c-{turn}", "main"),))
        grant = replace(PODS.allocations[0], namespace="jobs", pod=f"job-{turn}", container="main")
        pods = Pods((pod,), (grant,))
        usage = ContainerUsage(uid, f"c-{turn}", 1.0, 1.0, 1.0, 1, 1, 0)
        engine = replace(VLLM, name=f"job-{turn}", container_id=f"c-{turn}", pod_uid=uid)
        snapshot = snapshot.learn_pods(Reading(pods), at=1000 + turn, duration=0)
        snapshot = snapshot.learn_containers(Reading((usage,)), at=1000 + turn, duration=0)
        snapshot = snapshot.learn_engines(Reading((engine,)), at=1000 + turn, duration=0)
        snapshot = snapshot.learn_gpus(Reading(GPUS), at=1000 + turn, duration=0)
        body, _ = metrics(snapshot, at=1000 + turn).render("")
        counts.add(sum(not line.startswith(b"#") for line in body.splitlines()))
        others = re.findall(rb'(?:uid|job)-(\d+)"', body)
        assert set(others) <= {str(turn).encode()}
    assert len(counts) <= 3  # the host's series go when it is not read again


def documented() -> dict[str, tuple[str, str, str]]:
    """Give type, labels and meaning of each metric of the document."""
    rows = re.findall(
        r"^\| `((?:citadel|DCGM)_\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|$",
        DOCUMENT.read_text(),
        re.MULTILINE,
    )
    return {name: (kind, labels.strip(), text.strip()) for name, kind, labels, text in rows}


def test_the_document_lists_each_metric_with_its_labels_and_meaning():
    told = {}
    for family in metrics(everything(), dcgm=True).collect():
        labels = ", ".join(f"`{name}`" for name in family.labels)
        told[family.name] = (family.kind, labels, family.text)
    assert documented() == told
