"""Two small questions to the machine itself: is a port shut, what key is in a file."""

import asyncio
import errno
import ipaddress
import os
import socket
import stat
from pathlib import Path
from typing import Final

KEY_MAX: Final = 4096
"""Bytes of a key file: keys are tens of characters, tokens a few thousand."""


def is_shut(host: str | None, port: int | None) -> bool:
    """Whether nothing listens at an address of this machine.

    A connection to loopback is refused at once, so this costs a few microseconds and waits for
    nothing; of an address elsewhere nobody can say without waiting, so it counts as open.
    """
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return False
    if not address.is_loopback or port is None:
        return False
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    with socket.socket(family, socket.SOCK_STREAM) as door:
        door.setblocking(False)  # noqa: FBT003
        return door.connect_ex((str(address), port)) == errno.ECONNREFUSED


async def key_in(path: Path, until: float) -> str | None:
    """Give the key in a file; None if there is none that could be sent.

    The file is read anew each time: keys are rotated in place. It may lie on a mount that hangs.
    """
    try:
        async with asyncio.timeout_at(until):
            return await asyncio.to_thread(_key, path)
    except OSError:
        return None


def _key(path: Path) -> str | None:
    # Not to be stopped by a pipe, nor to read a device without end.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        text = os.read(handle, KEY_MAX).decode("ascii", "replace").strip()
    finally:
        os.close(handle)
    return text if text and text.isascii() and text.isprintable() and " " not in text else None
