"""That the engines themselves are started, told apart and ended as the other tests rely on."""

import asyncio
from pathlib import Path

import pytest

from citadel_k8s.errors import StackError
from citadel_k8s.local.llamacpp import RunningLlamaCpp
from citadel_k8s.local.ollama import RunningOllama
from tests.e2e.engines.asking import runner_of


async def test_an_engine_that_cannot_start_says_why(llama_server: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model")
    with pytest.raises(StackError, match=r"broken\.gguf"):
        async with RunningLlamaCpp(llama_server, tmp_path / "llama", broken):
            pass


async def test_engines_side_by_side_have_ports_and_models_of_their_own(
    ollama_program: Path, model: Path, tmp_path: Path
) -> None:
    async with (
        RunningOllama(ollama_program, tmp_path / "a") as one,
        RunningOllama(ollama_program, tmp_path / "b") as other,
    ):
        await one.create("tiny-random", model)

        assert one.port != other.port
        assert (await other.ask("/api/tags"))["models"] == []


async def test_a_killed_ollama_takes_the_process_that_runs_its_model_along(
    ollama: RunningOllama, model: Path
) -> None:
    await ollama.generate(await ollama.create("tiny-random", model))
    runner, _ = runner_of(ollama)

    await ollama.kill()

    async with asyncio.timeout(5):
        while Path(f"/proc/{runner}/exe").exists():  # noqa: ASYNC110, ASYNC240 - other process
            await asyncio.sleep(0.01)
