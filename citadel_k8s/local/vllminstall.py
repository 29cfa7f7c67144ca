"""Installs vLLM for CPUs, in an environment of its own, without what only GPUs need."""

import asyncio
import ctypes.util
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import ClassVar, Final

from typing_extensions import override

from citadel_k8s.errors import BuildError
from citadel_k8s.local.enginebuild import EngineBuilder

VLLM_VERSION: Final = "0.32.0"
"""vLLM's release. Source: tools/engines/vllm/requirements.in."""

DISK_BYTES: Final = 6 * 10**9
"""Bytes that must be free: it takes 2.5 GB, and as much once more while it is unpacked."""

TOOL_TIMEOUT: Final = 60.0
"""Seconds for one call of nm or cc; the longest takes 2 s."""

STAND_INS: Final = re.compile(r"lib(cu|nv|nccl)")
"""Names of the libraries that torch links to and that are of no use without a GPU."""

OWN_VERSION: Final = {"NVSHMEM": "libnvshmem_host.so.3"}
"""Symbol versions that are not called like the library that defines them."""

NO_DEVICE: Final = {"cuInit": 100, "cudaGetDeviceCount": 100}
"""What a call answers instead of 0, success. Source: CUDA_ERROR_NO_DEVICE of cuda.h."""

Symbols = dict[str, set[str]]


class VllmInstaller(EngineBuilder):
    """Installs vLLM from PyPI; see `EngineBuilder` for the parameters."""

    remedy: ClassVar[str] = "leave its tests out with ARGS=\"-k 'not vllm'\""

    @override
    async def build(self, names: Collection[str]) -> None:
        """Install it below the target folder, where ``vllm`` is the program.

        Raises
        ------
        BuildError
            The machine is not fit for it, or a step failed; with the end of its log.
        """
        if reason := self._unfit():
            raise BuildError(f"{reason}, or {self.remedy}")
        venv = self._target / "venv"
        self._report("vllm: installing from PyPI, this once; 2.5 GB, 2 to 4 min")
        (self._work / "tmp").mkdir(parents=True, exist_ok=True)
        make: list[str | Path] = [sys.executable, "-m", "venv", "--clear", venv]
        await self._run("environment for vllm", make, cwd=self._work)
        lock = self._tools / "engines" / "vllm" / "requirements.lock"
        pip: list[str | Path] = [venv / "bin" / "python", "-m", "pip", "install", "-r", lock]
        pip += ["--disable-pip-version-check", "--no-cache-dir", "--require-hashes", "--no-deps"]
        await self._run("vllm", [*pip, "--only-binary=:all:", "--progress-bar=off"], cwd=self._work)
        (site,) = venv.glob("lib/python3*/site-packages")
        await asyncio.to_thread(_stand_in, site / "torch" / "lib", self._work / "tmp")
        _tell_that_it_is_for_cpus(site)
        (self._target / "vllm").symlink_to(venv / "bin" / "vllm")

    def _unfit(self) -> str | None:
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            return "only for Linux on x86_64"
        path = self._environ.get("PATH", "")
        for name in ("cc", "nm", "readelf"):
            if shutil.which(name, path=path) is None:
                return f"no {name} on PATH: install gcc"
        if ctypes.util.find_library("numa") is None:
            return "no libnuma.so.1: install libnuma1"
        self._target.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._target).free
        return None if free >= DISK_BYTES else f"only {free / 1e9:.1f} GB of disk are free"


def _tell_that_it_is_for_cpus(site: Path) -> None:
    """Give vLLM the name and version by which it finds out for what it was built."""
    folder = site / f"vllm-{VLLM_VERSION}+cpu.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: vllm\nVersion: {VLLM_VERSION}+cpu\n"
    )


def _stand_in(folder: Path, work: Path) -> None:
    """Put libraries into torch's folder that define what it links to and do nothing."""
    own = [path for path in sorted(folder.glob("*.so*")) if not STAND_INS.match(path.name)]
    needed = {name for path in own for name in _needed(path) if STAND_INS.match(name)}
    wanted = _wanted(own)
    loose = {name for name in wanted.pop("", set()) if re.match(r"_*(cu|nv|nccl)", name)}
    by_library: dict[str, Symbols] = {name: {} for name in needed}
    for version, names in wanted.items():
        library = OWN_VERSION.get(version, version)
        if library in needed:
            by_library[library][version] = names
    for library, versions in by_library.items():
        _compile(folder / library, versions, loose, work)


def _needed(path: Path) -> list[str]:
    return re.findall(r"\(NEEDED\).*\[(.+)\]", _output("readelf", "-dW", path))


def _wanted(libraries: list[Path]) -> Symbols:
    """Give the symbols that these libraries need and none of them defines, by version."""
    defined: set[str] = set()
    undefined: set[tuple[str, str]] = set()
    for kind, name, version in (row for path in libraries for row in _symbols(path)):
        if kind in "Uw":
            undefined.add((name, version))
        else:
            defined.add(name)
    wanted: Symbols = {}
    for name, version in undefined:
        if name not in defined:
            wanted.setdefault(version, set()).add(name)
    return wanted


def _symbols(path: Path) -> Iterator[tuple[str, str, str]]:
    for line in _output("nm", "-D", path).splitlines():
        kind, symbol = line.split()[-2:]
        name, _, version = symbol.replace("@@", "@").partition("@")
        yield kind, name, version


def _compile(library: Path, versions: Symbols, loose: set[str], work: Path) -> None:
    names = set[str]().union(*versions.values()) if versions else loose
    source, script = work / f"{library.name}.c", work / f"{library.name}.map"
    lines = [f"long {name}(void) {{ return {NO_DEVICE.get(name, 0)}; }}" for name in sorted(names)]
    source.write_text("\n".join([*lines, "typedef int not_empty;\n"]))
    script.write_text("".join(f"{version} {{ global: *; }};\n" for version in versions))
    argv: list[str | Path] = ["cc", "-shared", "-fPIC", "-fno-builtin", "-w", "-o", library, source]
    argv += [f"-Wl,-soname,{library.name}"]
    argv += [f"-Wl,--version-script={script}"] if versions else []
    _output(*argv)


def _output(*argv: str | Path) -> str:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=True, timeout=TOOL_TIMEOUT
        )
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", "") or ""
        raise BuildError(f"{argv[0]} failed: {error}\n{output[-1000:]}") from error
    return done.stdout
