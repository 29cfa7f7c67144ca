"""What every publisher promises: the fake, a real Redis-compatible server, the API proxy."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
import redis.asyncio

from citadel_k8s.constants import STATUS_STREAM
from citadel_k8s.errors import ConfigError, PublishError
from citadel_k8s.local.stack import Stack
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.models.codec import decode, encode
from citadel_k8s.models.wire import NodeInfo, NodeStatus, StatusMessage, SystemInfo
from citadel_k8s.publishers.api import ApiPublisher
from citadel_k8s.publishers.base import Publisher
from citadel_k8s.publishers.fake import FakePublisher
from citadel_k8s.publishers.redis import RedisPublisher, masked
from citadel_k8s.publishers.token import token_value
from tests import proxy


def message(seq: int = 1) -> StatusMessage:
    stamp = "2026-11-23T08:00:00Z"
    status = NodeStatus(timestamp=stamp, node=NodeInfo(name="n1"), system=SystemInfo())
    return StatusMessage(timestamp=stamp, node_id="n1", status=status, boot_id="b", seq=seq)


@dataclass
class Way:
    """A publisher with a look at what arrived, and a way to break and mend its server."""

    publisher: Publisher
    arrived: Callable[[], Awaitable[list[StatusMessage]]]
    fail: Callable[[], Awaitable[None]]
    mend: Callable[[], Awaitable[None]]


@pytest.fixture
async def valkey() -> AsyncIterator[Valkey]:
    async with Stack(kube=False) as running:
        yield running.valkey


@pytest.fixture
async def client(valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(valkey.url) as connected:
        yield connected


@pytest.fixture(params=["fake", "redis", "api"])
async def way(request: pytest.FixtureRequest) -> AsyncIterator[Way]:
    if request.param == "fake":
        yield fake_way()
        return
    if request.param == "api":
        async with proxy.running() as server:
            by_proxy = ApiPublisher(server.base, token_value(proxy.TOKEN), org_id="acme")
            yield api_way(by_proxy, server)
            await by_proxy.close()
        return
    async with Stack(kube=False) as running:
        publisher = RedisPublisher(running.valkey.url)
        yield redis_way(publisher, running.valkey)
        await publisher.close()


def fake_way() -> Way:
    publisher = FakePublisher()

    async def arrived() -> list[StatusMessage]:
        return publisher.messages

    async def fail() -> None:
        publisher.failure = "refused"

    async def mend() -> None:
        publisher.failure = None

    return Way(publisher, arrived, fail, mend)


def api_way(publisher: ApiPublisher, server: proxy.FakeProxy) -> Way:
    async def arrived() -> list[StatusMessage]:
        return [decode(values["payload"]) for values in server.streams[STATUS_STREAM]]

    async def mend() -> None:
        await server.start(server.port)

    return Way(publisher, arrived, server.stop, mend)


def redis_way(publisher: RedisPublisher, valkey: Valkey) -> Way:
    async def arrived() -> list[StatusMessage]:
        async with redis.asyncio.Redis.from_url(valkey.url) as client:
            return [decode(f[b"payload"]) for _, f in await client.xrange(STATUS_STREAM)]

    async def fail() -> None:
        await valkey.stop(keep=True)

    return Way(publisher, arrived, fail, valkey.start)


async def test_messages_arrive_in_order_and_whole(way: Way):
    for seq in (1, 2, 3):
        await way.publisher.publish(message(seq))
    assert await way.arrived() == [message(1), message(2), message(3)]


async def test_a_failure_is_a_publish_error_and_the_next_success_needs_no_help(way: Way):
    await way.publisher.publish(message(1))
    await way.fail()
    for seq in (2, 3):
        with pytest.raises(PublishError):
            await way.publisher.publish(message(seq))
    await way.mend()
    await way.publisher.publish(message(4))
    assert [m.seq for m in await way.arrived()] == [1, 4]


async def test_a_failed_message_is_not_written_twice_when_it_is_sent_again(way: Way):
    await way.fail()
    with pytest.raises(PublishError):
        await way.publisher.publish(message(1))
    await way.mend()
    await way.publisher.publish(message(1))
    assert len(await way.arrived()) == 1


async def test_closing_is_possible_at_any_time(way: Way):
    await way.publisher.close()


async def test_an_entry_has_the_fields_of_the_contract(valkey: Valkey, client):
    publisher = RedisPublisher(valkey.url)
    await publisher.publish(message())
    await publisher.close()
    ((_, fields),) = await client.xrange(STATUS_STREAM)
    assert fields == {
        b"nodeId": b"n1",
        b"timestamp": b"2026-11-23T08:00:00Z",
        b"payload": encode(message()),
    }


async def test_the_org_is_stamped_when_it_is_known(valkey: Valkey, client):
    publisher = RedisPublisher(valkey.url, org_id="acme")
    await publisher.publish(message())
    await publisher.close()
    ((_, fields),) = await client.xrange(STATUS_STREAM)
    assert fields[b"orgId"] == b"acme"


async def test_the_stream_is_trimmed_to_about_the_given_length(valkey: Valkey, client):
    publisher = RedisPublisher(valkey.url, stream_max_length=100)
    for seq in range(1, 500):
        await publisher.publish(message(seq))
    await publisher.close()
    assert 100 <= await client.xlen(STATUS_STREAM) <= 300


async def test_the_channel_carries_the_same_json(valkey: Valkey, client):
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("node:status:n1")
        await pubsub.get_message(timeout=5)
        publisher = RedisPublisher(valkey.url)
        await publisher.publish(message())
        await publisher.close()
        announced = await pubsub.get_message(timeout=5)
    assert announced["data"] == encode(message())


@pytest.fixture
async def limited() -> AsyncIterator[Valkey]:
    users = {"agent": ">secret ~node:status:stream resetchannels +xadd", "none": ">secret"}
    async with Stack(kube=False, users=users) as running:
        yield running.valkey


async def test_a_channel_that_is_forbidden_does_not_make_the_heartbeat_fail(limited: Valkey):
    told: list[str | None] = []
    publisher = RedisPublisher(
        f"redis://127.0.0.1:{limited.port}",
        username="agent",
        password="secret",
        on_channel=told.append,
    )
    await publisher.publish(message())
    await publisher.close()
    assert told[0] is not None
    assert "NoPermission" in told[0]


async def test_a_user_without_rights_is_told_so(limited: Valkey):
    for user, password in (("none", "secret"), ("agent", "wrong")):
        publisher = RedisPublisher(
            f"redis://127.0.0.1:{limited.port}", username=user, password=password
        )
        with pytest.raises(PublishError) as caught:
            await publisher.publish(message())
        await publisher.close()
        assert password not in str(caught.value)


async def test_a_unix_socket_is_a_way_too(valkey: Valkey):
    publisher = RedisPublisher(f"unix://{valkey.socket_path}", password=valkey.password)
    await publisher.publish(message())
    await publisher.close()


async def test_a_server_that_swallows_everything_is_given_up_within_the_limit():
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    loop = asyncio.get_running_loop()
    async with server:
        port = server.sockets[0].getsockname()[1]
        publisher = RedisPublisher(f"redis://127.0.0.1:{port}", socket_timeout=0.5)
        started = loop.time()
        with pytest.raises(PublishError):
            await publisher.publish(message())
        assert loop.time() - started < 2
        await publisher.close()


async def test_a_server_that_answers_nonsense_is_a_publish_error():
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        publisher = RedisPublisher(f"redis://127.0.0.1:{port}")
        with pytest.raises(PublishError):
            await publisher.publish(message())
        await publisher.close()


@pytest.mark.parametrize(
    "url", ["redis://host:port", "http://host", "redis://h/?db=x", "redis://h/?unheard_of=1"]
)
def test_a_url_that_cannot_be_understood_is_refused_without_telling_its_secret(url: str):
    with pytest.raises(ConfigError):
        RedisPublisher(url)


def test_a_masked_url_has_no_user_no_password_and_no_query():
    url = masked("rediss://me:pa%40ss@host:6379/0?ssl_keyfile=/k&password=x")
    assert url == "rediss://host:6379/0"
    assert masked("unix:///run/redis.sock?password=x") == "unix:///run/redis.sock"
