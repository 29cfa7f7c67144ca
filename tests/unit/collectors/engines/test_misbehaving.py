"""Engines that do what none should: what is told of them, and that it costs the others nothing."""

import asyncio
import tracemalloc

import pytest

from citadel_k8s.collectors.engines import EngineCollector
from citadel_k8s.collectors.probe import BODY_MAX, LARGE_BODIES, SMALL_BODY
from citadel_k8s.config.agent import EngineEndpoint
from citadel_k8s.models.readings import Engine, Reading
from tests import fake_engines as fakes
from tests.fake_engines import FakeEngine, Page, fake_engines, says

DEADLINE = 0.5

BAD: dict[str, tuple[Page, str, str]] = {
    # The page, and the health and the reason that are told.
    "hangs": (fakes.hangs, "unhealthy", "Timeout"),
    "drips": (fakes.drips, "unhealthy", "Timeout"),
    "ten megabytes": (says(b"x" * 10 * 1024 * 1024), "unhealthy", "Oversized"),
    "endless": (fakes.endless_body, "unhealthy", "Oversized"),
    "endless headers": (fakes.endless_headers, "unhealthy", "BadAnswer"),
    "endless line": (fakes.endless_line, "unhealthy", "BadAnswer"),
    "redirect": (says(status=302, Location="http://169.254.169.254/"), "unhealthy", "Redirected"),
    "malformed": (says("{not json"), "unhealthy", "Malformed"),
    "deep": (says("[" * 100_000), "unhealthy", "Malformed"),
    "another shape": (says('{"data": {"id": 1}}'), "unhealthy", "Malformed"),
    "another protocol": (fakes.speaks_ssh, "unhealthy", "BadAnswer"),
    "compressed": (fakes.compressed_bomb(BODY_MAX * 20), "unhealthy", "BadAnswer"),
    "reset": (fakes.resets, "unhealthy", "ConnectionReset"),
    "500": (says(status=500), "unhealthy", "BadStatus"),
    "503": (says(status=503), "starting", "Starting"),
    "401": (says(status=401), "ok", "Unauthorized"),
}

IN_METRICS = {
    **dict.fromkeys(("hangs", "drips", "ten megabytes", "endless", "redirect"), "degraded"),
    **dict.fromkeys(("compressed", "reset", "500", "503"), "degraded"),
    # Not for us, and nothing that is known: no load, and nothing wrong with it.
    **dict.fromkeys(("401", "malformed", "another shape"), "ok"),
}


async def collect(*engines: FakeEngine, deadline: float = DEADLINE) -> tuple[Engine, ...]:
    collector = EngineCollector(
        [EngineEndpoint(name=str(n), engine="vllm", url=e.url) for n, e in enumerate(engines)],
        discover=False,
        deadline=deadline,
    )
    try:
        outcome = await collector.collect()
    finally:
        await collector.close()
    assert isinstance(outcome, Reading)
    return outcome.value


@pytest.mark.parametrize("name", BAD)
async def test_what_an_engine_does_instead_of_listing_its_models_is_told_as_the_reason(name: str):
    page, health, reason = BAD[name]
    async with FakeEngine(fakes.vllm() | {"/v1/models": page}) as fake:
        (engine,) = await collect(fake)
    assert (engine.status, engine.health, engine.reason) == ("running", health, reason)
    assert engine.models is None
    assert engine.message
    # What else it tells is still told.
    assert (engine.requests_running, engine.version) == (2.0, "0.32.0")


@pytest.mark.parametrize("name", IN_METRICS)
async def test_an_engine_that_cannot_be_watched_is_told_with_its_models(name: str):
    async with FakeEngine(fakes.vllm() | {"/metrics": BAD[name][0]}) as fake:
        (engine,) = await collect(fake)
    assert (engine.status, engine.health) == ("running", IN_METRICS[name])
    assert engine.models == ("tiny-random-llama", "tiny-alias")
    assert engine.requests_running is None
    assert (engine.reason is None) == (engine.health == "ok")


@pytest.mark.parametrize("name", sorted(BAD.keys() - {"401", "malformed", "another shape"}))
async def test_an_engine_whose_health_is_bad_is_not_ok(name: str):
    async with FakeEngine(fakes.vllm() | {"/health": BAD[name][0]}) as fake:
        (engine,) = await collect(fake)
    # An empty body of any form is all that is wanted of /health.
    expected = "ok" if name == "deep" else BAD[name][1]
    assert engine.health == expected
    assert engine.models == ("tiny-random-llama", "tiny-alias")


async def test_engines_that_misbehave_cost_the_others_neither_time_nor_answers():
    pages = [fakes.vllm() | {"/v1/models": p, "/metrics": p} for p, *_ in BAD.values()]
    async with fake_engines(*pages, fakes.vllm(), fakes.vllm()) as engines:
        loop = asyncio.get_running_loop()
        started = loop.time()
        told = await collect(*engines, deadline=1.0)
        # The fakes that send as fast as they can run in the same loop.
        assert loop.time() - started < 2.5
    assert [e.name for e in told] == [str(n) for n in range(len(engines))]
    assert [e.health for e in told[-2:]] == ["ok", "ok"]
    assert all(e.models == ("tiny-random-llama", "tiny-alias") for e in told[-2:])


async def test_however_many_answer_too_much_memory_is_bounded():
    async with fake_engines(*[{"/v1/models": fakes.large_body(BODY_MAX)}] * 16) as engines:
        tracemalloc.start()
        try:
            told = await collect(*engines, deadline=2.0)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert {e.reason for e in told} <= {"Malformed", "Timeout"}
    # Once while it is read, once more when it is put together, and twice to see that it is no
    # JSON; a connection's buffers on both sides.
    assert peak < LARGE_BODIES * 2 * BODY_MAX + 2 * BODY_MAX + 16 * 4 * SMALL_BODY


async def test_a_host_that_does_not_exist_is_told_as_an_error():
    collector = EngineCollector(
        [EngineEndpoint(name="a", engine="vllm", url="http://[::1]:1")], discover=False
    )
    try:
        outcome = await collector.collect()
    finally:
        await collector.close()
    assert isinstance(outcome, Reading)
    (engine,) = outcome.value
    assert engine.status in {"stopped", "error"}
    assert engine.models is None


async def test_names_from_an_engine_are_clean_in_every_field():
    nasty = "a\x1b[31m\nb\x00" + "x" * 500
    pages = fakes.tgi() | {
        "/info": fakes.says_json(
            {"model_id": nasty, "version": nasty, "max_concurrent_requests": 1}
        )
    }
    async with FakeEngine(pages) as fake:
        collector = EngineCollector(
            [EngineEndpoint(name="a", engine="tgi", url=fake.url)], discover=False
        )
        outcome = await collector.collect()
        await collector.close()
    assert isinstance(outcome, Reading)
    (engine,) = outcome.value
    assert engine.models is not None
    for text in (*engine.models, engine.version or ""):
        assert text.isprintable()
        assert len(text) <= 256
