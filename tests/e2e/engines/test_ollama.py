"""What the agent tells of a real Ollama."""

from collections.abc import Callable
from pathlib import Path

from citadel_k8s.local.ollama import RunningOllama
from citadel_k8s.models.readings import Engine
from tests.e2e.engines.asking import Agent, endpoint, runner_of, seen_on_host

Agents = Callable[..., Agent]


def serves_nothing_yet(engine: Engine) -> bool:
    return engine.loaded_models == ()


async def test_an_empty_ollama_is_known_to_serve_nothing(
    ollama: RunningOllama, agent: Agents
) -> None:
    told = await agent(endpoint(ollama)).engine()

    assert (told.status, told.health, told.reason) == ("running", "ok", None)
    assert told.models == ()
    assert told.loaded_models == ()
    assert told.version == "0.17.4"
    assert told.port == ollama.port


async def test_a_pulled_model_can_be_asked_for_before_it_is_loaded(
    ollama: RunningOllama, agent: Agents, model: Path
) -> None:
    name = await ollama.create("tiny-random", model)

    told = await agent(endpoint(ollama)).engine()

    assert told.models == (name,)
    assert told.loaded_models == ()


async def test_two_names_of_one_model_are_two_models(
    ollama: RunningOllama, agent: Agents, model: Path
) -> None:
    names = {await ollama.create(n, model) for n in ("tiny-random", "team/tiny-b:v2")}

    told = await agent(endpoint(ollama)).engine()

    assert set(told.models or ()) == names


async def test_a_model_is_loaded_by_its_first_request_and_gone_from_memory_when_unloaded(
    ollama: RunningOllama, agent: Agents, model: Path
) -> None:
    name = await ollama.create("tiny-random", model)
    watching = agent(endpoint(ollama))

    await ollama.generate(name)
    loaded = await watching.engine()
    await ollama.unload(name)
    unloaded = await watching.until(serves_nothing_yet)

    assert loaded.loaded_models == (name,)
    assert loaded.models == (name,)
    assert unloaded.models == (name,)
    assert unloaded.health == "ok"


async def test_the_process_on_the_gpu_leads_to_its_ollama_and_is_itself_no_service(
    ollama: RunningOllama, agent: Agents, model: Path
) -> None:
    await ollama.generate(await ollama.create("tiny-random", model))
    pid, port = runner_of(ollama)
    seen = seen_on_host([pid], [ollama.port, port])

    (told,) = await agent(listeners=seen).asked()

    assert (told.engine, told.port, told.pid) == ("ollama", ollama.port, ollama.pid)
    assert told.models == ("tiny-random:latest",)


async def test_nor_is_it_one_where_processes_cannot_be_seen(
    ollama: RunningOllama, agent: Agents, model: Path
) -> None:
    await ollama.generate(await ollama.create("tiny-random", model))
    _, port = runner_of(ollama)

    told = await agent(usual=[ollama.port, port]).asked()

    assert [(engine.engine, engine.port) for engine in told] == [("ollama", ollama.port)]


async def test_a_killed_ollama_is_stopped_at_the_next_collection(
    ollama: RunningOllama, agent: Agents, model: Path
) -> None:
    await ollama.create("tiny-random", model)
    watching = agent(endpoint(ollama))
    before = await watching.engine()

    await ollama.kill()
    after = await watching.engine()

    assert before.status == "running"
    assert (after.status, after.reason) == ("stopped", "ConnectionRefused")
    assert not after.loaded_models


async def test_a_hung_ollama_costs_one_deadline_and_its_models_are_unknown(
    ollama: RunningOllama, agent: Agents
) -> None:
    await ollama.pause()

    # Its threads stop one after the other, so the first question may still be answered.
    told = await agent(endpoint(ollama)).until(lambda engine: engine.reason is not None)

    assert (told.status, told.reason, told.models) == ("running", "Timeout", None)
