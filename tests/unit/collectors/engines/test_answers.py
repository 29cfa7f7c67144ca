"""Whatever an engine answers, reading it ends in what it serves or in why that is not known."""

from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.collectors.engines import EngineCollector, answers, tables
from citadel_k8s.collectors.engines.answers import Listing
from citadel_k8s.collectors.engines.asking import ask
from citadel_k8s.collectors.engines.exposition import Exposition
from citadel_k8s.collectors.engines.families import FAMILIES, Family
from citadel_k8s.collectors.engines.rates import Rates
from citadel_k8s.collectors.probe import Getter, ProbeError
from citadel_k8s.config.agent import EngineEndpoint
from citadel_k8s.models.readings import Reading
from tests import fake_engines as fakes
from tests.fake_engines import FakeEngine

WORDS = (
    "data models id name owned_by parent status value stats state model_id model_type version "
    "queue_absolute results_pending x"
)
KEYS = st.sampled_from(WORDS.split())
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | KEYS
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6)
)
READERS = (
    answers.openai_models,
    answers.ollama_models,
    answers.infinity_models,
    answers.huggingface_info,
    answers.triton_index,
    answers.busy_slots,
    answers.version_of,
    answers.build_of,
)


@hypothesis.settings(max_examples=60)
@given(DOCUMENTS)
def test_any_document_is_read_or_refused(document: Any):
    for read in READERS:
        try:
            result = read(document)
        except ProbeError:
            continue
        if isinstance(result, Listing):
            assert all(name and name.isprintable() for name in result.models)


PIECES = (
    *(b"vllm:num_requests_running", b"vllm:generation_tokens_total", b"process_start_time_seconds"),
    *(b"vllm:time_to_first_token_seconds_bucket", b'{le="+Inf"}', b'{le="0.5",a="}"}', b"{", b" "),
    *(b"\n", b"1", b"-5", b"NaN", b"1e400", b'"', b"\\", b"\x00", b"\xff", b"# TYPE x"),
)
LINES = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)


@hypothesis.settings(max_examples=60)
@given(st.lists(LINES, min_size=1, max_size=4))
def test_any_exposition_is_read(texts: list[bytes]):
    rates = Rates()
    for at, text in enumerate(texts):
        load, _ = rates.learn(Exposition(text), tables.VLLM, float(at))
        assert load.generation_rate is None or load.generation_rate >= 0
        assert load.kv_cache_ratio is None or 0 <= load.kv_cache_ratio <= 1
        assert load.idle_seconds is None or load.idle_seconds >= 0


async def test_a_mistake_in_the_reading_of_one_engine_is_no_trouble_of_the_others(monkeypatch):
    async def broken(family: Family, get: Getter, *rest: Any) -> Any:
        if family.kind == "tgi":
            raise ZeroDivisionError("by zero")
        return await ask(family, get, *rest)

    monkeypatch.setattr("citadel_k8s.collectors.engines.collector.ask", broken)
    async with FakeEngine(fakes.vllm()) as fake:
        endpoints = [
            EngineEndpoint(name="bad", engine="tgi", url=fake.url),
            EngineEndpoint(name="good", engine="vllm", url=fake.url),
        ]
        collector = EngineCollector(endpoints, discover=False)
        outcome = await collector.collect()
        await collector.close()
    assert isinstance(outcome, Reading)
    bad, good = outcome.value
    assert (bad.status, bad.health, bad.reason) == ("running", "unknown", "CollectorError")
    assert bad.message == "ZeroDivisionError: by zero"
    assert good.health == "ok"


@pytest.mark.parametrize("kind", FAMILIES)
def test_each_family_has_words_that_nobody_else_has(kind: str):
    series = FAMILIES[kind].series
    if series is None or kind in {"openai", "infinity", "triton"}:
        return
    others = [f.series for k, f in FAMILIES.items() if k not in {kind, "openai", "triton"}]
    marks = {mark for other in others if other is not None for mark in other.mark}
    assert series.mark
    assert not any(mine.startswith(mark) for mine in series.mark for mark in marks)
