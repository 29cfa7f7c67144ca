"""Real engines on loopback ports, and the agent's collector that asks them.

Programs that are not there are built before the first test (minutes, once) and kept in the user's
cache. Where one cannot be built its tests are skipped with the reason, or fail where
``CITADEL_E2E_REQUIRED`` is set.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from citadel_k8s.config.agent import EngineEndpoint
from citadel_k8s.errors import BuildError
from citadel_k8s.local.cache import quiet
from citadel_k8s.local.enginefind import EngineFinder
from citadel_k8s.local.gguf import write_tiny_model
from citadel_k8s.local.llamacpp import RunningLlamaCpp
from citadel_k8s.local.ollama import RunningOllama
from citadel_k8s.local.vllm import RunningVllm
from tests.e2e.engines.asking import Agent

NEEDS = {"ollama_program": "ollama", "llama_server": "llama-server", "vllm": "vllm"}
FOUND = pytest.StashKey[dict[str, Path | BuildError]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Find or build what the tests need before the first one: a build outlasts any timeout."""
    session.config.stash[FOUND] = found = {}
    if session.config.option.collectonly:
        return
    fixtures = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    terminal: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    finder = EngineFinder(terminal.write_line if terminal else quiet)
    for fixture, program in NEEDS.items():
        if fixture in fixtures:
            try:
                found[program] = asyncio.run(finder.find(program))
            except BuildError as error:
                found[program] = error


def program(request: pytest.FixtureRequest, name: str) -> Path:
    """Where the program is; without it the test ends here."""
    found = request.config.stash[FOUND][name]
    if isinstance(found, Path):
        return found
    if os.environ.get("CITADEL_E2E_REQUIRED"):
        pytest.fail(f"{name}: {found}")
    pytest.skip(f"{name}: {found}")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="session")
def ollama_program(request: pytest.FixtureRequest) -> Path:
    """Ollama."""
    return program(request, "ollama")


@pytest.fixture(scope="session")
def llama_server(request: pytest.FixtureRequest) -> Path:
    """The llama.cpp server."""
    return program(request, "llama-server")


@pytest_asyncio.fixture
async def ollama(ollama_program: Path, tmp_path: Path) -> AsyncIterator[RunningOllama]:
    """An Ollama without models."""
    async with RunningOllama(ollama_program, tmp_path / "ollama") as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vllm(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningVllm]:
    """A vLLM with a key for all tests: it takes a minute to start."""
    folder = tmp_path_factory.mktemp("vllm")
    names = ("tiny-random-llama", "tiny-alias")
    server = RunningVllm(program(request, "vllm"), folder, names=names, api_key="sesame")
    async with server as running:
        yield running


ServeLlama = Callable[..., Awaitable[RunningLlamaCpp]]


@pytest_asyncio.fixture
async def serve_llama(llama_server: Path, tmp_path: Path, model: Path) -> AsyncIterator[ServeLlama]:
    """Starts llama.cpp servers; with ``wait=False`` they have not loaded their model yet."""
    async with AsyncExitStack() as stack:

        async def serve(
            *, wait: bool = True, gguf: Path | None = None, **options: Any
        ) -> RunningLlamaCpp:
            folder = tmp_path / f"llama-{id(options)}"
            running = RunningLlamaCpp(llama_server, folder, gguf or model, **options)
            stack.push_async_callback(running.close)
            await running.launch()
            return await running.ready() if wait else running

        yield serve


@pytest_asyncio.fixture
async def agent() -> AsyncIterator[Callable[..., Agent]]:
    """Makes agents that ask these endpoints."""
    made: list[Agent] = []

    def make(*endpoints: EngineEndpoint, **known: Any) -> Agent:
        made.append(Agent(*endpoints, **known))
        return made[-1]

    yield make
    for each in made:
        await each.close()
