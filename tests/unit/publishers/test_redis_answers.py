"""What a server may say to a heartbeat, and what is told of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from citadel_k8s.errors import PublishError, StreamError
from citadel_k8s.models.wire import NodeInfo, NodeStatus, StatusMessage, SystemInfo
from citadel_k8s.publishers.redis import RedisPublisher
from citadel_k8s.stores.channels import RedisChannel

SECRET = "open sesame"
STAMP = "2026-11-23T08:00:00Z"
MESSAGE = StatusMessage(
    timestamp=STAMP,
    node_id="n1",
    status=NodeStatus(timestamp=STAMP, node=NodeInfo(name="n1"), system=SystemInfo()),
)
ODD = [b"_\r\n", b"(1\r\n", b"~1\r\n+a\r\n", b"*-5\r\n", b":x\r\n", b"%1\r\n:1\r\n:1\r\n"]


@asynccontextmanager
async def server(answer: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while command := await reader.read(65536):
            writer.write(answer(command))
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def quoting(command: bytes) -> bytes:
    """Refuse as a server does that knows none of the commands."""
    name, *words = [w for w in command.decode().split("\r\n") if w and w[0] not in "*$"]
    quoted = " ".join(f"'{word}'" for word in words)
    return f"-ERR unknown command '{name}', with args beginning with: {quoted}\r\n".encode()


@pytest.mark.parametrize("odd", ODD)
async def test_an_answer_of_an_odd_kind_is_no_more_than_a_failure(odd: bytes) -> None:
    async with server(lambda _command: odd) as address:
        told: list[str | None] = []
        publisher = RedisPublisher(f"redis://{address}", on_channel=told.append, socket_timeout=1)
        try:
            await publisher.publish(MESSAGE)
        except PublishError:
            assert not told
        channel = RedisChannel(f"redis://u:pw@{address}", "c", answer_timeout=1)
        with suppress(StreamError):
            await channel.say(b"x")
        await publisher.close()
        await channel.close()


async def test_a_password_that_a_server_quotes_is_not_told() -> None:
    async with server(quoting) as address:
        for publisher in (
            RedisPublisher(f"redis://{address}", username="u", password=SECRET),
            RedisPublisher(f"redis://u:{SECRET}@{address}"),
        ):
            with pytest.raises(PublishError) as caught:
                await publisher.publish(MESSAGE)
            assert SECRET not in str(caught.value)
            assert "unknown command" in str(caught.value)
            await publisher.close()


async def test_a_user_and_a_password_beside_the_address_win() -> None:
    asked: list[bytes] = []

    def note(command: bytes) -> bytes:
        asked.append(command)
        return b"+OK\r\n"

    async with server(note) as address:
        publisher = RedisPublisher(f"redis://a:b@{address}", username="u", password=SECRET)
        await publisher.publish(MESSAGE)
        await publisher.close()
    assert SECRET.encode() in asked[0]
    assert b"\r\na\r\n" not in asked[0]
