"""One question to an HTTP server, and what may go wrong with it."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from yarl import URL

from citadel_k8s.collectors.probe import Getter, ProbeError, _refusal, tried
from tests.fake_engines import FakeEngine, says, says_json


@pytest.fixture
async def getter() -> AsyncIterator[Callable[..., Getter]]:
    session = aiohttp.ClientSession(auto_decompress=False)

    def make(engine: FakeEngine, **more: Any) -> Getter:
        until = asyncio.get_running_loop().time() + 1.0
        url = URL(engine.url)
        return Getter(session, url, until=until, gate=asyncio.Semaphore(1), **more)

    yield make
    await session.close()


async def test_an_answer_that_is_the_same_as_the_last_is_not_read_again(getter):
    parsed: list[Any] = []

    def parse(document: Any) -> int:
        parsed.append(document)
        return len(parsed)

    async with FakeEngine({"/a": says_json([1])}) as fake:
        seen: dict[str, Any] = {}
        assert [await getter(fake, seen=seen).read("a", parse) for _ in range(3)] == [1, 1, 1]
        fake.pages["/a"] = says_json([2])
        assert await getter(fake, seen=seen).read("a", parse) == 2
        # What another reader made of it is no answer for this one.
        assert await getter(fake, seen=seen).read("a", lambda document: document) == [2]
    assert parsed == [[1], [2]]


async def test_a_key_is_not_shown_at_another_port(getter):
    async with FakeEngine({"/a": says()}) as fake:
        get = getter(fake, key="secret")
        await get("a")
        beside = get.beside(2)
        assert beside.url.port == fake.port + 2
        await beside.beside(-2)("a")
    assert fake.tokens == ["secret", None]


async def test_a_document_can_be_posted(getter):
    async with FakeEngine({"/a": says()}) as fake:
        await getter(fake)("a", post={"x": 1})
    assert fake.posted == [{"x": 1}]


async def test_an_error_says_what_was_asked_and_who_answered(getter):
    async with FakeEngine({"/a": says(status=418, Server="teapot")}) as fake:
        error = await tried(lambda: getter(fake)("a"))
    assert isinstance(error, ProbeError)
    assert (error.reason, error.status, error.server) == ("BadStatus", 418, "teapot")
    assert str(error) == "GET /a gives 418"


async def test_an_error_that_is_kept_does_not_keep_the_answer(getter):
    async with FakeEngine({"/a": says(b"[" * 50_000)}) as fake:
        error = await tried(lambda: getter(fake).read("a", len))
    assert isinstance(error, ProbeError)
    assert (error.__traceback__, error.__cause__, error.__context__) == (None, None, None)
    assert not any(isinstance(held, bytes | BaseException) for held in gc.get_referents(error))


def test_a_certificate_that_is_not_trusted_is_told_as_such():
    untrusted = aiohttp.ClientConnectorCertificateError(None, Exception("self-signed"))  # type: ignore[arg-type]
    assert (_refusal(untrusted).reason, str(_refusal(untrusted))) == (
        "ConnectFailed",
        "self-signed",
    )
