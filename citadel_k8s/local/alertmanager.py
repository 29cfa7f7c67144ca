"""A real Alertmanager on a loopback port: found, or built once and kept."""

import asyncio
import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final, Self

from typing_extensions import override

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.errors import StackError
from citadel_k8s.local.cache import Report, cache_home, held, program, quiet
from citadel_k8s.local.charge import Charge, spawn
from citadel_k8s.local.gobuild import VERSION_TIMEOUT, Builder, Recipe
from citadel_k8s.local.ports import LOOPBACK, Port

ALERTMANAGER_VERSION: Final = "0.31.1"
"""The release that is built: the last one whose Go module holds its compiled page, without which
the program does not compile. Source: tools/alertmanager/go.mod."""

MINIMUM: Final = (0, 24)
"""Oldest release that is taken from PATH: Debian 12 has 0.25, and API v2 is the same since 0.16."""

NAMES: Final = ("alertmanager", "prometheus-alertmanager")
"""What the program is called; Debian prefixes it."""

START_TIMEOUT: Final = 20.0
"""Seconds until it answers; 0.1 to 0.4 s were measured on a busy machine of 2 cores."""

POLL: Final = 0.05
"""Seconds between two looks while it starts."""

ANSWER_TIMEOUT: Final = 2.0
"""Seconds for one look."""

NICE: Final = ("nice", "-n", "15")
"""A build is in nobody's way."""

RECIPE: Final = Recipe(
    "alertmanager",
    {"alertmanager": "github.com/prometheus/alertmanager/cmd/alertmanager"},
    f"-s -w -X github.com/prometheus/common/version.Version={ALERTMANAGER_VERSION}",
    695,
    "1 to 3 min",
)
"""How it is built."""

QUIET_CONFIG: Final = "route:\n  receiver: nobody\nreceivers:\n- name: nobody\n"
"""A configuration that keeps alerts and tells nobody."""


class AlertmanagerBuilder(Builder):
    """Builds it from the Go module proxy; see `Builder` for the parameters."""

    remedy: ClassVar[str] = "put alertmanager (Debian: prometheus-alertmanager) on PATH"

    @override
    async def build(self, names: Collection[str]) -> None:
        """Build the program.

        Raises
        ------
        BuildError
            Go is nowhere to be had, or the build failed; with the end of its log.
        """
        temporary = self._work / "tmp"
        await asyncio.to_thread(shutil.rmtree, temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        await self._run_recipe(await self._find_go(), RECIPE)
        await asyncio.to_thread(shutil.rmtree, self._work, ignore_errors=True)

    @override
    async def _run(
        self, title: str, argv: Sequence[str | Path], *, cwd: Path, count: int = 0
    ) -> None:
        await super()._run(title, [*NICE, *argv], cwd=cwd, count=count)

    @override
    def _step_environment(self) -> dict[str, str]:
        return {**super()._step_environment(), "GOFLAGS": "-buildvcs=false -modcacherw"}


async def find(
    report: Report = quiet,
    *,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> Path:
    """Return the program: from PATH, from this user's cache, or built into it once.

    Raises
    ------
    BuildError
        It could neither be found nor built.
    """
    env = os.environ if environ is None else environ
    home = cache_home(env)
    target = home / "alertmanager" / ALERTMANAGER_VERSION
    if found := await _on_path(env) or program(target / NAMES[0]):
        return found
    clock = clock or SystemClock()
    async with held(home, report, clock):
        if not program(target / NAMES[0]):
            work = home / "build-alertmanager"
            await AlertmanagerBuilder(target, work, report, environ=env, clock=clock).build(NAMES)
    return target / NAMES[0]


class Alertmanager:
    """One Alertmanager without peers; its port stays the same over restarts.

    Parameters
    ----------
    folder : Path
        Its own folder: configuration, log, silences and notification log.
    executable : Path
        The program; see `find`.
    config : str
        Its configuration, YAML.
    """

    def __init__(self, folder: Path, executable: Path, *, config: str = QUIET_CONFIG) -> None:
        self.folder = folder
        self._executable = executable
        self._config = config
        self._port = Port()
        self._charge: Charge | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{self._port.number}"

    @property
    def log_path(self) -> Path:
        """Its log."""
        return self.folder / "alertmanager.log"

    async def start(self) -> Self:
        """Start it and wait until it is ready.

        Raises
        ------
        StackError
            It exited, or was not ready within `START_TIMEOUT` seconds; with the end of its log.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = self.folder / "alertmanager.yaml"
        config.write_text(self._config)
        argv: list[str | Path] = [
            self._executable,
            f"--config.file={config}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self._port.number}",
            "--cluster.listen-address=",
        ]
        self._charge = await spawn(argv, self.log_path, cwd=self.folder, remove=self.folder)
        await self._charge.ready(self._ready, timeout=START_TIMEOUT, poll=POLL)
        return self

    async def stop(self) -> None:
        """Stop it; alerts are lost, as it keeps them in memory alone."""
        if self._charge is not None:
            await self._charge.stop()
            self._charge = None

    async def pause(self) -> None:
        """Make it hang (SIGSTOP): connections stay, answers stop."""
        await self._running().pause()

    async def resume(self) -> None:
        """End a pause."""
        await self._running().resume()

    async def close(self) -> None:
        """Stop it and give its port back."""
        await self.stop()
        self._port.release()

    async def _ready(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return b" 200 " in await self._ask()
        except (OSError, TimeoutError):
            return False

    async def _ask(self) -> bytes:
        reader, writer = await asyncio.open_connection(LOOPBACK, self._port.number)
        try:
            writer.write(b"GET /-/ready HTTP/1.0\r\n\r\n")
            return await reader.readline()
        finally:
            writer.close()

    def _running(self) -> Charge:
        if self._charge is None:
            raise StackError("Alertmanager does not run")
        return self._charge


async def _on_path(environ: Mapping[str, str]) -> Path | None:
    for name in NAMES:
        path = shutil.which(name, path=environ.get("PATH", ""))
        if path and (await _version(path) or (0, 0)) >= MINIMUM:
            return Path(path)
    return None


async def _version(path: str) -> tuple[int, int] | None:
    process = await asyncio.create_subprocess_exec(
        path,
        "--version",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(VERSION_TIMEOUT):
            answer, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    match = re.search(r"version v?(\d+)\.(\d+)", answer.decode(errors="replace"))
    return (int(match[1]), int(match[2])) if match else None


if __name__ == "__main__":
    print(asyncio.run(find(lambda line: print(line, flush=True))))  # noqa: T201
