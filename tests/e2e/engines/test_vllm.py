"""What the agent tells of a real vLLM on the CPU."""

from collections.abc import Callable
from pathlib import Path

import pytest

from citadel_k8s.local.vllm import RunningVllm
from tests.e2e.engines.asking import Agent, busy, children, endpoint, seen_on_host

Agents = Callable[..., Agent]

pytestmark = pytest.mark.timeout(600)  # the first test waits for the start


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("sesame\n")
    return path


async def test_every_name_of_a_model_can_be_asked_for(
    vllm: RunningVllm, agent: Agents, key: Path
) -> None:
    told = await agent(endpoint(vllm, key_file=key)).engine()

    assert (told.status, told.health, told.reason) == ("running", "ok", None)
    assert told.models == ("tiny-random-llama", "tiny-alias")
    assert told.version == "0.32.0"
    assert not told.adapters


async def test_without_its_key_vllm_runs_and_tells_its_load_but_not_its_models(
    vllm: RunningVllm, agent: Agents
) -> None:
    told = await agent(endpoint(vllm)).engine()

    assert (told.status, told.reason, told.models) == ("running", "Unauthorized", None)
    assert told.requests_running == 0
    assert told.requests_waiting == 0


async def test_the_workers_on_the_gpu_lead_to_their_vllm(vllm: RunningVllm, agent: Agents) -> None:
    seen = seen_on_host(children(vllm.pid), [vllm.port])

    (told,) = await agent(listeners=seen).asked()

    assert (told.engine, told.port, told.pid) == ("vllm", vllm.port, vllm.pid)
    assert (told.status, told.reason) == ("running", "Unauthorized")


async def test_requests_beyond_what_vllm_takes_at_once_wait(
    vllm: RunningVllm, agent: Agents
) -> None:
    watching = agent(endpoint(vllm))

    async with busy(lambda: vllm.complete(tokens=240), requests=3):
        told = await watching.until(lambda engine: engine.requests_waiting == 1)

    assert told.requests_running == 2
    assert told.kv_cache_ratio is not None
    assert told.kv_cache_ratio > 0


async def test_what_was_generated_between_two_looks_gives_rates_and_medians(
    vllm: RunningVllm, agent: Agents, key: Path
) -> None:
    watching = agent(endpoint(vllm, key_file=key))
    first = await watching.engine()

    await vllm.complete(tokens=32)
    second = await watching.until(lambda engine: bool(engine.generation_tokens_per_second))

    assert first.generation_tokens_per_second is None
    assert second.ttft_seconds_p50 is not None
    assert second.ttft_seconds_p50 > 0
    assert second.e2e_seconds_p50 is not None
    assert second.e2e_seconds_p50 >= second.ttft_seconds_p50
    assert second.kv_cache_ratio is not None
    assert 0 <= second.kv_cache_ratio <= 1


async def test_a_killed_vllm_is_stopped_at_the_next_collection(
    vllm: RunningVllm, agent: Agents, key: Path
) -> None:
    watching = agent(endpoint(vllm, key_file=key))
    before = await watching.engine()

    await vllm.kill()  # the last test here: it is not started again
    after = await watching.engine()

    assert before.status == "running"
    assert (after.status, after.reason) == ("stopped", "ConnectionRefused")
    assert after.requests_running is None
