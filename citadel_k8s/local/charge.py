"""Programs that die with their owner: started, paused and ended through a reaper process."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from citadel_k8s.errors import StackError
from citadel_k8s.local import reaper

GRACE: Final = 0.5
"""Seconds that an orphaned program gets between SIGTERM and SIGKILL: its data are thrown away, and
two seconds after the owner's death nothing may be left, on a busy machine too."""

POLL: Final = 0.005
"""Seconds between looks at the reaper's answers. It answers within one such step, and a look is a
non-blocking read. Polling keeps a charge usable from any event loop."""

ANSWER_TIMEOUT: Final = 10.0
"""Seconds within which a reaper must answer, on a machine with every core busy."""

TAIL_BYTES: Final = 4000
"""Bytes of a log that go into an error message: about forty lines."""


class Charge:
    """One running program in a session of its own. Made by `spawn`.

    Nothing is signalled by a number that could have been reused: commands go through the reaper,
    which holds the program's id until it has ended the whole group.
    """

    def __init__(self, process: subprocess.Popen[bytes], name: str, log_path: Path) -> None:
        if process.stdin is None or process.stdout is None:
            raise StackError(f"{name} was started without pipes")
        self.name = name
        self.log_path = log_path
        self.pid = 0
        self.status: int | None = None
        self._process = process
        self._commands = process.stdin.fileno()
        self._answers = process.stdout.fileno()
        self._text = b""
        self._sent = 0
        self._done = 0
        os.set_blocking(self._answers, False)

    @property
    def running(self) -> bool:
        """Whether the program has not exited yet (a paused one is running)."""
        self._drain()
        return self.status is None

    @property
    def reaper_pid(self) -> int:
        """Process id of the reaper."""
        return self._process.pid

    def tail(self) -> str:
        """Return the end of the program's log, at most `TAIL_BYTES` bytes."""
        try:
            return self.log_path.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()
        except FileNotFoundError:
            return ""

    async def wait(self) -> int:
        """Wait until the program has exited.

        Returns
        -------
        int
            Its exit status; negative for the signal that ended it.
        """
        await self._until(lambda: self.status is not None)
        return self._close()

    async def ready(
        self, answers: Callable[[], Awaitable[bool]], *, timeout: float, poll: float
    ) -> None:
        """Wait until the program answers, looking every ``poll`` seconds.

        Raises
        ------
        StackError
            It exited, or did not answer within ``timeout`` seconds; with the end of its log.
        """
        try:
            async with asyncio.timeout(timeout):
                while not await answers():
                    if not self.running:
                        raise StackError(f"{self.name} exited at its start:\n{self.tail()}")
                    await asyncio.sleep(poll)
        except TimeoutError:
            raise StackError(
                f"{self.name} gave no answer within {timeout:.0f} s:\n{self.tail()}"
            ) from None

    async def stop(self, timeout: float = 5.0) -> int:
        """End the program's group: SIGTERM (or `end` of `spawn`), SIGKILL after `timeout` seconds.

        Returns
        -------
        int
            Exit status; negative for the signal that ended it.
        """
        await self._command(b"T")
        await self._command(b"C")
        try:
            async with asyncio.timeout(timeout):
                return await self.wait()
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """Kill the program's group at once and return its exit status."""
        await self._command(b"K")
        async with asyncio.timeout(ANSWER_TIMEOUT):
            return await self.wait()

    async def pause(self) -> None:
        """Stop the program's group where it stands (SIGSTOP): it hangs, its sockets stay open."""
        await self._command(b"S")

    async def resume(self) -> None:
        """Let a paused group go on (SIGCONT)."""
        await self._command(b"C")

    async def started(self) -> Self:
        """Wait for the program's process id.

        Raises
        ------
        StackError
            The reaper did not start it in time.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self._until(lambda: self.pid != 0 or self._process.poll() is not None)
        except TimeoutError:
            self._close()
            raise StackError(f"{self.name} was not started within {ANSWER_TIMEOUT:.0f} s") from None
        if self.pid == 0:
            self._close()
            raise StackError(f"{self.name} was not started: {self.tail()}")
        return self

    async def _command(self, command: bytes) -> None:
        if not self.running:
            return
        self._sent += 1
        wanted = self._sent
        try:
            os.write(self._commands, command)
        except BrokenPipeError:
            return  # it exited just now; wait() has its status
        async with asyncio.timeout(ANSWER_TIMEOUT):
            await self._until(lambda: self._done >= wanted or self.status is not None)

    async def _until(self, reached: Callable[[], bool]) -> None:
        while self._drain() and not reached():  # noqa: ASYNC110 - no event crosses processes
            await asyncio.sleep(POLL)

    def _drain(self) -> bool:
        """Take in what the reaper has said; False once there is nothing more to come."""
        if self.status is not None:
            return False
        try:
            chunk = os.read(self._answers, 4096)
        except BlockingIOError:
            return True
        if not chunk:
            self.status = -int(reaper.COMMANDS[b"K"])  # the reaper was killed, and it with it
            return False
        *lines, self._text = (self._text + chunk).split(b"\n")
        for line in lines:
            self._take(line.decode())
        return True

    def _take(self, line: str) -> None:
        word, _, number = line.partition(" ")
        match word:
            case "started":
                self.pid = int(number)
            case "done":
                self._done += 1
            case _:
                self.status = int(number)

    def _close(self) -> int:
        """Close the pipes, collect the reaper and return the program's status."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(ANSWER_TIMEOUT)
        return self.status if self.status is not None else -int(reaper.COMMANDS[b"K"])


async def spawn(
    argv: Sequence[str | Path],
    log_path: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    remove: Path | Sequence[Path] = (),
    grace: float = GRACE,
    end: signal.Signals = signal.SIGTERM,
    family: bool = False,
    user: int | None = None,
) -> Charge:
    """Start a program that does not outlive this process, whatever ends this process.

    Parameters
    ----------
    argv : sequence of str or Path
        Program and arguments.
    log_path : Path
        File that gets its output, appended.
    env : mapping, optional
        Its whole environment; this process's own if left out.
    cwd : Path, optional
        Its working folder.
    remove : Path or sequence of Path
        Folders that the reaper deletes if this process dies without stopping the program; their
        parents too, if that leaves them empty.
    grace : float
        Seconds between `end` and SIGKILL for the program of a dead owner.
    end : Signals
        What asks the program to end.
    family : bool
        Whether pauses, resumes and kills reach all its descendants, also those in sessions of their
        own, and none outlives it. Linux only.
    user : int, optional
        Id of the user and group that it runs as, with no further groups; for root alone.

    Raises
    ------
    StackError
        The program could not be started.
    """
    log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    words = [sys.executable, "-I", "-S", reaper.__file__, str(os.getpid()), str(grace)]
    words += map(str, [remove] if isinstance(remove, Path) else remove)
    words += ["--family"] if family else []
    words += [f"--end={int(end)}", *([] if user is None else [f"--user={user}"])]
    words += ["--", *map(str, argv)]
    with log_path.open("ab") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - returns in about a millisecond
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=env,
            cwd=cwd,
            bufsize=0,
            start_new_session=True,
        )
    return await Charge(process, Path(argv[0]).name, log_path).started()
