"""A child process that may hang: asked by lines, watched, killed and replaced.

The child notes in a diary what it is about to do, so that it is known where a silent one is stuck;
each note counts as a sign of life. What it says without being asked goes to a listener at once.

Nothing here waits for a process that does not die: a child in an uninterruptible sleep is
abandoned, and when two of them lie about, no more are started.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from typing_extensions import override

from citadel_k8s.aio.diary import VARIABLE, Diary, new_page

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
    """No answer came from the child. ``at`` is its last note, empty if it made none."""

    def __init__(self, message: str, at: bytes = b"") -> None:
        super().__init__(message)
        self.at = at


class ChildHungError(ChildError):
    """The child fell silent and was killed. ``seconds`` is how long it was waited for."""

    def __init__(self, seconds: float, at: bytes = b"") -> None:
        super().__init__(f"no answer for {seconds:g} s", at)
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
    unasked : callable
        Takes each line first and says whether it was one that nobody asked for.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        unasked: Callable[[bytes], bool] = lambda _line: False,
    ) -> None:
        self._argv = list(argv)
        self._env = env
        self._unasked = unasked
        self._child: _Child | None = None
        self._abandoned: list[subprocess.Popen[bytes]] = []
        self._turn = asyncio.Lock()
        self._closed = False
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

        Whoever asks while another question is open waits for its turn.

        Parameters
        ----------
        request : bytes
            One line with its line feed, shorter than a pipe's 64 KiB.
        on_line : callable
            Takes each line; gives True when it was the answer; raises ValueError on nonsense.
        silence : float
            Seconds without a line or a note after which the child counts as hung.
        deadline : float
            Seconds that the whole exchange may take.

        Raises
        ------
        ChildHungError, ChildGoneError, ChildRefusedError
        """
        async with self._turn:
            child = await self._ensure()
            try:
                await self._ask(child, request, on_line, silence, deadline)
            except TimeoutError:
                at = child.diary.read()[1]
                await self._discard(child)
                raise ChildHungError(min(silence, deadline), at) from None
            except ValueError as error:
                at = child.diary.read()[1]
                await self._discard(child)
                raise ChildGoneError(f"it spoke nonsense: {error}", at) from error
            except OSError as error:
                at = child.diary.read()[1]
                raise ChildGoneError(f"{await self._ended(child)} ({error})", at) from error
            except asyncio.CancelledError:
                # Its answer would be taken for that of the next question.
                self._kill(child)
                raise

    async def recycle(self) -> None:
        """End the child; the next question starts a new one."""
        if self._child is not None:
            await self._discard(self._child)

    async def close(self) -> None:
        """End the child, waiting no longer than ``KILL_GRACE``; none is started afterwards."""
        self._closed = True
        if self._child is not None:
            self._kill(self._child)
        await self._reap()

    async def _ask(
        self,
        child: "_Child",
        request: bytes,
        on_line: Callable[[bytes], bool],
        silence: float,
        deadline: float,
    ) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        end = started + deadline
        answered = child.expect(on_line)
        child.write(request)
        until = started + silence
        while True:
            # The future is shielded: a look at the diary is no reason to give it up.
            done, _ = await asyncio.wait(
                {answered}, timeout=max(0.0, min(until, end) - loop.time())
            )
            if done:
                answered.result()
                return
            alive = max(child.heard_at, child.diary.read()[0], started)
            until = alive + silence
            if loop.time() >= min(until, end):
                raise TimeoutError

    async def _ensure(self) -> "_Child":
        if self._child is not None and self._child.gone:
            await self._discard(self._child)
        if self._child is None:
            if self._closed:
                raise ChildRefusedError("the collector was closed")
            if self.unreaped >= MAX_UNREAPED:
                raise ChildRefusedError(
                    f"{self.unreaped} earlier child processes were killed and do not end"
                )
            self._child = await self._start()
        return self._child

    async def _start(self) -> "_Child":
        try:
            process, diary = self._spawn()
        except OSError as error:
            raise ChildRefusedError(f"{self._argv[0]} does not start: {error}") from error
        self.started += 1
        child = _Child(process, diary, self._unasked)
        try:
            await child.attach()
        except BaseException:
            # Whoever gives up now knows of no child that could be closed later.
            self._kill(child)
            raise
        return child

    def _spawn(self) -> "tuple[subprocess.Popen[bytes], Diary]":
        page = new_page()
        try:
            diary = Diary(page)
            env = dict(os.environ if self._env is None else self._env)
            process = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=env | {VARIABLE: str(page)},
                pass_fds=(page,),
                process_group=0,  # a Ctrl-C at the terminal is for the parent alone
            )
        finally:
            os.close(page)
        return process, diary

    async def _ended(self, child: "_Child") -> str:
        await self._discard(child)
        code = child.process.poll()
        if code is None or code >= 0:
            return f"it ended with status {code}"
        return f"it was ended by {signal.Signals(-code).name}"

    def _kill(self, child: "_Child") -> None:
        """Kill without waiting; what does not die at once is counted as unreaped."""
        child.detach()
        if child.process.poll() is None and child.process not in self._abandoned:
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


class _Child(asyncio.Protocol):
    """A process with its pipes on the loop."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        diary: Diary,
        unasked: Callable[[bytes], bool],
    ) -> None:
        self.process = process
        self.diary = diary
        self.gone = False
        self.heard_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._unasked = unasked
        self._rest = bytearray()
        self._on_line: Callable[[bytes], bool] = lambda _line: False
        self._answered: asyncio.Future[None] | None = None
        self._transport: asyncio.BaseTransport | None = None

    async def attach(self) -> None:
        """Take the child's pipes onto the loop."""
        self._transport, _ = await self._loop.connect_read_pipe(lambda: self, self.process.stdout)
        if self.process.stdin is not None:
            os.set_blocking(self.process.stdin.fileno(), False)

    def expect(self, on_line: Callable[[bytes], bool]) -> "asyncio.Future[None]":
        """Give what is done when the answer is there, or nothing more can come."""
        self._on_line = on_line
        self._answered = self._loop.create_future()
        if self.gone:
            self._fail(self._answered, BrokenPipeError("end of its output"))
        return self._answered

    @override
    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        *lines, rest = (bytes(self._rest) + data).split(b"\n")
        self._rest = bytearray(rest)
        try:
            for line in lines:
                self._hear(line + b"\n")
        except ValueError as error:
            self._over(error)
        except Exception as error:  # noqa: BLE001 - a line that a listener stumbles over
            self._over(ValueError(f"{type(error).__name__}: {error}"))
        if len(rest) > LINE_MAX:
            self._over(ValueError(f"a line of over {LINE_MAX} bytes"))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._over(exc or BrokenPipeError("end of its output"))

    def write(self, line: bytes) -> None:
        # An empty pipe takes up to 64 KiB whole; what does not fit is not being read.
        if self.process.stdin is None:
            raise BrokenPipeError("the child has no stdin")
        written = os.write(self.process.stdin.fileno(), line)
        if written != len(line):
            raise BlockingIOError("the child does not read its requests")

    def detach(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self._transport is None and self.process.stdout is not None:
            self.process.stdout.close()
        self._over(OSError("its pipes were closed"))
        self.diary.close()

    def _hear(self, line: bytes) -> None:
        if self._unasked(line) or self._answered is None or self._answered.done():
            return
        if self._on_line(line):
            self._answered.set_result(None)

    def _over(self, error: Exception) -> None:
        """Nothing sensible comes any more, and nothing more is read."""
        self.gone = True
        if self._transport is not None:
            self._transport.close()
        if self._answered is not None and not self._answered.done():
            self._fail(self._answered, error)

    def _fail(self, answered: "asyncio.Future[None]", error: Exception) -> None:
        answered.set_exception(error)
        answered.exception()  # whoever has given it up need not be told
