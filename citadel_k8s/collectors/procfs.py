"""Reading files of ``/proc`` and ``/sys`` in bounded space and little time."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, TypeVar

    T = TypeVar("T")

FILE_MAX: Final = 1 << 20
"""Most that is read of one file, in bytes: tables of sockets and routes have no bound."""

EXITING: Final = 0x4
"""The kernel's mark of a process that is ending, ``PF_EXITING``."""

DIGITS_MAX: Final = 20
"""Longest number that the kernel writes, in digits: one of 64 bits."""

CHUNK: Final = 1 << 16
"""Asked for in one read, in bytes; the kernel hands out a page or so of its tables at a time."""


def read_bytes(path: str, limit: int = FILE_MAX) -> bytes:
    """Give what a file holds, at most ``limit`` bytes of it.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    # Half the cost of open(), and a child reads hundreds of files per collection. A pipe in a
    # file's place must not block.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        data = os.read(descriptor, min(limit, CHUNK))
        more = data
        while more and len(data) < limit:
            more = os.read(descriptor, min(limit - len(data), CHUNK))
            data += more
        return data
    finally:
        os.close(descriptor)


class OpenFiles:
    """Files of the kernel that are read again and again, kept open as far as there is room.

    A kept file costs a seventh of opening it anew. One whose cgroup or process is gone gives an
    error, also where another has taken its path, and is then opened anew.

    Parameters
    ----------
    room : int
        Most files kept open.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept: dict[str, int] = {}
        self._idle: set[str] = set()

    def read(self, path: str, limit: int = CHUNK) -> bytes:
        """Give what a file holds, at most ``limit`` bytes of it, in one read; raises OSError."""
        kept = self._kept.get(path)
        if kept is not None:
            self._idle.discard(path)
            try:
                return os.pread(kept, limit, 0)
            except OSError:
                os.close(self._kept.pop(path))
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if len(self._kept) < self._room:
            self._kept[path] = descriptor
            return os.pread(descriptor, limit, 0)
        try:
            return os.read(descriptor, limit)
        finally:
            os.close(descriptor)

    def forget(self, folder: str) -> None:
        """Close what lies in a folder, since it is another by now."""
        for path in [path for path in self._kept if path.startswith(f"{folder}/")]:
            self._idle.discard(path)
            os.close(self._kept.pop(path))

    def sweep(self) -> None:
        """Close what has not been read since the last time; once per collection."""
        for path in self._idle:
            os.close(self._kept.pop(path))
        self._idle = set(self._kept)

    def close(self) -> None:
        """Close all files."""
        self._idle = set()
        while self._kept:
            os.close(self._kept.popitem()[1])

    def __del__(self) -> None:
        """Close all files: nobody else does, since they are plain numbers."""
        self.close()


def read_text(path: str, limit: int = FILE_MAX) -> str:
    """Give what a file holds as text; raises OSError if it cannot be read."""
    return read_bytes(path, limit).decode("utf-8", "replace")


def known(read: Callable[..., T], *arguments: object) -> T | None:
    """Give what is read, or None where the host does not have it or writes it otherwise."""
    try:
        return read(*arguments)
    except (OSError, ValueError, IndexError, KeyError, OverflowError):
        return None


def read_number(path: str, read: Callable[[str, int], bytes] = read_bytes) -> int | None:
    """Give the whole number that is all that a file holds; None if it holds none."""
    try:
        text = read(path, 64).strip()
    except OSError:
        return None
    return int(text) if text.isdigit() and len(text) <= DIGITS_MAX else None


def parse_stat(text: str) -> tuple[str, int, int, bool]:
    """Give name, parent, start and whether it is ending, of ``/proc/PID/stat``.

    The start is in clock ticks since the host booted.

    Raises
    ------
    ValueError, IndexError
        If the line is cut short or is none.
    """
    # The name may hold spaces and parentheses, so it ends at the last one.
    end = text.rindex(")")
    name = text[text.index("(") + 1 : end]
    columns = text[end + 1 :].split()
    return name, int(columns[1]), int(columns[19]), bool(int(columns[6]) & EXITING)
