"""Whole engines, by the settings' kind, and what is told of each."""

from collections.abc import Callable
from typing import Any, get_args

import pytest

from citadel_k8s.config.agent import EngineKind
from tests import fake_engines as fakes
from tests.fake_engines import FakeEngine, Page, recorded, says, says_json
from tests.unit.collectors.engines.looking import Looker

VLLM, LLAMACPP, OLLAMA = fakes.VLLM, fakes.LLAMACPP, fakes.OLLAMA

SGLANG = {"num_running_reqs": 2, "num_queue_reqs": 1, "token_usage": 0.5, "gen_throughput": 9.5}

WHOLE: dict[str, tuple[Callable[[], dict[str, Page]], dict[str, Any]]] = {
    "vllm": (
        fakes.vllm,
        {
            "type": "llm",
            "models": ("tiny-random-llama", "tiny-alias"),
            "loaded_models": ("tiny-random-llama", "tiny-alias"),
            "adapters": (),
            "requests_running": 2.0,
            "requests_waiting": 2.0,
            "kv_cache_ratio": 0.0002441704309608106,
            "version": "0.32.0",
        },
    ),
    "sglang": (
        lambda: fakes.sglang(**SGLANG),
        {
            "type": "llm",
            "models": ("m",),
            "loaded_models": ("m",),
            "adapters": (),
            "requests_running": 2.0,
            "requests_waiting": 1.0,
            "kv_cache_ratio": 0.5,
            "generation_tokens_per_second": 9.5,
            "version": "0.5.23",
        },
    ),
    "ollama": (
        fakes.ollama,
        {
            "type": "llm",
            "models": ("tiny-random:latest", "team/tiny-b:v2"),
            "loaded_models": ("tiny-random:latest",),
            "adapters": None,
            "requests_running": None,
            "idle_seconds": None,
            "version": "0.17.4",
        },
    ),
    "llamacpp": (
        fakes.llamacpp,
        {
            "type": "llm",
            "models": ("tiny-random-llama",),
            "loaded_models": ("tiny-random-llama",),
            "requests_running": 2.0,
            "requests_waiting": 1.0,
            "kv_cache_ratio": None,
            "version": "b0-unknown",
        },
    ),
    "tgi": (
        fakes.tgi,
        {
            "type": "llm",
            "models": ("org/m",),
            "loaded_models": ("org/m",),
            "requests_running": 5.0,
            "requests_waiting": 3.0,
            "version": "3.0.1",
        },
    ),
    "tei": (
        fakes.tei,
        {
            "type": "embedding",
            "models": ("org/e",),
            "requests_running": None,
            "requests_waiting": 3.0,
            "version": "1.8.0",
        },
    ),
    "triton": (
        fakes.triton,
        {
            "type": "other",
            "models": ("a", "b"),
            "loaded_models": ("a",),
            "requests_running": 4.0,
            "requests_waiting": 2.0,
            "kv_cache_ratio": 0.25,
            "version": "2.59.0",
        },
    ),
    "lmdeploy": (
        fakes.lmdeploy,
        {
            "type": "llm",
            "models": ("m",),
            "requests_running": 2.0,
            "requests_waiting": 1.0,
            "kv_cache_ratio": 0.5,
        },
    ),
    "infinity": (
        fakes.infinity,
        {
            "type": "embedding",
            "models": ("org/e",),
            "loaded_models": ("org/e",),
            "requests_running": 2.0,
            "requests_waiting": 3.0,
        },
    ),
    "transformers": (
        fakes.transformers,
        {"type": "llm", "models": ("org/m",), "loaded_models": None, "requests_running": None},
    ),
    "openai": (
        fakes.nim,
        {
            "type": "llm",
            "models": ("meta/m",),
            "loaded_models": None,
            "requests_running": 2.0,
            "requests_waiting": 1.0,
            "kv_cache_ratio": 0.5,
        },
    ),
}


@pytest.mark.parametrize("kind", WHOLE)
async def test_each_family_is_told_in_the_same_form(kind: str):
    pages, expected = WHOLE[kind]
    async with FakeEngine(pages()) as fake, Looker(fake, kind) as looker:
        engine = await looker.look()
    assert (engine.status, engine.health, engine.reason) == ("running", "ok", None)
    assert (engine.name, engine.engine, engine.port) == ("it", kind, fake.port)
    assert {name: getattr(engine, name) for name in expected} == expected


def test_every_engine_of_the_settings_has_its_family():
    assert WHOLE.keys() == set(get_args(EngineKind)) - {"postgres", "redis", "http", "tcp"}


async def test_lora_adapters_are_told_apart_from_the_models():
    models = [
        {"id": "base", "owned_by": "vllm", "parent": None},
        {"id": "lora-a", "owned_by": "vllm", "parent": "base"},
        {"id": "alias", "owned_by": "vllm", "root": "base", "parent": None},
    ]
    pages = fakes.vllm() | {"/v1/models": says_json({"object": "list", "data": models})}
    async with FakeEngine(pages) as fake, Looker(fake, "vllm") as looker:
        engine = await looker.look()
    assert engine.models == ("base", "lora-a", "alias")
    assert engine.adapters == ("lora-a",)


async def test_a_vllm_that_sleeps_has_no_model_in_memory():
    asleep = b'vllm:engine_sleep_state{engine="0",sleep_state="awake"} 0.0\n'
    pages = fakes.vllm() | {"/metrics": says(asleep)}
    async with FakeEngine(pages) as fake, Looker(fake, "vllm") as looker:
        engine = await looker.look()
    assert (engine.loaded_models, engine.health) == ((), "ok")
    assert engine.models == ("tiny-random-llama", "tiny-alias")


async def test_a_llamacpp_behind_a_key_is_ok_and_its_models_and_load_are_unknown():
    variant = f"{LLAMACPP}/variant-apikey"
    pages: dict[str, Page] = {
        "/health": recorded(f"{variant}/health.http"),
        "/v1/models": recorded(f"{variant}/v1-models-nokey.http"),
        "/metrics": recorded(f"{variant}/metrics-nokey.http"),
        "/props": recorded(f"{variant}/props-nokey.http"),
        "/slots": recorded(f"{variant}/props-nokey.http"),
    }
    async with FakeEngine(pages) as fake, Looker(fake, "llamacpp") as looker:
        engine = await looker.look()
    assert (engine.health, engine.models, engine.reason) == ("ok", None, "Unauthorized")
    assert engine.requests_running is None


async def test_a_llamacpp_that_loads_is_starting_and_later_ok():
    pages = dict.fromkeys(("/health", "/v1/models", "/metrics"), says("{}", status=503))
    async with FakeEngine(pages) as fake, Looker(fake, "llamacpp") as looker:
        engine = await looker.look()
        assert (engine.status, engine.health, engine.models) == ("running", "starting", None)
        fake.pages = fakes.llamacpp()
        engine = await looker.look()
        assert (engine.health, engine.models) == ("ok", ("tiny-random-llama",))


async def test_a_llamacpp_without_metrics_tells_its_slots():
    pages = fakes.llamacpp() | {"/metrics": says("{}", status=501)}
    async with FakeEngine(pages) as fake, Looker(fake, "llamacpp") as looker:
        engine = await looker.look()
        assert (engine.health, engine.requests_running) == ("ok", 2.0)
        fake.pages["/slots"] = says("{}", status=501)
        engine = await looker.look()
        assert (engine.health, engine.requests_running) == ("ok", None)


async def test_an_engine_that_was_ready_and_gives_503_does_not_start_but_is_broken():
    async with FakeEngine(fakes.vllm()) as fake, Looker(fake, "vllm") as looker:
        assert (await looker.look()).health == "ok"
        fake.pages["/health"] = says(status=503)
        engine = await looker.look()
        assert (engine.status, engine.health, engine.reason) == (
            "running", "unhealthy", "Unavailable",
        )  # fmt: skip
        assert engine.requests_running == 2.0


async def test_an_engine_that_went_away_may_start_again():
    async with FakeEngine(fakes.vllm()) as fake, Looker(fake, "vllm") as looker:
        await looker.look()
        await fake.stop()
        engine = await looker.look()
        assert (engine.status, engine.health, engine.reason) == (
            "stopped", "unhealthy", "ConnectionRefused",
        )  # fmt: skip
        assert (engine.models, engine.version) == (None, None)
        fake.pages["/health"] = says(status=503)
        await fake.start()
        assert (await looker.look()).health == "starting"


async def test_an_ollama_with_nothing_loaded_is_ok():
    async with FakeEngine(fakes.ollama(loaded=False)) as fake, Looker(fake, "ollama") as looker:
        engine = await looker.look()
    assert (engine.health, engine.loaded_models) == ("ok", ())


async def test_an_ollama_that_does_not_tell_what_is_loaded_is_told_with_what_it_has():
    pages = fakes.ollama() | {"/api/ps": says(status=500)}
    async with FakeEngine(pages) as fake, Looker(fake, "ollama") as looker:
        engine = await looker.look()
    assert (engine.health, engine.loaded_models) == ("ok", None)
    assert engine.models == ("tiny-random:latest", "team/tiny-b:v2")


async def test_a_triton_that_is_not_ready_is_starting_and_one_that_hides_its_index_is_ok():
    async with FakeEngine(fakes.triton(ready=False)) as fake, Looker(fake, "triton") as looker:
        assert (await looker.look()).health == "starting"
    pages = fakes.triton() | {"/v2/repository/index": says("{}", status=400)}
    async with FakeEngine(pages) as fake, Looker(fake, "triton") as looker:
        engine = await looker.look()
    assert (engine.health, engine.models, engine.reason) == ("ok", None, "NotTold")


async def test_sglang_is_not_asked_for_its_health_which_costs_a_request():
    pages = fakes.sglang(num_running_reqs=0)
    async with FakeEngine(pages) as fake, Looker(fake, "sglang") as looker:
        engine = await looker.look()
    assert engine.health == "ok"
    assert not any("health" in question for question in fake.asked)
    assert "not to be told" not in repr(engine)


async def test_a_llamacpp_of_several_models_tells_which_are_loaded():
    models = [
        {"id": "a", "owned_by": "llamacpp", "status": {"value": "loaded"}},
        {"id": "b", "owned_by": "llamacpp", "status": {"value": "unloaded"}},
    ]
    pages = fakes.llamacpp() | {"/v1/models": says_json({"data": models})}
    async with FakeEngine(pages) as fake, Looker(fake, "llamacpp") as looker:
        engine = await looker.look()
    assert (engine.models, engine.loaded_models) == (("a", "b"), ("a",))


async def test_only_so_many_names_are_told_and_how_many_there_are():
    pages = fakes.vllm() | {"/v1/models": fakes.many_models(100_000)}
    async with FakeEngine(pages) as fake, Looker(fake, "vllm") as looker:
        engine = await looker.look()
    assert engine.models is not None
    assert len(engine.models) == 256
    assert engine.health == "ok"
    assert engine.message == "100000 models are served, 256 of them told"


async def test_models_are_asked_for_in_every_third_look_while_the_metrics_come():
    async with FakeEngine(fakes.vllm()) as fake, Looker(fake, "vllm") as looker:
        for _ in range(7):
            assert (await looker.look()).models is not None
    assert fake.asked.count("GET /metrics") == 7
    assert fake.asked.count("GET /v1/models") == 3
    assert fake.asked.count("GET /version") == 1


async def test_models_are_asked_for_at_once_after_a_restart():
    async with FakeEngine(fakes.vllm()) as fake, Looker(fake, "vllm") as looker:
        await looker.look()
        data = [{"id": "new", "owned_by": "vllm"}]
        fake.pages["/v1/models"] = says_json({"data": data})
        fake.pages["/version"] = says_json({"version": "0.33.0"})
        fake.pages["/metrics"] = recorded(f"{VLLM}/variant-apikey/metrics-nokey.http")
        assert (await looker.look()).models == ("new",)
        assert (await looker.look()).version == "0.33.0"


async def test_models_are_asked_for_each_time_where_there_are_no_metrics():
    async with FakeEngine(fakes.vllm()) as fake, Looker(fake, "vllm") as looker:
        del fake.pages["/metrics"]
        for _ in range(3):
            assert (await looker.look()).health == "ok"
    assert fake.asked.count("GET /v1/models") == 3
    # What is not offered is left alone for a while.
    assert fake.asked.count("GET /metrics") == 1


async def test_tokens_per_second_are_told_from_the_second_look_on():
    async with FakeEngine(fakes.vllm("metrics-after")) as fake, Looker(fake, "vllm") as looker:
        assert (await looker.look()).generation_tokens_per_second is None
        fake.pages["/metrics"] = recorded(f"{VLLM}/metrics-busy-1.http")
        engine = await looker.look()
        assert engine.generation_tokens_per_second == pytest.approx((162 - 32) / 10)
        fake.pages["/metrics"] = says(status=500)
        engine = await looker.look()
        assert (engine.generation_tokens_per_second, engine.health) == (None, "degraded")
        fake.pages["/metrics"] = recorded(f"{VLLM}/metrics-busy-2.http")
        assert (await looker.look()).generation_tokens_per_second is None
