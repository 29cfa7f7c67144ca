"""Direct questions to whatever may sit at a node's address, on loopback."""

import asyncio
import errno
import gzip
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from citadel_k8s.clients import health
from citadel_k8s.clients.health import BODY_MAX, HealthClient
from citadel_k8s.domain.witness import Answer, Outcome, identified

LIMIT = 0.4
HOST = "127.0.0.1"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest_asyncio.fixture
async def client() -> AsyncIterator[HealthClient]:
    made = HealthClient(8, timeout=LIMIT)
    yield made
    await made.close()


@asynccontextmanager
async def answering(document: Any, **options: Any) -> AsyncIterator[int]:
    """Serve one answer, and give the port."""

    async def tell(request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        assert "Cookie" not in request.headers
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return web.Response(body=body, **options)

    app = web.Application()
    app.router.add_get("/health", tell)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(handler: Handler) -> AsyncIterator[int]:
    """Serve raw bytes, and give the port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(handle, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def timed(client: HealthClient, port: int, **options: Any) -> Answer:
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = await client.ask(HOST, port, **options)
    assert loop.time() - began < LIMIT + 0.5
    return answer


async def test_a_node_answers_for_itself(client: HealthClient) -> None:
    said = {"status": "ok", "nodeId": "n1", "bootId": "b1"}
    async with answering(said) as port:
        answer = await timed(client, port)
    assert (answer.node_id, answer.boot_id) == ("n1", "b1")
    assert identified(answer, "n1", "b1").outcome is Outcome.ANSWERS
    assert identified(answer, "n2", "b1").outcome is Outcome.SOMEBODY_ELSE
    assert answer.detail == f"127.0.0.1:{port} answers 200"


async def test_why_it_cannot_publish_is_told_and_made_harmless(client: HealthClient) -> None:
    said = {"nodeId": "n1", "heartbeat": {"state": "failing", "lastError": "no\x1b[2J route" * 20}}
    async with answering(said) as port:
        detail = (await timed(client, port)).detail
    assert "cannot publish: no" in detail
    assert detail.isprintable()
    assert len(detail) < 200


@pytest.mark.parametrize("status", [401, 403, 404, 500, 302, 204])
async def test_another_status_proves_no_node(client: HealthClient, status: int) -> None:
    options = {"status": status, "headers": {"Location": f"http://{HOST}:1/health"}}
    async with answering({"nodeId": "n1"} if status != 204 else b"", **options) as port:
        answer = await timed(client, port)
    assert (answer.outcome, answer.node_id) == (Outcome.UNPROVED, None)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[1]", b'{"nodeId": 7}', b'{"nodeId": null, "heartbeat": 3}', b"\xff"]
)
async def test_a_body_that_names_nobody_proves_no_node(client: HealthClient, body: bytes) -> None:
    async with answering(body) as port:
        answer = await timed(client, port)
    assert (answer.outcome, answer.node_id) == (Outcome.UNPROVED, None)


async def test_a_huge_body_is_not_read(client: HealthClient) -> None:
    async with answering(b'{"nodeId": "n1", "x": "' + b"x" * (4 * BODY_MAX) + b'"}') as port:
        answer = await timed(client, port)
    assert (answer.outcome, answer.node_id) == (Outcome.UNPROVED, None)


async def test_a_packed_body_is_not_unpacked(client: HealthClient) -> None:
    packed = gzip.compress(json.dumps({"nodeId": "n1"}).encode())
    async with answering(packed, headers={"Content-Encoding": "gzip"}) as port:
        assert (await timed(client, port)).node_id is None


async def test_nobody_at_the_port_refuses(client: HealthClient) -> None:
    with socket.socket() as free:
        free.bind((HOST, 0))
        answer = await timed(client, free.getsockname()[1])
    assert answer.outcome is Outcome.REFUSED
    assert "refuses" in answer.detail


async def test_a_port_that_takes_no_connection_times_out(client: HealthClient) -> None:
    with socket.socket() as full:
        full.bind((HOST, 0))
        full.listen(0)
        queued = [socket.socket() for _ in range(4)]
        for waiting in queued:  # fills the backlog: further SYNs are dropped, as by a dead host
            waiting.settimeout(0)
            waiting.connect_ex(full.getsockname())
        answer = await timed(client, full.getsockname()[1])
        for waiting in queued:
            waiting.close()
    assert answer.outcome is Outcome.TIMED_OUT


async def test_a_server_that_says_nothing_times_out(client: HealthClient) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.read()

    async with speaking(mute) as port:
        assert (await timed(client, port)).outcome is Outcome.TIMED_OUT


async def test_a_body_that_trickles_times_out(client: HealthClient) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        for _ in range(500):
            writer.write(b"{")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with speaking(trickle) as port:
        assert (await timed(client, port)).outcome is Outcome.TIMED_OUT


async def test_a_header_without_end_proves_no_node(client: HealthClient) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(1000):
            writer.write(b"x" * 1024)
            await writer.drain()

    async with speaking(endless) as port:
        assert (await timed(client, port)).outcome is Outcome.GARBLED


@pytest.mark.parametrize("bytes_sent", [b"", b"SSH-2.0-OpenSSH\r\n", b"\x15\x03\x01\x00\x02\x02P"])
async def test_whatever_speaks_no_http_proves_no_node(
    client: HealthClient, bytes_sent: bytes
) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(bytes_sent)
        await writer.drain()

    async with speaking(other) as port:
        assert (await timed(client, port)).outcome is Outcome.GARBLED


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (errno.ENETUNREACH, Outcome.NO_ROUTE),
        (errno.EHOSTUNREACH, Outcome.NO_ROUTE),
        (errno.ETIMEDOUT, Outcome.TIMED_OUT),
        (errno.ECONNRESET, Outcome.GARBLED),
        (errno.EMFILE, Outcome.VOID),
        (errno.EADDRNOTAVAIL, Outcome.VOID),
    ],
)
def test_what_this_host_lacks_is_not_held_against_the_node(number: int, outcome: Outcome) -> None:
    assert health.no_connection("10.0.0.1:8080", OSError(number, "x")).outcome is outcome


async def test_proxies_of_the_environment_are_not_asked(
    client: HealthClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{HOST}:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert os.environ["http_proxy"]
    async with answering({"nodeId": "n1"}) as port:
        assert (await timed(client, port)).node_id == "n1"


async def test_each_question_has_a_connection_of_its_own(client: HealthClient) -> None:
    seen: list[Any] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peername"))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        await reader.read()

    async with speaking(note) as port:
        for _ in range(3):
            await timed(client, port)
    assert len(set(seen)) == 3


async def test_a_question_that_is_called_off_ends_at_once(client: HealthClient) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.read()

    async with speaking(mute) as port:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.ask(HOST, port), 0.05)
