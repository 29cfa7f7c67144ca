"""A shell in a terminal in memory: what is typed into it, and what it shows."""

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import pyte

KEY: Final = 0.045
"""Seconds between two keys: a quick typist."""

AFTER: Final = 0.3
"""Seconds after what was typed: a shell has answered then."""


@dataclass(frozen=True, slots=True)
class Run:
    """Some cells beside each other that look the same."""

    text: str
    column: int
    fg: str = "default"
    bg: str = "default"
    bold: bool = False
    dim: bool = False
    italic: bool = False


class _Screen(pyte.Screen):
    """A screen that knows dim text, which the library drops."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__(columns, rows)
        self._dim = False

    def select_graphic_rendition(self, *attributes: int, **kwargs: Any) -> None:
        # Dim is kept as blinking, which nothing here does.
        mapped: list[int] = []
        skip = 0
        for place, one in enumerate(attributes):
            if skip:
                skip -= 1
                mapped.append(one)
                continue
            if one in {38, 48}:
                skip = 2 if attributes[place + 1 : place + 2] == (5,) else 4
            mapped += [22, 25] if one == 22 else [5] if one == 2 else [one]  # noqa: PLR2004
        super().select_graphic_rendition(*mapped, **kwargs)


class Terminal:
    """A program in a pseudo-terminal, with a screen in memory."""

    def __init__(self, pid: int, handle: int, size: tuple[int, int]) -> None:
        self._pid = pid
        self._handle = handle
        self._screen = _Screen(*size)
        self._stream = pyte.ByteStream(self._screen)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, words: Sequence[str], env: Mapping[str, str], size: tuple[int, int]
    ) -> AsyncGenerator[Self]:
        """Start a program; it is ended at the end."""
        pid, handle = pty.fork()
        if pid == 0:
            os.execvpe(words[0], list(words), dict(env))  # noqa: S606
        fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        terminal = cls(pid, handle, size)
        loop = asyncio.get_running_loop()
        loop.add_reader(handle, terminal._read)
        try:
            await asyncio.sleep(AFTER)
            yield terminal
        finally:
            loop.remove_reader(handle)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGHUP)
                os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(os.waitpid, pid, 0)
            os.close(handle)

    async def type(self, text: str, *, pause: float = KEY) -> None:
        """Type some keys, one after the other."""
        for key in text:
            os.write(self._handle, key.replace("\n", "\r").encode())
            await asyncio.sleep(pause)
        await asyncio.sleep(AFTER)

    def text(self) -> list[str]:
        """Give what is shown, line by line."""
        return [line.rstrip() for line in self._screen.display]

    def cursor(self) -> tuple[int, int] | None:
        """Give column and row of the cursor; None where it is hidden."""
        cursor = self._screen.cursor
        return None if cursor.hidden else (cursor.x, cursor.y)

    def lines(self) -> tuple[tuple[Run, ...], ...]:
        """Give what is shown, with its styles."""
        return tuple(self._line(row) for row in range(self._screen.lines))

    def _line(self, row: int) -> tuple[Run, ...]:
        cells = self._screen.buffer[row]
        runs: list[Run] = []
        for column in range(self._screen.columns):
            cell = cells[column]
            fg, bg = (cell.bg, cell.fg) if cell.reverse else (cell.fg, cell.bg)
            if cell.reverse:
                fg, bg = ("black" if fg == "default" else fg), ("white" if bg == "default" else bg)
            style = (fg, bg, cell.bold, cell.blink, cell.italics)
            last = runs[-1] if runs else None
            if last and (last.fg, last.bg, last.bold, last.dim, last.italic) == style:
                runs[-1] = Run(last.text + cell.data, last.column, *style)
            else:
                runs.append(Run(cell.data, column, *style))
        return tuple(run for run in runs if run.text.strip() or run.bg != "default")

    def _read(self) -> None:
        try:
            data = os.read(self._handle, 65536)
        except OSError:  # the program is gone
            data = b""
        if data:
            self._stream.feed(data)
        else:
            asyncio.get_running_loop().remove_reader(self._handle)
