"""A page of memory in which a child notes what it is about to do, for when it falls silent.

A note costs the child under a microsecond and the parent nothing; a line in a pipe for each call
to a driver cost both of them more than the calls. Kept free of imports that a small child would
pay for.
"""

from __future__ import annotations

import mmap
import os
import struct
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

PAGE: Final = 256
"""Bytes of the page: a note is the name of one call."""

VARIABLE: Final = "CITADEL_DIARY"
"""Environment variable that gives a child the number of the page's descriptor."""

_HEAD: Final = struct.Struct("<dH")
"""Moment on the clock that never goes back, in seconds, and the note's length in bytes."""


class Diary:
    """The page, at either end.

    Parameters
    ----------
    descriptor : int
        The memory's descriptor; the page outlives it.
    """

    def __init__(self, descriptor: int) -> None:
        self._page = mmap.mmap(descriptor, PAGE)

    def note(self, text: bytes) -> None:
        """Write what comes next; an empty text for nothing."""
        text = text[: PAGE - _HEAD.size]
        self._page[_HEAD.size : _HEAD.size + len(text)] = text
        _HEAD.pack_into(self._page, 0, time.monotonic(), len(text))

    def read(self) -> tuple[float, bytes]:
        """Give the moment and the text of the last note; read it when the writer is silent."""
        if self._page.closed:
            return 0.0, b""
        moment, length = _HEAD.unpack_from(self._page, 0)
        return moment, self._page[_HEAD.size : min(PAGE, _HEAD.size + length)]

    def close(self) -> None:
        """Let go of the page."""
        self._page.close()


def new_page() -> int:
    """Give the descriptor of a new page, for this process and those that it passes it to."""
    descriptor = os.memfd_create("diary", os.MFD_CLOEXEC)
    os.truncate(descriptor, PAGE)
    return descriptor


def own_diary() -> Diary:
    """Give the page that the parent passed to this process; a private one if it did not."""
    number = os.environ.pop(VARIABLE, "")
    descriptor = int(number) if number else new_page()
    try:
        return Diary(descriptor)
    finally:
        os.close(descriptor)
