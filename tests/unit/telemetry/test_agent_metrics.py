from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from citadel_k8s.aio.outbox import Freshness
from citadel_k8s.domain.report import Moment, Speaker
from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.models.readings import Absent, Engine, Failed, Gpu, Gpus, Host, Reading
from citadel_k8s.telemetry.agent_metrics import AgentMetrics, Exposed

GPU = Gpu(0, "GPU-0", "H100", 50, 100, 0.5, 60, 300.0, 700.0, "ok")
VLLM = Engine("vllm", "llm", "running", "ok", "vllm", 8000, ("m1", 'odd"name\\'), 3.0, 0.0)
FRESH = Freshness(last_success=900.0, last_attempt=950.0, consecutive_failures=2, sent=5, failed=3)


def known(*gpus: Gpu, at: float = 1000.0) -> Snapshot:
    snapshot = Snapshot().learn_gpus(Reading(Gpus("575", gpus or (GPU,))), at=at, duration=0.25)
    return replace(
        snapshot,
        host=snapshot.host.learn(Reading(Host(cpu_ratio=0.5)), at=at, duration=0.1),
        engines=snapshot.engines.learn(Reading((VLLM,)), at=at, duration=0.1),
    )


def scrape(
    snapshot: Snapshot, *, at: float = 1000.0, freshness: Freshness | None = FRESH
) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    exposed = Exposed(
        speaker=Speaker("n1", "n1", "b", 30.0, "1.2.3"),
        snapshot=snapshot,
        moment=Moment(date=5000.0, monotonic=at, uptime=1.0),
        freshness=freshness,
        transport="redis",
        waiting=1,
        loop_lag=0.01,
    )
    body, content_type = AgentMetrics(lambda: exposed).render("")
    assert content_type.startswith("text/plain")
    series: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in prometheus(body.decode()):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            series.setdefault(sample.name, {})[labels] = sample.value
    return series


KEY = (("gpu", "0"), ("uuid", "GPU-0"))


def test_gpu_series_are_in_base_units():
    series = scrape(known())
    assert series["citadel_gpu_utilization_ratio"] == {KEY: 0.5}
    assert series["citadel_gpu_memory_used_bytes"] == {KEY: 50}
    assert series["citadel_gpu_memory_total_bytes"] == {KEY: 100}
    assert series["citadel_gpu_memory_used_ratio"] == {KEY: 0.5}
    assert series["citadel_gpu_temperature_celsius"] == {KEY: 60}
    assert series["citadel_gpu_power_watts"] == {KEY: 300}
    assert series["citadel_gpu_healthy"] == {KEY: 1}
    assert series["citadel_gpu_info"] == {
        (("driver_version", "575"), *KEY[:1], ("model", "H100"), *KEY[1:]): 1
    }


def test_services_and_their_models_are_told():
    series = scrape(known())
    assert series["citadel_service_up"] == {
        (("port", "8000"), ("service", "vllm"), ("type", "llm")): 1
    }
    assert series["citadel_service_models"] == {(("service", "vllm"),): 2}
    assert set(series["citadel_service_model_info"]) == {
        (("model", "m1"), ("service", "vllm")),
        (("model", 'odd"name\\'), ("service", "vllm")),
    }
    assert series["citadel_service_requests_running"] == {(("service", "vllm"),): 3}


def test_heartbeats_are_counted_by_result_and_dated():
    series = scrape(known())
    assert series["citadel_heartbeat_sent_total"] == {
        (("result", "success"), ("transport", "redis")): 5,
        (("result", "failure"), ("transport", "redis")): 3,
    }
    assert series["citadel_heartbeat_last_success_timestamp_seconds"] == {(): 900}
    assert series["citadel_heartbeat_consecutive_failures"] == {(): 2}
    assert series["citadel_heartbeat_queue_length"] == {(): 1}


def test_before_the_first_success_there_is_no_date_instead_of_a_zero():
    series = scrape(known(), freshness=Freshness(consecutive_failures=1, failed=1))
    assert "citadel_heartbeat_last_success_timestamp_seconds" not in series


def test_where_nothing_is_sent_nothing_is_counted():
    assert not [n for n in scrape(known(), freshness=None) if "heartbeat" in n]


def test_a_source_that_hangs_loses_its_series_after_two_intervals_and_is_down():
    hung = known().learn_gpus(Failed("Unresponsive", "x"), at=1010, duration=3)
    early, late = scrape(hung, at=1059), scrape(hung, at=1061)
    assert "citadel_gpu_memory_used_bytes" in early
    assert not [name for name in late if name.startswith("citadel_gpu_")]
    for series in (early, late):
        assert series["citadel_collector_up"][("collector", "nvml"),] == 0
    state = (("collector", "nvml"), ("state", "failed"))
    assert late["citadel_collector_state"][state] == 1
    assert late["citadel_collector_last_success_timestamp_seconds"][("collector", "nvml"),] == 4939


def test_a_source_that_says_nothing_at_all_is_down_after_two_intervals():
    assert scrape(known(), at=1059)["citadel_collector_up"][("collector", "host"),] == 1
    assert scrape(known(), at=1061)["citadel_collector_up"][("collector", "host"),] == 0


def test_a_hung_gpu_loses_its_series_and_the_others_keep_theirs():
    other = replace(GPU, index=1, uuid="GPU-1")
    hung = Gpu(0, health="failed", reason="Unresponsive")
    snapshot = known(GPU, other).learn_gpus(
        Reading(Gpus("575", (hung, other))), at=1070, duration=3
    )
    series = scrape(snapshot, at=1070)
    uuids = [dict(labels)["uuid"] for labels in series["citadel_gpu_memory_used_bytes"]]
    assert uuids == ["GPU-1"]
    assert series["citadel_gpu_healthy"][KEY] == 0


def test_where_it_is_known_that_there_is_no_gpu_its_source_is_neither_up_nor_down():
    snapshot = Snapshot().learn_gpus(Absent("NvmlLibraryNotFound", "x"), at=1000, duration=0)
    series = scrape(snapshot)
    assert ("collector", "nvml") not in {labels[0] for labels in series["citadel_collector_up"]}
    state = (("collector", "nvml"), ("state", "absent"))
    assert series["citadel_collector_state"][state] == 1


def test_what_is_unknown_has_no_series():
    series = scrape(known(Gpu(0, uuid="GPU-0", health="unknown")))
    assert "citadel_gpu_healthy" not in series or not series["citadel_gpu_healthy"]
    assert not series.get("citadel_gpu_power_watts")
    assert "citadel_host_memory_used_bytes" not in series


@pytest.mark.parametrize("snapshot", [Snapshot(), known()])
def test_a_scraper_that_asks_for_openmetrics_gets_it(snapshot: Snapshot):
    exposed = Exposed(
        Speaker("n1", "n1", "b", 30.0, "1"), snapshot, Moment(5.0, 1000.0, 1.0), FRESH, "redis",
        0, 0.0,
    )  # fmt: skip
    body, content_type = AgentMetrics(lambda: exposed).render(
        "application/openmetrics-text;version=1.0.0"
    )
    assert content_type.startswith("application/openmetrics-text")
    names = [family.name for family in openmetrics(body.decode())]
    assert "citadel_heartbeat_sent" in names
    assert len(names) == len(set(names))
