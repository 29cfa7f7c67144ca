"""Databases and plain services: what is heard of them without a password."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from citadel_k8s.collectors.engines import EngineCollector
from citadel_k8s.config.agent import EngineEndpoint
from citadel_k8s.models.readings import Engine, Listener, Reading
from tests import fake_engines as fakes
from tests.fake_engines import FakeEngine, Page, says

READY = b"R\0\0\0\x17\0\0\0\nSCRAM-SHA-256\0\0"


def refusal(code: str, text: str) -> bytes:
    fields = f"SFATAL\0VFATAL\0C{code}\0M{text}\0\0".encode()
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


class Server:
    """A TCP server that answers what it is asked, in turn, and keeps what that was."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = answers
        self.heard: list[bytes] = []
        self.done = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in self.answers:
            heard = await reader.read(1000)
            self.heard.append(heard)
            if answer is None or not heard:
                break
            writer.write(answer)
            await writer.drain()
        else:
            self.heard.append(await reader.read(1000))
        writer.close()
        self.done.set()

    async def flood(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        except ConnectionError:
            writer.close()


@asynccontextmanager
async def running(server: Server, serve: Callable[..., object] | None = None) -> AsyncIterator[int]:
    listening = await asyncio.start_server(serve or server.serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def check(kind: str, port: int, *, deep: bool = False, path: str = "") -> Engine:
    scheme = "http" if kind == "http" else "tcp"
    endpoint = EngineEndpoint(name="it", engine=kind, url=f"{scheme}://127.0.0.1:{port}{path}")
    collector = EngineCollector([endpoint], discover=False, deadline=0.5, deep_checks=deep)
    outcome = await collector.collect()
    await collector.close()
    assert isinstance(outcome, Reading)
    (engine,) = outcome.value
    assert engine.type == ("database" if kind in {"postgres", "redis"} else "other")
    assert engine.models is None
    return engine


@pytest.mark.parametrize(
    ("kind", "answer", "health", "reason"),
    [
        ("postgres", b"S", "ok", None),
        ("postgres", b"N", "ok", None),
        ("postgres", refusal("08P01", "no"), "ok", None),
        ("postgres", b"HTTP/1.1 400 Bad\r\n", "unhealthy", "Malformed"),
        ("postgres", None, "unhealthy", "ConnectionReset"),
        ("redis", b"+PONG\r\n", "ok", None),
        ("redis", b"-NOAUTH Authentication required.\r\n", "ok", None),
        ("redis", b"-DENIED Redis is running in protected mode\r\n", "ok", None),
        ("redis", b"-LOADING Redis is loading the dataset in memory\r\n", "starting", "Starting"),
        ("redis", b"-MASTERDOWN Link with MASTER is down\r\n", "degraded", "Refused"),
        ("redis", b"HTTP/1.1 400 Bad Request\r\n", "unhealthy", "Malformed"),
        ("redis", b"x" * 100_000, "unhealthy", "Oversized"),
        ("redis", None, "unhealthy", "ConnectionReset"),
        ("tcp", None, "ok", None),
    ],
)
async def test_a_server_is_known_by_its_first_answer(
    kind: str, answer: bytes | None, health: str, reason: str | None
):
    server = Server(answer)
    async with running(server) as port:
        engine = await check(kind, port)
    assert (engine.status, engine.health, engine.reason) == ("running", health, reason)


async def test_postgres_is_asked_for_encryption_only_which_no_server_logs():
    server = Server(b"N")
    async with running(server) as port:
        await check("postgres", port)
        await server.done.wait()
    assert server.heard == [b"\0\0\0\x08\x04\xd2\x16\x2f", b""]


@pytest.mark.parametrize(
    ("answer", "health", "reason"),
    [
        (READY, "ok", None),
        (refusal("28000", "no pg_hba.conf entry"), "ok", None),
        (refusal("57P03", "the database system is starting up"), "starting", "Starting"),
        (refusal("53300", "too many clients already"), "degraded", "TooManyClients"),
        (b"HTTP/1.1 400", "unhealthy", "Malformed"),
    ],
)
async def test_a_deeper_look_hears_whether_postgres_lets_anybody_in(
    answer: bytes, health: str, reason: str | None
):
    server = Server(b"N", answer)
    async with running(server) as port:
        engine = await check("postgres", port, deep=True)
    assert (engine.health, engine.reason) == (health, reason)
    assert b"user\0citadel\0" in server.heard[1]
    assert b"password" not in server.heard[1]


async def test_a_deeper_look_hears_the_version_of_redis():
    info = b"$40\r\n# Server\r\nredis_version:7.2.4\r\nos:Linux\r\n\r\n"
    async with running(Server(b"+PONG\r\n", info)) as port:
        engine = await check("redis", port, deep=True)
    assert (engine.health, engine.version) == ("ok", "7.2.4")


@pytest.mark.parametrize("kind", ["postgres", "redis", "tcp", "http"])
async def test_nothing_listening_is_stopped(kind: str):
    async with running(Server(None)) as port:
        pass
    engine = await check(kind, port)
    assert (engine.status, engine.health, engine.reason) == (
        "stopped", "unhealthy", "ConnectionRefused",
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["postgres", "redis"])
async def test_a_server_that_never_answers_or_never_ends_is_unhealthy(kind: str):
    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with running(Server(), hangs) as port:
        engine = await check(kind, port)
    assert (engine.health, engine.reason) == ("unhealthy", "Timeout")
    server = Server()
    async with running(server, server.flood) as port:
        engine = await check(kind, port)
    assert engine.health == "unhealthy"


@pytest.mark.parametrize(
    ("page", "health", "reason"),
    [
        (says("<html>"), "ok", None),
        (says(status=302, Location="http://169.254.169.254/"), "ok", None),
        (says(status=401), "ok", None),
        (says(b"x" * 10_000_000), "ok", None),
        (says(status=403), "unhealthy", "Unauthorized"),
        (says(status=404), "unhealthy", "BadStatus"),
        (says(status=503), "starting", "Starting"),
        (fakes.hangs, "unhealthy", "Timeout"),
        (fakes.resets, "unhealthy", "ConnectionReset"),
    ],
    ids=["200", "302", "401", "large", "403", "404", "503", "hangs", "resets"],
)
async def test_a_web_server_is_healthy_if_it_answers(page: Page, health: str, reason: str | None):
    async with FakeEngine({"/ping": page}) as fake:
        engine = await check("http", fake.port, path="/ping")
    assert (engine.health, engine.reason) == (health, reason)
    assert set(fake.asked) == {"GET /ping"}


async def test_a_database_is_found_by_its_command_where_that_is_asked_for():
    async with running(Server(b"+PONG\r\n", b"-NOPERM\r\n")) as port:
        found = Listener(port, "127.0.0.1", 7, f"redis-server *:{port}")
        for deep in (False, True):
            collector = EngineCollector(
                [], ports=(), listeners=lambda: (found,), deep_checks=deep, deadline=2.0
            )
            outcome = await collector.collect()
            await collector.close()
            assert isinstance(outcome, Reading)
            assert [(e.name, e.type) for e in outcome.value] == ([("redis", "database")] * deep)
