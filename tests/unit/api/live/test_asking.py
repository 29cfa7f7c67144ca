import asyncio
import gzip
import os
import socket
import ssl
from contextlib import ExitStack
from ipaddress import ip_address
from typing import Any

import pytest

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.api.live.asking import NodeClient, Place
from citadel_k8s.api.live.failure import LiveError, Step
from citadel_k8s.local.certs import Authority
from tests.unit.api.live.nodes import FakeNode, body, fake_node, hangs_up, response, says, silent

LOOPBACK = ip_address("127.0.0.1")


async def ask(port: int, *, seconds: float = 5.0, fresh: bool = True, **more: Any) -> bytes:
    connect, tls = more.pop("connect", seconds), more.pop("speaks_tls", False)
    client = NodeClient(4, tls_wait=0.2, **more)
    place = Place(LOOPBACK, port, None, tls)
    until = asyncio.get_running_loop().time() + seconds
    try:
        return await client.ask(place, connect=connect, until=until, fresh=fresh)
    finally:
        await client.close()


async def step_of(port: int, **more: Any) -> tuple[Step, str]:
    with pytest.raises(LiveError) as caught:
        await ask(port, **more)
    return caught.value.step, str(caught.value)


async def test_a_node_is_asked_to_look_anew_and_shown_no_secret() -> None:
    async with fake_node(says(response(body()))) as node:
        assert await ask(node.port) == body()
        assert await ask(node.port, fresh=False) == body()

    assert node.paths == ["/status?fresh=1", "/status"]
    assert b"authorization" not in node.heads[0].lower()
    assert b"cookie" not in node.heads[0].lower()


async def test_a_packed_answer_is_unpacked() -> None:
    async with fake_node(says(response(gzip.compress(body()), Content_Encoding="gzip"))) as node:
        assert await ask(node.port) == body()


async def test_a_closed_port_is_told_as_no_connection() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        step, text = await step_of(taken.getsockname()[1])

    assert step is Step.CONNECT
    assert "refuses connections" in text


async def test_a_node_that_lets_nobody_connect_is_told_in_time() -> None:
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        for _ in range(4):  # nobody takes them, so that the kernel lets no more in
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(("127.0.0.1", port))
        step, text = await step_of(port, connect=0.2)

    assert (step, "in time" in text) == (Step.CONNECT, True)


async def test_silence_is_a_timeout() -> None:
    async with fake_node(silent) as node:
        assert (await step_of(node.port, seconds=0.2))[0] is Step.TIMEOUT


async def test_a_node_that_drips_is_a_timeout() -> None:
    async def drips(_reader: Any, writer: asyncio.StreamWriter, _head: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with fake_node(drips) as node:
        assert (await step_of(node.port, seconds=0.3))[0] is Step.TIMEOUT


REDIRECT = response(b"", "302 Found", Location="http://127.0.0.1:1/status")

BAD = {
    "redirect": (REDIRECT, "leads elsewhere"),
    "permanent redirect": (
        response(b"", "308 Permanent Redirect", Location="http://169.254.169.254/"),
        "leads elsewhere",
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", "answers 204"),
    "error": (response(b"{}", "500 Oops"), "answers 500"),
    "not found": (response(b"", "404 Not Found"), "answers 404"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "speaks no HTTP"),
    "garbage": (os.urandom(64).replace(b"\n", b"x") + b"\r\n\r\n", "speaks no HTTP"),
    "broken off": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", "breaks off",
    ),
    "bad chunk": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "speaks no HTTP|breaks off",
    ),
    "large header": (
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", "speaks no HTTP",
    ),
    "large by its word": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "more than",
    ),
    "large": (
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000_000, "more than",
    ),
    "bomb": (response(gzip.compress(b"\0" * 20_000_000), Content_Encoding="gzip"), "more than"),
    "odd packing": (response(b"x", Content_Encoding="br"), "packs its answer"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_answer_is_told(kind: str) -> None:
    data, told = BAD[kind]
    async with fake_node(says(data)) as node:
        with pytest.raises(LiveError, match=told) as caught:
            await ask(node.port, body_max=1_000_000)

    assert caught.value.step is Step.BODY


async def test_a_redirect_is_not_followed() -> None:
    async with fake_node(says(response(body()))) as other:
        url = f"http://127.0.0.1:{other.port}/status"
        async with fake_node(says(response(b"", "302 Found", Location=url))) as node:
            assert (await step_of(node.port))[0] is Step.BODY

    assert other.heads == []


async def test_a_node_that_hangs_up_is_told() -> None:
    async with fake_node(hangs_up) as node:
        step, text = await step_of(node.port)

    assert (step, "speaks no HTTP" in text) == (Step.BODY, True)


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fake_node(says(response(b"", "500 Oops"))) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with fake_node(says(response(body()))) as node:
            assert await ask(node.port) == body()

    assert proxy.heads == []


async def guarded(_reader: Any, writer: asyncio.StreamWriter, head: bytes) -> None:
    lets = b"Bearer the-token" in head
    writer.write(response(body()) if lets else response(b"{}", "401 Unauthorized"))


def token(text: str | None) -> Any:
    async def read() -> str | None:
        return text

    return read


async def test_the_token_is_shown_to_who_asks_for_one() -> None:
    async with fake_node(guarded) as node:
        assert await ask(node.port, token=token("the-token")) == body()

    assert [b"Bearer" in head for head in node.heads] == [False, True]


@pytest.mark.parametrize(
    ("given", "told"), [(None, "is not set"), (token(None), "does not fit"),
                        (token("wrong"), "does not fit")],
)  # fmt: skip
async def test_without_the_right_token_the_step_is_auth(given: Any, told: str) -> None:
    async with fake_node(guarded) as node:
        step, text = await step_of(node.port, token=given)

    assert (step, told in text) == (Step.AUTH, True)


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context and one that knows its authority."""
    authority = Authority(tmp_path_factory.mktemp("pki"), SystemClock())
    pair = authority.issue("node", "node", serves=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pair.certificate, pair.key)
    return server, ssl.create_default_context(cafile=authority.certificate)


@pytest.mark.parametrize("says_so", [True, False])
async def test_a_node_with_a_certificate_is_asked_by_tls(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], *, says_so: bool
) -> None:
    server, known = contexts
    async with fake_node(guarded, server) as node:
        found = await ask(node.port, tls=known, token=token("the-token"), speaks_tls=says_so)

    assert found == body()
    assert all(head.startswith(b"GET /status") for head in node.heads)


@pytest.mark.parametrize("says_so", [True, False])
async def test_a_certificate_that_nobody_knows_is_told(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], *, says_so: bool
) -> None:
    server, _ = contexts
    async with fake_node(says(response(body())), server) as node:
        step, text = await step_of(node.port, speaks_tls=says_so)

    assert (step, "certificate" in text) == (Step.TLS, True)
    assert node.heads == []


async def test_a_node_that_says_tls_and_speaks_none_is_told() -> None:
    node: FakeNode
    async with fake_node(says(response(body()))) as node:
        assert (await step_of(node.port, speaks_tls=True, seconds=1.0))[0] in {
            Step.TLS, Step.TIMEOUT,
        }  # fmt: skip
