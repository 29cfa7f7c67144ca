"""A stream as server-sent events over HTTP. Source: the HTML standard, section 9.2."""

import random
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiohttp import web
from typing_extensions import override

from citadel_k8s.api.events.messages import Message
from citadel_k8s.api.events.stream import Sink

RETRY_FIRST: Final = 2.0
"""Seconds after which a client comes back at the earliest, lengthened by chance to thrice that: a
replica that ends leaves hundreds of them."""

PIECE: Final = 32 * 1024
"""Bytes written at once: what a client that does not read costs in memory is twice the most that a
connection buffers, and not all rows of its org."""

SEND_BUFFER: Final = 64 * 1024
"""Bytes that the kernel buffers for one client (it takes twice that), in place of up to 4 MiB: one
that does not read is found soon, and 1 MB/s still gets through a line of 0.1 s."""

HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}


class Connection:
    """What is known of a request's connection without asking the client."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._transport = request.transport
        self._written = 0
        sock: Any = self._transport and self._transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    @property
    def gone(self) -> bool:
        """Whether the client is."""
        return self._transport is None or self._transport.is_closing()

    def wrote(self, size: int) -> None:
        """Count what is written."""
        self._written += size

    def moved(self) -> int | None:
        """Give how much has left for the kernel, None if all has."""
        waits = self._transport.get_write_buffer_size() if self._transport is not None else 0
        return self._written - waits if waits else None

    def abort(self) -> None:
        """Cut the connection, whatever waits to leave."""
        if self._transport is not None:
            self._transport.abort()


class EventSink(Sink):
    """Writes events into an answer that does not end."""

    def __init__(
        self, request: web.Request, *, jitter: Callable[[], float] = random.random
    ) -> None:
        self.response = web.StreamResponse(headers=HEADERS)
        self._request = request
        self._connection = Connection(request)
        self._jitter = jitter

    async def open(self) -> None:
        """Send the head, and when to come back after a cut."""
        await self.response.prepare(self._request)
        pause = round(1000 * RETRY_FIRST * (1 + 2 * self._jitter()))
        await self._write(b"retry: %d\n\n" % pause)

    @override
    async def send(self, messages: Sequence[Message]) -> None:
        await self._write(b"".join(m.sse for m in messages) if messages[1:] else messages[0].sse)

    @property
    @override
    def gone(self) -> bool:
        return self._connection.gone

    @override
    def moved(self) -> int | None:
        return self._connection.moved()

    @override
    def abort(self) -> None:
        self._connection.abort()

    async def _write(self, data: bytes) -> None:
        whole = memoryview(data)
        for start in range(0, len(whole), PIECE):
            piece = whole[start : start + PIECE]
            self._connection.wrote(len(piece))
            await self.response.write(piece)
