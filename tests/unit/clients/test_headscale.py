import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from citadel_k8s.clients import headscale
from citadel_k8s.clients.headscale import Headscale
from citadel_k8s.errors import ConfigError, MeshError
from tests.receivers import Receiver, answer, receiving
from tests.unit.domain.test_mesh import NEW, OLD

KEY = "hskey-never-to-be-seen"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    return path


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


def body(document: object) -> bytes:
    return answer(200, body=json.dumps(document).encode())


async def test_machines_are_listed_with_the_key_of_the_file(
    server: Receiver, key_file: Path
) -> None:
    server.answer = body(NEW)
    machines, unreadable = await Headscale(server.url, key_file).machines()
    assert [machine.headscale_id for machine in machines] == ["758", "759"]
    assert unreadable == 0
    assert server.requests[0].path == "/api/v1/node"
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_a_key_that_was_renewed_is_used_at_once(server: Receiver, key_file: Path) -> None:
    server.answer = body(NEW)
    client = Headscale(server.url, key_file)
    await client.machines()
    key_file.write_text("renewed")  # noqa: ASYNC240 - a few bytes
    await client.machines()
    assert server.requests[1].headers["authorization"] == "Bearer renewed"


async def test_an_older_server_is_asked_where_it_listed_machines(
    server: Receiver, key_file: Path
) -> None:
    async def by_path(writer: asyncio.StreamWriter) -> None:
        old = server.requests[-1].path == "/api/v1/machine"
        writer.write(body(OLD) if old else answer(404))
        await writer.drain()

    server.answer = by_path
    client = Headscale(server.url, key_file)
    assert [m.name for m in (await client.machines())[0]] == ["old-box-renamed"]
    await client.machines()
    paths = [request.path for request in server.requests]
    assert paths == ["/api/v1/node", "/api/v1/machine", "/api/v1/machine"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (answer(401), "401"),
        (answer(500), "500"),
        (answer(404), "neither"),
        (answer(302, "Location: http://127.0.0.1:1/\r\n"), "302"),
        (answer(200, body=b"<html>"), "no JSON"),
        (answer(200, body=b"[" * 100_000), "no JSON"),
        (answer(200, body=b"[]"), "no list"),
        (b"nonsense\r\n\r\n", "Headscale"),
    ],
)
async def test_what_goes_wrong_is_told_without_the_key(
    server: Receiver, key_file: Path, said: bytes, told: str
) -> None:
    server.answer = said
    with pytest.raises(MeshError, match=told) as caught:
        await Headscale(server.url, key_file).machines()
    assert KEY not in str(caught.value)


async def test_a_server_that_is_silent_is_given_up(server: Receiver, key_file: Path) -> None:
    async def silent(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server.answer = silent
    with pytest.raises(MeshError, match="no answer"):
        await Headscale(server.url, key_file, timeout=0.05).machines()


async def test_a_server_that_is_away_is_told(key_file: Path) -> None:
    with pytest.raises(MeshError, match="Headscale"):
        await Headscale("http://127.0.0.1:1", key_file).machines()


async def test_an_answer_that_unpacks_to_a_mountain_is_left(
    server: Receiver, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headscale, "BODY_MAX", 1024 * 1024)
    mountain = gzip.compress(b" " * 8 * 1024 * 1024)
    server.answer = answer(200, "Content-Encoding: gzip\r\n", mountain)
    with pytest.raises(MeshError, match="over"):
        await Headscale(server.url, key_file).machines()


async def test_without_a_key_nobody_is_asked(server: Receiver, tmp_path: Path) -> None:
    with pytest.raises(MeshError, match="secret file"):
        await Headscale(server.url, tmp_path / "missing").machines()
    assert not server.requests


def test_authorities_that_cannot_be_read_are_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="caFile"):
        Headscale("https://h", tmp_path / "key", ca_file=tmp_path / "missing")
