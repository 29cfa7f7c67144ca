from dataclasses import replace

import pytest

from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.domain.stats import stats_of
from citadel_k8s.models.readings import Absent, Engine, Failed, Gpu, Gpus, Outcome, Reading
from tests.unit.domain.richnode import DATE, OLLAMA, VLLM, gpu, rich

IDLE = gpu(0, utilization_ratio=0.0, memory_used_bytes=0, temperature_celsius=0, power_watts=0.04)


def told(snapshot: Snapshot, at: float = 1000.0) -> dict:
    stats = stats_of(snapshot, date=DATE + at - 1000.0, now=at)
    return {} if stats is None else stats.model_dump(exclude_none=True)


def with_gpus(outcome: Outcome[Gpus], at: float = 1000.0) -> Snapshot:
    return Snapshot().learn_gpus(outcome, at=at, duration=0)


def with_engines(*engines: Engine) -> Snapshot:
    return Snapshot().learn_engines(Reading(engines), at=1000, duration=0)


def test_a_present_zero_is_real():
    assert told(with_gpus(Reading(Gpus("575", (IDLE,)))))["gpus"] == [
        {
            "i": 0,
            "util_pct": 0.0,
            "mem_used_mb": 0,
            "mem_total_mb": 81559,
            "temp_c": 0,
            "power_w": 0.0,
        }
    ]


def test_what_is_not_known_is_absent():
    bare = Gpu(0, temperature_celsius=40, health="ok")
    assert told(with_gpus(Reading(Gpus("575", (bare,)))))["gpus"] == [{"i": 0, "temp_c": 40}]


def test_the_block_has_its_version_and_the_date_of_its_oldest_figure():
    stats = told(rich(at=1000), at=1010)
    assert (stats["v"], stats["ts"]) == (1, int(DATE))
    younger = rich(at=1000).learn_engines(Reading((VLLM,)), at=1009, duration=0)
    assert told(younger, at=1010)["ts"] == int(DATE)


def test_an_engine_is_told_in_the_blocks_units():
    assert told(with_engines(VLLM, OLLAMA))["inference"] == [
        {
            "engine": "vllm",
            "port": 8000,
            "model": "llama-3.1-70b",
            "gen_tps": 1234.6,
            "prompt_tps": 99.9,
            "kv_cache_pct": 45.7,
            "running": 12.0,
            "waiting": 0.0,
            "ttft_ms_p50": 123.4,
            "e2e_ms_p50": 2500.0,
        }
    ]


def test_counts_are_whole_numbers_as_they_travel():
    stats = stats_of(with_engines(replace(VLLM, requests_waiting=0.5)), date=DATE, now=1000.0)
    assert stats is not None
    text = stats.model_dump_json(exclude_none=True)
    assert '"running":12,"waiting":0.5' in text


@pytest.mark.parametrize(
    "change", [{"engine": "ollama"}, {"port": None}, {"health": "starting"}, {"engine": None}]
)
def test_only_ready_engines_that_the_contract_names_are_told(change):
    assert told(with_engines(replace(VLLM, **change))) == {}


def test_an_engine_of_unknown_models_is_told_without_one():
    (one,) = told(with_engines(replace(VLLM, models=None)))["inference"]
    assert "model" not in one


@pytest.mark.parametrize("interval", [5.0, 30.0, 300.0])
def test_old_figures_are_not_told_however_seldom_heartbeats_are(interval: float):
    snapshot = replace(rich(), interval=interval)
    assert told(snapshot, at=1030)["gpus"]
    assert told(snapshot, at=1030.1) == {}


def test_one_old_part_does_not_take_the_other_along():
    snapshot = rich().learn_gpus(Failed("Unresponsive", "x"), at=1080, duration=3)
    snapshot = snapshot.learn_engines(Reading((VLLM,)), at=1095, duration=0)
    stats = told(snapshot, at=1100)
    assert "gpus" not in stats
    assert stats["inference"]
    assert stats["ts"] == int(DATE + 95)


def test_a_gpu_that_is_gone_or_whose_values_are_old_is_left_out():
    both = with_gpus(Reading(Gpus("575", (gpu(0), gpu(1)))))
    lost = Gpu(0, health="failed", reason="GpuLost")
    gone = both.learn_gpus(Reading(Gpus("575", (lost, gpu(1)))), at=1030, duration=0)
    assert [one["i"] for one in told(gone, at=1030)["gpus"]] == [1]
    hung = Gpu(0, health="failed", reason="Unresponsive")
    stale = both.learn_gpus(Reading(Gpus("575", (hung, gpu(1)))), at=1095, duration=0)
    assert [one["i"] for one in told(stale, at=1095)["gpus"]] == [1]


def test_the_date_is_that_of_the_oldest_figure_that_is_told():
    hung = Gpu(0, health="failed", reason="Unresponsive")
    both = with_gpus(Reading(Gpus("575", (gpu(0), gpu(1)))))
    stale = both.learn_gpus(Reading(Gpus("575", (hung, gpu(1)))), at=1020, duration=0)
    assert told(stale, at=1021)["ts"] == int(DATE)
    none_ready = rich().learn_engines(Reading(()), at=990, duration=0)
    assert told(none_ready, at=1000)["ts"] == int(DATE)


@pytest.mark.parametrize("outcome", [Absent("DriverNotLoaded", "x"), Reading(Gpus("575"))])
def test_where_there_is_nothing_there_is_no_block(outcome: Outcome[Gpus]):
    assert told(with_gpus(outcome)) == {}
    assert told(Snapshot()) == {}
