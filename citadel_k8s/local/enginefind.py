"""Where the real LLM engines of the end-to-end tests come from: found, or built once and kept."""

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.local.cache import Report, cache_home, held, program, quiet
from citadel_k8s.local.enginebuild import ASSETS, LLAMACPP_BUILD, OLLAMA_VERSION, EngineBuilder
from citadel_k8s.local.vllminstall import VLLM_VERSION, VllmInstaller

PROGRAMS: Final = {
    "ollama": f"ollama-{OLLAMA_VERSION}",
    "llama-server": f"llamacpp-{LLAMACPP_BUILD}",
    "vllm": f"vllm-{VLLM_VERSION}",
}
"""The programs, each with its folder in the cache."""


class EngineFinder:
    """Finds the engines: in the folder that `ASSETS` names, in the user's cache, or by a build.

    Parameters
    ----------
    report : callable
        Told what happens.
    environ : mapping, optional
        Environment; the process's own if left out.
    """

    def __init__(
        self,
        report: Report = quiet,
        *,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._report = report
        self._environ = os.environ if environ is None else environ
        self._clock = clock or SystemClock()
        self._home = cache_home(self._environ)

    async def find(self, name: str) -> Path:
        """Return one of the `PROGRAMS`, after a build if need be.

        Raises
        ------
        BuildError
            It could neither be found nor built.
        """
        if found := self._given(name) or self._cached(name):
            return found
        async with held(self._home, self._report, self._clock):
            if not self._cached(name):
                await self._build(name)
        return self._folder(name) / name

    async def _build(self, name: str) -> None:
        work = self._home / "build-engines"
        kind = VllmInstaller if name == "vllm" else EngineBuilder
        builder = kind(
            self._folder(name), work, self._report, environ=self._environ, clock=self._clock
        )
        await builder.build([name])
        if self._cached("ollama") and self._cached("llama-server"):  # they share sources
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)

    def _folder(self, name: str) -> Path:
        return self._home / "engines" / PROGRAMS[name]

    def _cached(self, name: str) -> Path | None:
        return program(self._folder(name) / name)

    def _given(self, name: str) -> Path | None:
        folder = self._environ.get(ASSETS)
        return program(Path(folder, name)) if folder else None
