"""The stream and the channel of configuration on a real server, also one that hangs."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.errors import StreamError
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.stores.channels import RedisChannel
from citadel_k8s.stores.configs import RedisConfigQueue
from tests.integration.configserver import STREAM, Server

CLOCK = SystemClock()


@pytest.fixture
def server(own_valkey: Valkey) -> Server:
    return Server(own_valkey)


async def test_a_server_that_hangs_is_given_up_in_time(server: Server) -> None:
    url = server.valkey.url
    queue = RedisConfigQueue(url, "n1", block=0.2, answer_timeout=0.3)
    channel = RedisChannel(url, "config:node:n1", ping_every=0.1, answer_timeout=0.3)
    await queue.open(replay=False)

    async def heard(_data: bytes) -> None:
        raise AssertionError

    async with asyncio.TaskGroup() as group:
        listening = group.create_task(channel_ends(channel, heard))
        await asyncio.sleep(0.5)  # well: several pings are answered
        assert not listening.done()
        await server.valkey.pause()
        began = CLOCK.monotonic()
        with pytest.raises(StreamError, match="no answer within"):
            await queue.consume()
        await listening
        assert CLOCK.monotonic() - began < 3
    assert "no answer to 2 pings" in listening.result()
    await server.valkey.resume()
    await queue.close()
    await channel.close()


async def channel_ends(channel: RedisChannel, heard: Callable[[bytes], Awaitable[None]]) -> str:
    try:
        await channel.listen(heard)
    except StreamError as error:
        return str(error)


async def test_a_replay_is_done_before_what_is_unfinished_and_that_before_what_is_new(
    server: Server,
) -> None:
    url = server.valkey.url
    ids = [await server.send({"deviceName": f"{i}"}) for i in range(4)]
    first = RedisConfigQueue(url, "n1")
    await first.open(replay=False)
    await first.consume()
    await first.acknowledge(*ids[:2])
    await first.close()
    ids.append(await server.send({"deviceName": "new"}))
    again = RedisConfigQueue(url, "n1")
    await again.open(replay=True)
    for attempts in (1, 2):  # what is not acknowledged is given again
        given = await again.consume()
        assert [e.id for e in given] == ids[:2]
        assert [(e.attempts, e.replayed) for e in given] == [(attempts, True), (1, True)]
    await again.acknowledge(ids[0])
    await again.open(replay=False)  # as after an outage
    assert [(e.id, e.attempts) for e in await again.consume()] == [(ids[1], 1)]
    await again.acknowledge(ids[1])
    for number in ids[2:4]:
        assert [(e.id, e.attempts) for e in await again.consume()] == [(number, 2)]
        await again.acknowledge(number)
    assert [(e.id, e.attempts) for e in await again.consume()] == [(ids[4], 1)]
    await again.close()


async def test_an_unreadable_group_raises_and_nothing_else(server: Server) -> None:
    async with server.client() as client:
        await client.set(STREAM, "a text")
    queue = RedisConfigQueue(server.valkey.url, "n1")
    for call in (
        lambda: queue.open(replay=True),
        queue.consume,
        lambda: queue.acknowledge("1-0"),
    ):
        with pytest.raises(StreamError, match=r"WRONGTYPE|wrong kind"):
            await call()
    await queue.close()
