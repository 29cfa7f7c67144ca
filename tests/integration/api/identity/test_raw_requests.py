"""Requests that no library would send, and what is told of them: nothing."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from citadel_k8s.stores.postgres.database import Database
from tests.integration.api.identity.rooms import Room, room

MUCH = 100_000
SECRET = b"act_" + b"s3cret" * 8


async def raw(here: Room, *lines: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", here.service.port)
    head = b"\r\n".join([b"GET /api/session HTTP/1.1", b"Host: x", *lines, b"Connection: close"])
    writer.write(head + b"\r\n\r\n")
    answer = b""
    # Whoever sends more than is read may get the end before the answer.
    with suppress(ConnectionResetError):
        async with asyncio.timeout(10):
            while chunk := await reader.read(65536):
                answer += chunk
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([b"Authorization: Bearer " + SECRET], b"401"),
        ([b"Authorization: Bearer " + SECRET] * 2, b"401"),
        ([b"Authorization: Bearer " + SECRET + b"\rX-Evil: 1"], b"400"),
        ([b"Authorization: Bearer " + SECRET + b"\n X-Evil: 1"], b"400"),
        ([b"Authorization: Bearer " + SECRET + b"\0"], b"400"),
        ([b"Authorization: Bearer " + SECRET + b"\xff\xfe"], b"401"),
        ([b"Authorization: Bearer " + SECRET * 100], b"401"),
        ([b"Authorization: Bearer " + SECRET * 10_000], b"400"),
        ([b"Authorization: Bearer " + b"a" * 3000 + b"." + b"b" * 3000 + b".c"], b"401"),
        ([b"Authorization:"], b"401"),
        ([b"Cookie: citadel_session=" + SECRET * 20], b"401"),
        ([b"Cookie: citadel_session=\xff\xfe; citadel_session=x"], b"401"),
        ([b"Cookie: " + b"a=b; " * 1000], b"401"),
    ],
)
async def test_odd_credentials_are_refused_and_not_repeated(
    database: Database, capsys: Any, lines: list[bytes], status: bytes
):
    async with room(database) as here:
        answer = await raw(here, *lines)
        if answer or len(b"".join(lines)) < MUCH:
            assert answer.split(b" ", 2)[1] == status
        assert b"s3cret" not in answer
        assert b"X-Evil" not in answer
        assert b"Traceback" not in answer
    captured = capsys.readouterr()
    assert "s3cret" not in captured.out + captured.err
    assert "Traceback" not in captured.out + captured.err
