"""Real LLM engines on loopback ports; they die with their owner."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import aiohttp

from citadel_k8s.errors import StackError
from citadel_k8s.local.charge import Charge, spawn
from citadel_k8s.local.ports import LOOPBACK, Port

START_TIMEOUT: Final = 60.0
"""Seconds until an engine answers; it takes 0.1 s, on a machine that compiles several seconds."""

POLL: Final = 0.02
"""Seconds between looks while it starts."""

REQUEST_TIMEOUT: Final = 60.0
"""Seconds for one request; the first one to Ollama starts a further process in 0.3 s."""


class RunningEngine:
    """One engine's process with its log; the port stays the same over restarts.

    Parameters
    ----------
    program : Path
        What to run.
    folder : Path
        Its own folder, made if need be.
    """

    _health: ClassVar[str] = "/"
    _start_timeout: ClassVar[float] = START_TIMEOUT

    def __init__(self, program: Path, folder: Path) -> None:
        self.folder = folder
        self._program = program
        self._port = Port()
        self._charge: Charge | None = None

    @property
    def port(self) -> int:
        """TCP port on the loopback address."""
        return self._port.number

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        """Process id; 0 when it does not run."""
        return self._charge.pid if self._charge else 0

    @property
    def log_path(self) -> Path:
        """The engine's log."""
        return self.folder / "engine.log"

    async def launch(self) -> None:
        """Start the program without waiting until it answers.

        Raises
        ------
        StackError
            It could not be started.
        """
        argv = [self._program, *self._arguments()]
        env = {**os.environ, **self._environment()}
        await asyncio.to_thread(self.folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        self._charge = await spawn(argv, self.log_path, env=env, cwd=self.folder)

    async def ready(self) -> Self:
        """Wait until it answers.

        Raises
        ------
        StackError
            It exited, or did not answer within `START_TIMEOUT` seconds; with the end of its log.
        """
        await self._running().ready(self._answers, timeout=self._start_timeout, poll=POLL)
        return self

    async def kill(self) -> None:
        """Kill it at once, as a crash does, with the processes that it started."""
        if self._charge is not None:
            await self._charge.kill()
            self._charge = None

    async def pause(self) -> None:
        """Make it hang (SIGSTOP): connections stay, answers stop."""
        await self._running().pause()

    async def resume(self) -> None:
        """End a pause."""
        await self._running().resume()

    async def close(self) -> None:
        """Stop it and give its port back."""
        if self._charge is not None:
            await self._charge.stop()
            self._charge = None
        self._port.release()

    async def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a GET, or a POST with this body, and return the JSON object that comes back.

        Raises
        ------
        aiohttp.ClientError
            There was no answer, or one that says no.
        """
        method = "GET" if body is None else "POST"
        async with (
            self._client() as http,
            http.request(method, f"{self.url}{path}", json=body) as answer,
        ):
            answer.raise_for_status()
            document: dict[str, Any] = await answer.json()
        return document

    async def __aenter__(self) -> Self:
        try:
            await self.launch()
            return await self.ready()
        except BaseException:
            await self.close()
            raise

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _client(self) -> aiohttp.ClientSession:
        # One for each request, so that an engine can be asked from any event loop.
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT)
        return aiohttp.ClientSession(headers=self._headers(), timeout=timeout)

    async def _answers(self) -> bool:
        try:
            async with self._client() as http, http.get(f"{self.url}{self._health}") as answer:
                return answer.ok
        except (aiohttp.ClientError, OSError):
            return False

    def _running(self) -> Charge:
        if self._charge is None:
            raise StackError(f"{self._program.name} does not run")
        return self._charge

    def _arguments(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def _environment(self) -> dict[str, str]:
        return {}

    def _headers(self) -> dict[str, str]:
        return {}
