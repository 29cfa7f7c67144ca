"""A line between the page and the API that can be cut: in the middle of an event, for a while."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from citadel_k8s.local.ports import LOOPBACK, Port

_CHUNK = re.compile(rb"\r\n[0-9a-f]+\r\n")
"""Where one chunk of a stream ends and another begins."""


@dataclass
class Line:
    """Passes bytes on; made by `line`."""

    target: int
    port: int
    down: bool = False
    """True: whoever connects is cut off at once."""

    asked: list[str] = field(default_factory=list)
    """First line of each request, and its Last-Event-ID where there is one."""

    heard: bytearray = field(default_factory=bytearray)
    """All that came from the API."""

    cut_at: bytes = b""
    """A text in the middle of which the connection is cut, once."""

    cuts: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _serving: set[asyncio.Task[None] | None] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/"

    def cut(self) -> None:
        """Cut all connections that there are now."""
        for writer in list(self._open):
            writer.transport.abort()

    async def end(self) -> None:
        """Cut all connections, and wait until nobody serves them any more."""
        self.cut()
        async with asyncio.timeout(5):
            while self._serving:  # noqa: ASYNC110 - each ends by itself
                await asyncio.sleep(0.01)

    def requests(self, path: str) -> list[str]:
        """Give the requests of a path, queries left aside."""
        return [one for one in self.asked if one.split()[1].split("?")[0] == path]

    def events(self) -> list[tuple[str, str]]:
        """Give id and name of each whole event that was passed on."""
        text = _CHUNK.sub(b"", bytes(self.heard)).decode(errors="replace")
        return re.findall(r"id: ([0-9-]+)\nevent: (\w+)\ndata: [^\n]*\n\n", text)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on until it ends."""
        self._open.add(writer)
        self._serving.add(asyncio.current_task())
        back: asyncio.StreamWriter | None = None
        try:
            if self.down:
                return
            there, back = await asyncio.open_connection(LOOPBACK, self.target)
            async with asyncio.TaskGroup() as group:
                up = group.create_task(self._up(reader, back))
                await self._down(there, writer)
                up.cancel()
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            self._serving.discard(asyncio.current_task())
            writer.transport.abort()
            if back is not None:
                back.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self._note(data)
            back.write(data)
            await back.drain()
        back.transport.abort()

    def _note(self, data: bytes) -> None:
        head = data.partition(b"\r\n\r\n")[0].decode(errors="replace")
        first, *rest = head.split("\r\n")
        if re.match(r"[A-Z]+ /", first):
            place = [text for text in rest if text.lower().startswith("last-event-id")]
            self.asked.append(" ".join((first, *place)))

    async def _down(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await there.read(65536):
            found = data.find(self.cut_at) if self.cut_at else -1
            if found >= 0:
                half = data[: found + len(self.cut_at) // 2]
                self.cut_at, self.cuts = b"", self.cuts + 1
                self.heard += half
                writer.write(half)
                await writer.drain()
                return
            self.heard += data
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def line(target: int) -> AsyncIterator[Line]:
    """Lay a line to a port of this machine."""
    with Port() as port:
        made = Line(target, port.number)
        server = await asyncio.start_server(made.serve, LOOPBACK, port.number)
        try:
            yield made
        finally:
            server.close()
            await made.end()
            await server.wait_closed()
