"""Raw sockets that send slowly, read slowly, send nonsense, or are too many."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from structlog.testing import capture_logs

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.api.frame.route import PUBLIC, Call, Route
from citadel_k8s.api.frame.server import Certificate
from citadel_k8s.errors import ConfigError
from citadel_k8s.local.certs import Authority
from tests.unit.api.frame.serving import Running, serving

HEAD = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


class Body(BaseModel):
    a: str


async def hello(_call: Call) -> dict[str, str]:
    return {"hello": "you"}


async def large(_call: Call) -> dict[str, str]:
    return {"a": "x" * 20_000_000}


ROUTES = [
    Route("GET", "/x", hello, "A test.", PUBLIC, "test"),
    Route("GET", "/large", large, "A test.", PUBLIC, "test", deadline=0.05),
    Route("POST", "/x", hello, "A test.", PUBLIC, "test", body=Body),
]


def limits(**given: Any) -> dict[str, Any]:
    return {"settings": {"limits": given}}


async def opened(api: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", api.service.port)


def ended(registry: CollectorRegistry, reason: str) -> float | None:
    name = "citadel_api_connections_ended_total"
    return registry.get_sample_value(name, {"reason": reason})


async def closed(reader: asyncio.StreamReader) -> bytes:
    """Give what came before the server closed, whichever way it did."""
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionResetError:
        return b""


async def drip(writer: asyncio.StreamWriter, data: bytes, pause: float) -> None:
    try:
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause)
    except ConnectionError:
        pass


async def test_a_head_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("citadel_k8s.api.frame.guard.LOOK_SECONDS", 0.01)
    async with serving(ROUTES, **limits(header_seconds=0.1)) as api:
        reader, writer = await opened(api)
        async with asyncio.TaskGroup() as group:
            dripping = group.create_task(drip(writer, HEAD * 100, 0.01))
            assert await closed(reader) == b""
            dripping.cancel()
        assert ended(api.metrics.registry, "head") == 1
        writer.close()


async def test_a_second_head_on_a_good_connection_may_not_drip_either(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("citadel_k8s.api.frame.guard.LOOK_SECONDS", 0.01)
    async with serving(ROUTES, **limits(header_seconds=0.1)) as api:
        reader, writer = await opened(api)
        writer.write(HEAD)
        assert b"200 OK" in await reader.readuntil(b'"you"}')
        await asyncio.sleep(0.2)  # an idle connection may wait for longer than a head may take
        writer.write(HEAD)
        assert b"200 OK" in await reader.readuntil(b'"you"}')
        writer.write(b"GET /x HT")
        assert await closed(reader) == b""
        writer.close()


async def test_a_connection_that_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("citadel_k8s.api.frame.guard.LOOK_SECONDS", 0.01)
    async with serving(ROUTES, **limits(header_seconds=0.05)) as api:
        reader, writer = await opened(api)
        assert await closed(reader) == b""
        writer.close()


async def test_a_body_that_drips_is_refused():
    async with serving(ROUTES, **limits(body_seconds=0.1)) as api:
        reader, writer = await opened(api)
        writer.write(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{")
        async with asyncio.TaskGroup() as group:
            dripping = group.create_task(drip(writer, b" " * 900, 0.01))
            head = await reader.readuntil(b"\r\n\r\n")
            dripping.cancel()
        assert head.startswith(b"HTTP/1.1 408")
        writer.close()


async def test_who_does_not_read_the_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("citadel_k8s.api.frame.guard.LOOK_SECONDS", 0.01)
    async with serving(ROUTES, **limits(answer_seconds=0.2)) as api:
        _, writer = await opened(api)
        writer.write(HEAD.replace(b"/x", b"/large"))
        async with asyncio.timeout(5):
            while ended(api.metrics.registry, "answer") != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        writer.close()


async def test_too_many_connections_of_one_address_are_turned_away_with_a_word():
    async with serving(ROUTES, **limits(connections_per_address=2)) as api:
        held = [await opened(api) for _ in range(2)]
        reader, writer = await opened(api)
        answer = await closed(reader)
        assert answer.startswith(b"HTTP/1.1 503")
        assert json.loads(answer.split(b"\r\n\r\n")[1])["error"] == "unavailable"
        writer.close()
        for _, other in held:
            other.close()
        async with asyncio.timeout(5):
            while b"200 OK" not in await api.raw(  # noqa: ASYNC110
                HEAD.replace(b"Host", b"Connection: close\r\nHost")
            ):
                await asyncio.sleep(0.01)


async def test_too_many_connections_in_all_are_turned_away():
    async with serving(ROUTES, **limits(connections=1)) as api:
        _, held = await opened(api)
        reader, writer = await opened(api)
        assert (await closed(reader)).startswith(b"HTTP/1.1 503")
        assert ended(api.metrics.registry, "total") == 1
        held.close()
        writer.close()


async def test_a_trusted_proxy_may_hold_more():
    settings = {"limits": {"connections_per_address": 1}, "trusted_proxies": ["127.0.0.0/8"]}
    async with serving(ROUTES, settings=settings) as api:
        _, held = await opened(api)
        assert b"200 OK" in await api.raw(HEAD.replace(b"Host", b"Connection: close\r\nHost"))
        held.close()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ids=range(8),
)
async def test_what_is_no_http_is_answered_400_and_not_quoted(nonsense: bytes):
    async with serving(ROUTES) as api:
        answer = await api.raw(nonsense)
        assert answer.startswith(b"HTTP/1.0 400")
        body = json.loads(answer.split(b"\r\n\r\n")[1])
        assert body["error"] == "bad_request"
        assert b"yyyy" not in answer
        assert b"aiohttp" not in answer
        assert (await api.ask("/x"))[0] == 200


async def test_a_body_that_is_cut_off_harms_nobody():
    async with serving(ROUTES) as api:
        _, writer = await opened(api)
        writer.write(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{")
        await writer.drain()
        writer.close()
        bad = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"
        assert (await api.raw(bad)).startswith(b"HTTP/1.0 400")
        assert (await api.ask("/x"))[0] == 200


async def test_a_taken_port_is_told_in_plain_words():
    async with serving(ROUTES) as api:
        with pytest.raises(ConfigError, match=f"127.0.0.1:{api.service.port}"):
            async with serving(ROUTES, settings={"listen_port": api.service.port}):
                pass


@pytest.mark.parametrize("names", [("a", None), (None, "a"), ("/nowhere", "/nowhere")])
async def test_tls_files_that_cannot_be_used_are_told(names: tuple[str | None, str | None]):
    with pytest.raises(ConfigError, match="tlsCertFile"):
        async with serving(ROUTES, settings={"tls_cert_file": names[0], "tls_key_file": names[1]}):
            pass


def test_a_renewed_certificate_is_taken_up_and_half_of_one_is_not(tmp_path: Path):
    clock = ManualClock()
    first = Authority(tmp_path, clock).issue("a", "one", serves=True)
    certificate = Certificate(first.certificate, first.key)
    (tmp_path / "b").mkdir()
    second = Authority(tmp_path / "b", clock).issue("b", "two", serves=True)

    first.certificate.write_bytes(second.certificate.read_bytes())
    os.utime(first.certificate, ns=(1, 1))
    with capture_logs() as logs:
        certificate.look()
    assert [line["event"] for line in logs] == ["certificate_not_renewed"]

    first.key.chmod(0o600)
    first.key.write_bytes(second.key.read_bytes())
    os.utime(first.key, ns=(1, 1))
    with capture_logs() as logs:
        certificate.look()
        certificate.look()
    assert [line["event"] for line in logs] == ["certificate_renewed"]
