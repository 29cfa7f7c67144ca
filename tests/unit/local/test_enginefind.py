"""Where engines are looked for before one is built."""

from pathlib import Path

import pytest

from citadel_k8s.errors import BuildError
from citadel_k8s.local.enginefind import PROGRAMS, EngineFinder


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.touch(mode=0o755)
    return path


@pytest.mark.parametrize("name", PROGRAMS)
async def test_an_engine_that_was_built_before_is_taken_from_the_cache(
    tmp_path: Path, name: str
) -> None:
    built = put(tmp_path / "citadel-k8s" / "engines" / PROGRAMS[name] / name)

    found = await EngineFinder(environ={"XDG_CACHE_HOME": str(tmp_path)}).find(name)

    assert found == built


async def test_a_folder_that_the_environment_names_comes_first(tmp_path: Path) -> None:
    put(tmp_path / "citadel-k8s" / "engines" / PROGRAMS["ollama"] / "ollama")
    given = put(tmp_path / "mine" / "ollama")
    environ = {"XDG_CACHE_HOME": str(tmp_path), "CITADEL_ENGINE_ASSETS": str(given.parent)}

    assert await EngineFinder(environ=environ).find("ollama") == given


@pytest.mark.parametrize(
    ("name", "remedy"), [("ollama", "CITADEL_ENGINE_ASSETS"), ("vllm", "not vllm")]
)
async def test_without_a_compiler_nothing_is_fetched_and_the_message_says_what_to_do(
    tmp_path: Path, name: str, remedy: str
) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path)}

    with pytest.raises(BuildError, match=remedy):
        await EngineFinder(environ=environ).find(name)
