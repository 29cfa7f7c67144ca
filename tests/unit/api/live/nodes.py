"""Nodes that answer questions, well and badly, on real sockets of the loopback address."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]
"""Answers one request, given its head."""


def body(node_id: str = "a", boot: str | None = "b1", **more: Any) -> bytes:
    """Give the body of a status."""
    message = {"nodeId": node_id, "status": {"node": {"name": node_id}, "system": {}}} | more
    return json.dumps(message if boot is None else message | {"bootId": boot}).encode()


def response(content: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """Give the bytes of a response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + content


def says(data: bytes) -> Speak:
    """Answer with these bytes."""

    async def speak(_reader: Any, writer: asyncio.StreamWriter, _head: bytes) -> None:
        writer.write(data)
        await writer.drain()

    return speak


async def silent(reader: asyncio.StreamReader, _writer: Any, _head: bytes) -> None:
    """Take the request and say nothing, until whoever asked has gone."""
    await reader.read()


async def hangs_up(_reader: Any, _writer: Any, _head: bytes) -> None:
    """Close without a word."""


@dataclass
class FakeNode:
    """One server; ``heads`` are the requests that it got."""

    port: int = 0
    heads: list[bytes] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        return [head.split(b" ")[1].decode() for head in self.heads]


@asynccontextmanager
async def fake_node(speak: Speak, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeNode]:
    """Serve on a free port."""
    node = FakeNode()

    gone: dict[asyncio.StreamWriter, asyncio.Event] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = gone[writer] = asyncio.Event()
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                head = await reader.readuntil(b"\r\n\r\n")
                node.heads.append(head)
                await speak(reader, writer, head)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()
            ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    node.port = server.sockets[0].getsockname()[1]
    try:
        yield node
    finally:
        server.close()
        for writer, ended in list(gone.items()):
            writer.transport.abort()
            await ended.wait()
