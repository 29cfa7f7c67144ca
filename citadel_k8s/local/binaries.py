"""Where the Kubernetes programs come from: found, downloaded or, as a last resort, built."""

import asyncio
import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.local.cache import Report, cache_home, held, program, quiet
from citadel_k8s.local.download import DownloadError, Fetch, checksums, download, fetch
from citadel_k8s.local.gobuild import Builder
from citadel_k8s.local.versions import ETCD_MINIMUM, KUBE_VERSION

NAMES: Final = ("kube-apiserver", "kubectl", "etcd")
"""The programs."""

VERSION_TIMEOUT: Final = 5.0
"""Seconds that a program on PATH may take to tell its version; it takes about 0.1 s."""


@dataclass(frozen=True)
class Binaries:
    """The programs of an embedded cluster."""

    kube_apiserver: Path
    kubectl: Path
    etcd: Path


class Finder:
    """Finds the programs, in this order of preference.

    1. the folder that ``KUBEBUILDER_ASSETS`` names, taken as it is;
    2. ``PATH``, where the version fits;
    3. this user's cache;
    4. the official release downloads, checked, where they answer within 5 s;
    5. a build from the Go module proxy.

    What 4 and 5 give goes into the cache, under a lock.

    Parameters
    ----------
    report : callable
        Told what happens.
    environ : mapping, optional
        Environment; the process's own if left out.
    fetch : callable
        Yields what is behind a URL.
    tools : Path, optional
        The pinned Go modules.
    """

    def __init__(
        self,
        report: Report = quiet,
        *,
        environ: Mapping[str, str] | None = None,
        fetch: Fetch = fetch,
        tools: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._report = report
        self._environ = os.environ if environ is None else environ
        self._fetch = fetch
        self._tools = tools
        self._clock = clock or SystemClock()

    @property
    def cache(self) -> Path:
        """Folder for programs of this version."""
        return self._home / "kube" / KUBE_VERSION

    @property
    def _home(self) -> Path:
        return cache_home(self._environ)

    async def find(self) -> Binaries:
        """Return the programs, after a download or a build if need be.

        Raises
        ------
        BuildError
            A program could neither be found nor downloaded nor built.
        """
        found = await self._look()
        if missing := [name for name in NAMES if name not in found]:
            async with held(self._home, self._report, self._clock):
                await self._provide([name for name in missing if not self._cached(name)])
            found |= {name: self.cache / name for name in missing}
        return Binaries(found["kube-apiserver"], found["kubectl"], found["etcd"])

    async def _look(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for name in NAMES:
            path = self._in_assets(name) or await self._on_path(name) or self._cached(name)
            if path:
                found[name] = path
        return found

    def _in_assets(self, name: str) -> Path | None:
        folder = self._environ.get("KUBEBUILDER_ASSETS")
        return program(Path(folder, name)) if folder else None

    async def _on_path(self, name: str) -> Path | None:
        for folder in self._environ.get("PATH", "").split(os.pathsep):
            path = program(Path(folder, name)) if folder else None
            if path and _fits(name, await _version(path)):
                return path
        return None

    def _cached(self, name: str) -> Path | None:
        return program(self.cache / name)

    async def _provide(self, names: Collection[str]) -> None:
        """Download or build these programs into the cache."""
        if not names:
            return
        try:
            await self._download(names)
        except DownloadError as error:
            self._report(f"no download: {error}")
            work = self._home / "build"
            builder = Builder(
                self.cache,
                work,
                self._report,
                tools=self._tools,
                environ=self._environ,
                clock=self._clock,
            )
            await builder.build([name for name in names if not self._cached(name)])

    async def _download(self, names: Collection[str]) -> None:
        self._report(f"looking for official downloads of {', '.join(names)}")
        sums = await checksums(names, self._fetch)
        self.cache.mkdir(parents=True, exist_ok=True)
        for name in names:
            began = self._clock.monotonic()
            self._report(f"{name}: downloading")
            await download(name, sums[name], self.cache, self._fetch)
            self._report(f"{name}: downloaded in {self._clock.monotonic() - began:.0f} s")


async def find(report: Report = quiet) -> Binaries:
    """Return the programs of the embedded cluster; see `Finder`."""
    return await Finder(report).find()


def _fits(name: str, version: tuple[int, int] | None) -> bool:
    """Tell whether a program of this version may be used."""
    if version is None:
        return False
    if name == "etcd":
        return version >= ETCD_MINIMUM
    return version == tuple(map(int, KUBE_VERSION.split(".")[:2]))


async def _version(path: Path) -> tuple[int, int] | None:
    """Ask a program for its major and minor version."""
    words = ["version", "--client"] if path.name == "kubectl" else ["--version"]
    try:
        process = await asyncio.create_subprocess_exec(
            path,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(VERSION_TIMEOUT):
            answer, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return _parse_version(answer.decode(errors="replace"))


def _parse_version(text: str) -> tuple[int, int] | None:
    match = re.search(r"(?:Kubernetes|Client Version:|etcd Version:) v?(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def _lines(binaries: Binaries) -> Iterator[str]:
    yield from (f"{path}\n" for path in (binaries.kube_apiserver, binaries.kubectl, binaries.etcd))


if __name__ == "__main__":
    sys.stdout.writelines(
        _lines(asyncio.run(find(lambda line: print(line, file=sys.stderr, flush=True))))  # noqa: T201
    )
