"""Doors of simulated nodes: one listening socket each, at which a node answers for its health."""

import asyncio
import json
from collections.abc import Callable
from typing import Final

from typing_extensions import override

from citadel_k8s.local.ports import LOOPBACK, Port

BACKLOG: Final = 4
"""Callers that may wait at one door: an operator asks each node once at a time."""

REQUEST_MAX: Final = 8192
"""Bytes of a request after which a caller who still says nothing sensible is left."""


class Door:
    """One node's ``/health``, as its agent gives it to who may ask.

    Parameters
    ----------
    node_id : str
        Whose it is.
    boot_id : callable
        Gives the boot id of the moment.
    """

    def __init__(self, node_id: str, boot_id: Callable[[], str]) -> None:
        self._node_id = node_id
        self._boot_id = boot_id
        self._server: asyncio.Server | None = None
        # Held while the door is shut as well: a free port may become the near end of anybody's
        # connection, the caller's own among them, and then the dead would answer.
        self._port = Port()
        self.asked = 0

    @property
    def port(self) -> int:
        """Its port, as long as there is a door."""
        return self._port.number

    async def open(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Answer(self._answer), LOOPBACK, self.port, reuse_address=True, backlog=BACKLOG
        )

    def shut(self) -> None:
        """Refuse whoever comes."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def remove(self) -> None:
        """Give the port back as well."""
        self.shut()
        self._port.release()

    def _answer(self, request: bytes) -> bytes:
        self.asked += 1
        if not request.startswith(b"GET /health"):
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        said = {"status": "ok", "nodeId": self._node_id, "bootId": self._boot_id()}
        body = json.dumps(said).encode()
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class _Answer(asyncio.Protocol):
    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._request = b""
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self._request += data
        if self._transport is None or (
            b"\r\n\r\n" not in self._request and len(self._request) < REQUEST_MAX
        ):
            return
        self._transport.write(self._answer(self._request))
        self._transport.close()
