import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from citadel_k8s.errors import BuildError
from citadel_k8s.local.binaries import NAMES, Finder

SYSTEM_PATH = "/usr/bin:/bin"
VERSIONS = {
    "kube-apiserver": "Kubernetes v1.36.1",
    "kubectl": "Client Version: v1.36.0",
    "etcd": "etcd Version: 3.6.4",
}


async def unreachable(url: str) -> AsyncIterator[bytes]:
    raise ConnectionRefusedError(url)
    yield b""


def programs(folder: Path, versions: dict[str, str]) -> Path:
    """Write programs that do nothing but tell their version."""
    folder.mkdir(parents=True)
    for name, line in versions.items():
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "{line}"\n')
        path.chmod(0o755)
    return folder


def environ(tmp_path: Path, path: object = "", **more: object) -> dict[str, str]:
    fixed = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": f"{path}:{SYSTEM_PATH}"}
    return fixed | {name: str(value) for name, value in more.items()}


async def test_the_folder_named_by_the_environment_wins(tmp_path: Path) -> None:
    assets = programs(tmp_path / "assets", dict.fromkeys(NAMES, "any"))
    path = programs(tmp_path / "bin", VERSIONS)
    found = await Finder(environ=environ(tmp_path, path, KUBEBUILDER_ASSETS=assets)).find()
    assert {found.kube_apiserver, found.kubectl, found.etcd} == set(assets.iterdir())


async def test_programs_of_the_wanted_minor_version_are_taken_from_path(tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", VERSIONS)
    found = await Finder(environ=environ(tmp_path, path)).find()
    assert found.kubectl == path / "kubectl"
    assert found.etcd == path / "etcd"


async def test_a_program_of_another_version_on_path_is_passed_over(tmp_path: Path) -> None:
    old = programs(tmp_path / "old", {"kubectl": "Client Version: v1.32.4-dispatcher"})
    path = programs(tmp_path / "bin", VERSIONS)
    found = await Finder(environ=environ(tmp_path, f"{old}:{path}")).find()
    assert found.kubectl == path / "kubectl"


async def test_an_etcd_that_is_too_old_is_passed_over_for_the_cache(tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", VERSIONS | {"etcd": "etcd Version: 3.4.23"})
    finder = Finder(environ=environ(tmp_path, path))
    programs(finder.cache, {"etcd": "any"})
    assert (await finder.find()).etcd == finder.cache / "etcd"


async def test_a_program_that_cannot_tell_its_version_is_passed_over(tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", VERSIONS | {"kubectl": "hello"})
    (path / "etcd").write_text("not a program")
    finder = Finder(environ=environ(tmp_path, path))
    programs(finder.cache, dict.fromkeys(NAMES, "any"))
    found = await finder.find()
    assert found.kube_apiserver == path / "kube-apiserver"
    assert found.kubectl == finder.cache / "kubectl"
    assert found.etcd == finder.cache / "etcd"


async def test_what_is_missing_is_downloaded_into_the_cache(tmp_path: Path) -> None:
    body = b"#!/bin/sh\n"

    async def fetch(url: str) -> AsyncIterator[bytes]:
        yield hashlib.sha256(body).hexdigest().encode() if url.endswith(".sha256") else body

    path = programs(tmp_path / "bin", {"etcd": VERSIONS["etcd"]})
    lines: list[str] = []
    finder = Finder(lines.append, environ=environ(tmp_path, path), fetch=fetch)
    found = await finder.find()
    assert found.kubectl == finder.cache / "kubectl"
    assert found.kubectl.read_bytes() == body
    assert found.etcd == path / "etcd"
    assert "kubectl: downloaded in 0 s" in lines


async def test_what_cannot_be_downloaded_is_built(
    tmp_path: Path, tools: Path, make_go: Callable[..., Path]
) -> None:
    lines: list[str] = []
    finder = Finder(
        lines.append,
        environ=environ(tmp_path, make_go()),
        fetch=unreachable,
        tools=tools,
    )
    found = await finder.find()
    assert found.kubectl == finder.cache / "kubectl"
    assert any(line.startswith("no download: ") for line in lines)


async def test_a_tampered_download_is_said_and_built_instead(
    tmp_path: Path, tools: Path, make_go: Callable[..., Path]
) -> None:
    async def fetch(url: str) -> AsyncIterator[bytes]:
        checksum = f"{'0' * 64}\n" if url.endswith(".sha256") else f"{'0' * 64}  {ARCHIVE}\n"
        yield b"evil" if "." not in url.rpartition("/")[2] else checksum.encode()

    lines: list[str] = []
    path = programs(tmp_path / "bin", {"etcd": VERSIONS["etcd"]})
    finder = Finder(
        lines.append,
        environ=environ(tmp_path, f"{path}:{make_go()}"),
        fetch=fetch,
        tools=tools,
    )
    found = await finder.find()
    assert found.kubectl.read_bytes() != b"evil"
    assert any("thrown away" in line for line in lines)


ARCHIVE = "etcd.tar.gz"


async def test_programs_that_are_nowhere_to_be_had_are_an_error_that_says_what_to_do(
    tmp_path: Path, tools: Path, make_go: Callable[..., Path]
) -> None:
    go = make_go()
    (go / "broken").touch()
    finder = Finder(environ=environ(tmp_path, go), fetch=unreachable, tools=tools)
    with pytest.raises(BuildError, match="set KUBEBUILDER_ASSETS to a folder"):
        await finder.find()


SECOND = """
import asyncio, sys
from pathlib import Path
from citadel_k8s.local.binaries import Finder

async def unreachable(url):
    raise ConnectionRefusedError(url)
    yield b""

environ = {"XDG_CACHE_HOME": sys.argv[1], "PATH": sys.argv[2]}
finder = Finder(print, environ=environ, fetch=unreachable, tools=Path(sys.argv[3]))
asyncio.run(finder.find())
"""


async def test_of_two_processes_one_builds_and_the_other_waits_and_says_so(
    tmp_path: Path, tools: Path, make_go: Callable[..., Path]
) -> None:
    go = make_go(seconds=0.8)
    env = environ(tmp_path, go)
    words = ["-c", SECOND, env["XDG_CACHE_HOME"], env["PATH"], str(tools)]

    async def run() -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(30):
            output, _ = await process.communicate()
        assert process.returncode == 0
        return output.decode()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run()), group.create_task(run())]
    outputs = [task.result() for task in tasks]
    assert sum("waiting" in output for output in outputs) == 1
    assert sum("done in" in output for output in outputs) == 1
    assert (go / "calls").read_text().count("kubernetes/cmd/kubectl") == 1
