import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from citadel_k8s.errors import ConfigError, StreamError
from citadel_k8s.stores.streams import EntryId, RedisStatusStream

SECRET = "pass-word"


@asynccontextmanager
async def server(answer: Callable[[bytes], bytes | None]) -> AsyncIterator[str]:
    """A server that answers each command with a word of its own; None closes the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while command := await reader.read(65536):
            reply = answer(command)
            if reply is None:
                break
            writer.write(reply)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"redis://:{SECRET}@127.0.0.1:{port}"


def refusing(error: str) -> Callable[[bytes], bytes]:
    def answer(command: bytes) -> bytes:
        known = b"AUTH" in command or b"CLIENT" in command or b"SELECT" in command
        reply = b"+OK\r\n" if known else f"-{error}\r\n".encode()
        return reply * command.count(b"\r\n*") + reply

    return answer


@pytest.mark.parametrize(
    "error",
    [
        "LOADING the dataset is in memory soon",
        "NOPERM User worker has no permissions",
        "WRONGTYPE Operation against a key",
        "READONLY You can't write against a read only replica.",
        "MISCONF Redis is configured to save",
        "OOM command not allowed",
        "ERR unknown command 'XREAD'",
        "SURPRISE",
    ],
)
async def test_every_refusal_is_a_stream_error_that_says_what_was_refused(error: str) -> None:
    async with server(refusing(error)) as url:
        stream = RedisStatusStream(url)
        with pytest.raises(StreamError, match=r"node:status:stream at 127\.0\.0\.1:\d+: reading: "):
            await stream.read(EntryId.ZERO, block=0)
        with pytest.raises(StreamError):
            await stream.append("n", b"")
        with pytest.raises(StreamError):
            await stream.head()
        await stream.close()


async def test_a_password_that_a_server_quotes_is_not_passed_on() -> None:
    def quote(command: bytes) -> bytes:
        return b"-ERR unknown command 'AUTH', with args beginning with: '%s'\r\n" % SECRET.encode()

    async with server(quote) as url:
        stream = RedisStatusStream(url)
        with pytest.raises(StreamError) as caught:
            await stream.head()
        await stream.close()
    assert SECRET not in str(caught.value)


async def test_a_server_that_hangs_up_is_a_stream_error() -> None:
    async with server(lambda _: None) as url:
        stream = RedisStatusStream(url)
        with pytest.raises(StreamError):
            await stream.read(EntryId.ZERO, block=0)
        await stream.close()


async def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    async with server(lambda _: b"") as url:
        stream = RedisStatusStream(url, answer_timeout=0.1)
        with pytest.raises(StreamError, match=r"no answer within 0\.2 s"):
            await stream.read(EntryId.ZERO, block=0.1)
        await stream.close()


async def test_an_answer_that_is_no_redis_is_a_stream_error() -> None:
    async with server(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        stream = RedisStatusStream(url)
        with pytest.raises(StreamError):
            await stream.head()
        await stream.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        f"http://u:{SECRET}@h",
        f"redis://:{SECRET}@h:port",
        f"redis://:{SECRET}@h/?unheard_of=1",
    ],
)
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RedisStatusStream(url)
    assert SECRET not in str(caught.value)


def test_user_and_password_beside_the_url_win() -> None:
    stream = RedisStatusStream("redis://a:b@h/0?decode_responses=yes", username="c", password="d")
    options = stream._server.redis.connection_pool.connection_kwargs
    assert (options["username"], options["password"]) == ("c", "d")
    assert options["decode_responses"] is False
