"""What the agent tells of a real llama.cpp server."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from citadel_k8s.local.gguf import write_tiny_model
from citadel_k8s.local.llamacpp import RunningLlamaCpp
from citadel_k8s.models.readings import Engine
from tests.e2e.engines.asking import Agent, busy, endpoint, seen_on_host

Agents = Callable[..., Agent]
ServeLlama = Callable[..., Awaitable[RunningLlamaCpp]]
WIDE = 300_000  # of the feed-forward layers: 440 MB of zeros, in memory only once loaded


async def test_an_alias_is_the_name_of_the_model(serve_llama: ServeLlama, agent: Agents) -> None:
    llama = await serve_llama(alias="tiny-random-llama")

    told = await agent(endpoint(llama)).engine()

    assert (told.status, told.health, told.reason) == ("running", "ok", None)
    assert told.models == ("tiny-random-llama",)
    assert told.port == llama.port


async def test_a_server_that_nobody_configured_is_found_by_its_process(
    serve_llama: ServeLlama, agent: Agents
) -> None:
    llama = await serve_llama(alias="tiny")
    seen = seen_on_host([llama.pid], [llama.port])

    (told,) = await agent(listeners=seen).asked()

    assert (told.engine, told.port, told.pid) == ("llamacpp", llama.port, llama.pid)
    assert told.models == ("tiny",)


async def test_without_metrics_it_is_well_and_its_load_unknown(
    serve_llama: ServeLlama, agent: Agents
) -> None:
    llama = await serve_llama(alias="tiny", metrics=False, options=("--no-slots",))

    told = await agent(endpoint(llama)).engine()

    assert (told.status, told.health) == ("running", "ok")
    assert told.models == ("tiny",)
    assert told.requests_running is None
    assert told.requests_waiting is None
    assert told.generation_tokens_per_second is None


async def test_an_idle_server_has_no_requests(serve_llama: ServeLlama, agent: Agents) -> None:
    llama = await serve_llama(alias="tiny")

    told = await agent(endpoint(llama)).engine()

    assert told.requests_running == 0
    assert told.requests_waiting == 0


async def test_a_busy_server_tells_its_requests_and_how_fast_it_generates(
    serve_llama: ServeLlama, agent: Agents
) -> None:
    llama = await serve_llama(alias="tiny", slots=2)
    watching = agent(endpoint(llama))

    async with busy(lambda: llama.complete(tokens=-1)):
        first = await watching.until(lambda engine: engine.requests_running == 1)
        await llama.complete(tokens=64)  # its tokens are counted when it is done
        second = await watching.until(lambda engine: engine.requests_running == 1)

    assert first.health == second.health == "ok"
    assert second.generation_tokens_per_second is not None
    assert second.generation_tokens_per_second > 0
    assert (await watching.until(lambda engine: engine.requests_running == 0)).health == "ok"


async def test_requests_that_find_no_slot_wait(serve_llama: ServeLlama, agent: Agents) -> None:
    llama = await serve_llama(alias="tiny", slots=1)
    watching = agent(endpoint(llama))

    async with busy(lambda: llama.complete(tokens=-1), requests=3):
        told = await watching.until(lambda engine: engine.requests_waiting == 2)

    assert told.requests_running == 1


async def test_a_key_hides_the_models_but_not_that_it_runs(
    serve_llama: ServeLlama, agent: Agents
) -> None:
    llama = await serve_llama(alias="tiny", api_key="sesame")

    told = await agent(endpoint(llama)).engine()

    assert told.status == "running"
    assert told.models is None
    assert told.reason == "Unauthorized"


async def test_with_its_key_a_server_tells_everything(
    serve_llama: ServeLlama, agent: Agents, tmp_path: Path
) -> None:
    llama = await serve_llama(alias="tiny", api_key="sesame")
    key = tmp_path / "key"
    key.write_text("sesame\n")

    told = await agent(endpoint(llama, key_file=key)).engine()

    assert (told.health, told.reason) == ("ok", None)
    assert told.models == ("tiny",)
    assert told.requests_running == 0


@pytest.fixture
def slow_model(tmp_path: Path) -> Path:
    """A model that takes a second to load."""
    return write_tiny_model(tmp_path / "slow.gguf", forward=WIDE)


async def test_a_server_that_loads_its_model_is_starting(
    serve_llama: ServeLlama, agent: Agents, slow_model: Path
) -> None:
    llama = await serve_llama(alias="slow", gguf=slow_model, wait=False)
    seen: list[Engine] = []

    def ready(engine: Engine) -> bool:
        seen.append(engine)
        return engine.health == "ok"

    told = await agent(endpoint(llama)).until(ready)

    starting = [engine for engine in seen if engine.health == "starting"]
    assert starting
    assert {engine.status for engine in starting} == {"running"}
    assert {engine.models for engine in starting} == {None}
    assert told.models == ("slow",)


async def test_a_killed_server_is_stopped_and_well_again_after_its_restart(
    serve_llama: ServeLlama, agent: Agents
) -> None:
    llama = await serve_llama(alias="tiny")
    watching = agent(endpoint(llama))
    before = await watching.engine()

    await llama.kill()
    dead = await watching.engine()
    await llama.launch()
    await llama.ready()
    again = await watching.engine()

    assert before.health == "ok"
    assert (dead.status, dead.reason) == ("stopped", "ConnectionRefused")
    assert dead.requests_running is None
    assert (again.status, again.models) == ("running", ("tiny",))
