"""The real Alertmanager, where it comes from and how it ends."""

import os
import urllib.request
from pathlib import Path

import psutil
import pytest

from citadel_k8s.errors import StackError
from citadel_k8s.local import alertmanager
from citadel_k8s.local.alertmanager import ALERTMANAGER_VERSION, Alertmanager
from citadel_k8s.local.gobuild import find_tools


def program(folder: Path, name: str, version: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{name}, version {version} (branch: none)'\n")
    path.chmod(0o755)
    return path


def test_the_pinned_module_is_the_one_that_is_wanted() -> None:
    module = (find_tools() / "alertmanager" / "go.mod").read_text()
    assert f"github.com/prometheus/alertmanager v{ALERTMANAGER_VERSION}\n" in module


async def test_a_program_on_the_path_is_taken_where_it_is_recent_enough(tmp_path: Path) -> None:
    program(tmp_path, "alertmanager", "0.15.0")
    debian = program(tmp_path, "prometheus-alertmanager", "0.25.0")
    environ = {"PATH": f"{tmp_path}:{os.defpath}", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert await alertmanager.find(environ=environ) == debian


async def test_a_built_one_is_taken_from_the_cache(tmp_path: Path) -> None:
    folder = tmp_path / "citadel-k8s" / "alertmanager" / ALERTMANAGER_VERSION
    folder.mkdir(parents=True)
    kept = program(folder, "alertmanager", ALERTMANAGER_VERSION)
    environ = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    assert await alertmanager.find(environ=environ) == kept


async def test_it_starts_restarts_on_its_port_and_ends(
    tmp_path: Path, alertmanager_program: Path
) -> None:
    server = Alertmanager(tmp_path / "am", alertmanager_program)
    try:
        await server.start()
        url = server.url
        with urllib.request.urlopen(f"{url}/api/v2/status", timeout=5) as answer:  # noqa: ASYNC210
            assert answer.status == 200
        await server.stop()
        await server.start()
        assert server.url == url
        children = psutil.Process().children(recursive=True)
        assert any("alertmanager" in " ".join(child.cmdline()) for child in children)
    finally:
        await server.close()


async def test_one_that_cannot_start_says_why(tmp_path: Path, alertmanager_program: Path) -> None:
    server = Alertmanager(tmp_path / "am", alertmanager_program, config="route: {}\n")
    with pytest.raises(StackError, match="exited at its start"):
        await server.start()
    await server.close()
