"""Loopback ports that nobody else gets while they are held."""

import socket
from typing import Final, Self

LOOPBACK: Final = "127.0.0.1"
"""The only address that the embedded stack listens on."""


class Port:
    """One TCP port on the loopback address, reserved until `release`.

    A bound socket that does not listen is kept open. With ``SO_REUSEADDR`` on both sides Linux lets
    a server bind and listen beside it, while the kernel gives the number to nobody who asks for any
    free port. So two stacks never collide, and a server that is restarted gets its port back.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((LOOPBACK, 0))
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """Let others have the port."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
