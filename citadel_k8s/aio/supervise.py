"""A child process that may hang: asked by lines, watched, killed and replaced.

Nothing here waits for a process that does not die: a child in an uninterruptible sleep is
abandoned, and when two of them lie about, no more are started.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Final

KILL_GRACE: Final = 0.5
"""Seconds that a killed child is given to be gone before it is abandoned. SIGKILL takes
milliseconds unless the kernel itself is stuck, and then no wait is long enough."""

MAX_UNREAPED: Final = 2
"""Abandoned children at which no more are started: one may be chance, each one more holds
memory and a device, and the third would hang where the first two do."""

LINE_MAX: Final = 1024 * 1024
"""Longest line from a child, in bytes."""

_REAP_POLL: Final = 0.02


class ChildError(Exception):
    """No answer came from the child."""


class ChildHungError(ChildError):
    """The child fell silent and was killed. ``seconds`` is how long it was waited for."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer for {seconds:g} s")
        self.seconds = seconds


class ChildGoneError(ChildError):
    """The child ended, or spoke nonsense and was ended."""


class ChildRefusedError(ChildError):
    """No child is started: too many do not die, or the system has no room for one."""


class Supervisor:
    """Keeps one child process and asks it, one question at a time.

    Parameters
    ----------
    argv : sequence of str
        The child's command. It reads requests from stdin, answers on stdout, and ends on EOF.
    env : mapping or None
        Its environment; that of this process if None.
    """

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
        self._argv = list(argv)
        self._env = env
        self._child: _Child | None = None
        self._abandoned: list[subprocess.Popen[bytes]] = []
        self.started = 0

    @property
    def pid(self) -> int | None:
        """The live child's process id."""
        return self._child.process.pid if self._child else None

    @property
    def unreaped(self) -> int:
        """How many killed children are not gone yet."""
        self._abandoned = [p for p in self._abandoned if p.poll() is None]
        return len(self._abandoned)

    async def exchange(
        self,
        request: bytes,
        on_line: Callable[[bytes], bool],
        *,
        silence: float,
        deadline: float,
    ) -> None:
        """Send one line and hand over what comes back until it was the answer.

        Parameters
        ----------
        request : bytes
            One line with its line feed, shorter than a pipe's 4 KiB.
        on_line : callable
            Takes each line; gives True when it was the answer; raises ValueError on nonsense.
        silence : float
            Seconds without a line after which the child counts as hung.
        deadline : float
            Seconds that the whole exchange may take.

        Raises
        ------
        ChildHungError, ChildGoneError, ChildRefusedError
        """
        child = await self._ensure()
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline
        try:
            child.write(request)
            while True:
                patience = min(silence, end - loop.time())
                async with asyncio.timeout(max(0.0, patience)):
                    line = await child.lines.readline()
                if not line.endswith(b"\n"):
                    raise ChildGoneError(await self._ended(child))
                if on_line(line):
                    return
        except TimeoutError:
            await self._discard(child)
            raise ChildHungError(min(silence, deadline)) from None
        except ValueError as error:
            await self._discard(child)
            raise ChildGoneError(f"it spoke nonsense: {error}") from error
        except OSError as error:
            raise ChildGoneError(f"{await self._ended(child)} ({error})") from error
        except asyncio.CancelledError:
            # Its answer would be taken for that of the next question.
            self._kill(child)
            raise

    async def recycle(self) -> None:
        """End the child; the next question starts a new one."""
        if self._child is not None:
            await self._discard(self._child)

    async def close(self) -> None:
        """End the child, waiting no longer than ``KILL_GRACE``."""
        if self._child is not None:
            self._kill(self._child)
        await self._reap()

    async def _ensure(self) -> "_Child":
        if self._child is None:
            if self.unreaped >= MAX_UNREAPED:
                raise ChildRefusedError(
                    f"{self.unreaped} earlier child processes were killed and do not end"
                )
            self._child = await self._start()
        return self._child

    async def _start(self) -> "_Child":
        try:
            process = subprocess.Popen(  # noqa: ASYNC220 - forks; the loop's own way does the same
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=None if self._env is None else dict(self._env),
                process_group=0,  # a Ctrl-C at the terminal is for the parent alone
            )
        except OSError as error:
            raise ChildRefusedError(f"{self._argv[0]} does not start: {error}") from error
        self.started += 1
        return await _Child.attach(process)

    async def _ended(self, child: "_Child") -> str:
        await self._discard(child)
        code = child.process.poll()
        if code is None or code >= 0:
            return f"it ended with status {code}"
        return f"it was ended by {signal.Signals(-code).name}"

    def _kill(self, child: "_Child") -> None:
        """Kill without waiting; what does not die at once is counted as unreaped."""
        child.detach()
        if child.process.poll() is None:
            child.process.kill()
            self._abandoned.append(child.process)
        if self._child is child:
            self._child = None

    async def _discard(self, child: "_Child") -> None:
        self._kill(child)
        await self._reap()

    async def _reap(self) -> None:
        """Wait for killed children, but not for those that do not die."""
        loop = asyncio.get_running_loop()
        end = loop.time() + KILL_GRACE
        while self.unreaped and loop.time() < end:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(_REAP_POLL)


class _Child:
    """A process with its pipes on the loop."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        lines: asyncio.StreamReader,
        transport: asyncio.ReadTransport,
    ) -> None:
        self.process = process
        self.lines = lines
        self._transport = transport

    @classmethod
    async def attach(cls, process: "subprocess.Popen[bytes]") -> "_Child":
        loop = asyncio.get_running_loop()
        lines = asyncio.StreamReader(limit=LINE_MAX, loop=loop)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines, loop=loop), process.stdout
        )
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
        return cls(process, lines, transport)

    def write(self, line: bytes) -> None:
        # A pipe takes up to 4 KiB whole or not at all; full means that nobody reads.
        if self.process.stdin is None:
            raise BrokenPipeError("the child has no stdin")
        written = os.write(self.process.stdin.fileno(), line)
        if written != len(line):
            raise BlockingIOError("the child does not read its requests")

    def detach(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self._transport.close()
