"""The demo as a process: however it ends, nothing of it is left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.local.binaries import Binaries


@contextmanager
def demo(folder: Path, binaries: Binaries) -> Iterator[subprocess.Popen[str]]:
    env = {
        **os.environ,
        "TMPDIR": str(folder),
        "KUBEBUILDER_ASSETS": str(binaries.kube_apiserver.parent),
        "PATH": f"{binaries.kubectl.parent}{os.pathsep}{os.environ['PATH']}",
    }
    words = [sys.executable, "-m", "citadel_k8s", "demo", "--check", "--nodes", "1"]
    with subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until_agents_run(process: subprocess.Popen[str]) -> str:
    """Read on until the demo says that its agents run, and give what it said."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if "agents started" in line:
            return said
    raise AssertionError(said)


def left(folder: Path) -> list[str]:
    """Folders and processes that still are of a demo."""
    found = [str(path) for path in folder.iterdir()]
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == str(folder):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def gone_within(folder: Path, seconds: float) -> bool:
    clock = SystemClock()
    end = clock.monotonic() + seconds
    while left(folder):
        if clock.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_ended_says_nothing_of_it_and_leaves_nothing(
    number: signal.Signals, tmp_path: Path, binaries: Binaries
) -> None:
    with demo(tmp_path, binaries) as process:
        until_agents_run(process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=15)
    assert "Traceback" not in errors
    assert process.returncode == 143
    assert left(tmp_path) == []


def test_a_demo_that_is_killed_leaves_nothing_after_five_seconds(
    tmp_path: Path, binaries: Binaries
) -> None:
    with demo(tmp_path, binaries) as process:
        until_agents_run(process)
        process.kill()
        process.wait()
        assert gone_within(tmp_path, 5), left(tmp_path)
