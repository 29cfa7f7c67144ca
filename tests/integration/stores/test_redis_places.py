"""The stores behind sentinels and on a cluster."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest_asyncio

from citadel_k8s.errors import StackError, StreamError
from citadel_k8s.local.ports import LOOPBACK
from citadel_k8s.stores.channels import RedisChannel
from citadel_k8s.stores.configsender import ConfigMessage, ConfigSender
from citadel_k8s.stores.streams import EntryId, RedisStatusStream
from tests.redisplaces import DEADLINE, PASSWORD, Server, redis_cluster, running


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[str]:
    async with redis_cluster(tmp_path) as url:
        yield url


async def insist(work: Callable[[], Awaitable[object]]) -> object:
    """Try again until it works, as whoever uses these stores does."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                return await work()
            except (StreamError, StackError):
                await asyncio.sleep(0.2)


async def test_the_status_stream_works_on_a_cluster(cluster: str) -> None:
    stream = RedisStatusStream(cluster)
    try:
        assert (await stream.head()).last_id == EntryId.ZERO
        first = await stream.append("n1", b"{}")
        await stream.append_all([("n2", b"{}"), ("n3", b"{}")])
        assert [e.node_id for e in await stream.read(EntryId.ZERO)] == ["n1", "n2", "n3"]
        head = await stream.head()
        assert head.length == 3
        assert abs(head.now_ms - first.ms) < 60_000
        assert await stream.save_snapshot("kept", {"a": b"1", "b": b"2"}) == 2
        assert await stream.load_snapshot("kept") == {"a": b"1", "b": b"2"}
        assert await stream.trim(head.last_id.ms + 1) == 3
    finally:
        await stream.close()


async def test_configuration_is_sent_over_the_slots_of_a_cluster(cluster: str) -> None:
    sender = ConfigSender(cluster)
    try:
        await sender.send(ConfigMessage("n1", {"deviceName": "a"}, "r1", "2026-01-01T00:00:00Z"), 1)
        assert (await sender.load())["n1"].revision == "r1"
    finally:
        await sender.close()


async def test_a_channel_is_heard_across_a_cluster(cluster: str) -> None:
    ears, mouth = RedisChannel(cluster, "news"), RedisChannel(cluster, "news")
    heard = asyncio.Event()

    async def hear(data: bytes) -> None:
        assert data == b"hello"
        heard.set()

    async with asyncio.TaskGroup() as group:
        listening = group.create_task(ears.listen(hear))
        async with asyncio.timeout(DEADLINE):
            while not heard.is_set():
                await mouth.say(b"hello")
                await asyncio.sleep(0.05)
        listening.cancel()
    await ears.close()
    await mouth.close()


async def test_a_failover_that_sentinels_decide_is_followed(tmp_path: Path) -> None:
    plain = [
        f"requirepass {PASSWORD}",
        f"masterauth {PASSWORD}",
        'save ""',
        "repl-diskless-sync-delay 0",
    ]
    first = Server(tmp_path, "first", plain, [])
    second = Server(tmp_path, "second", [*plain, f"replicaof {LOOPBACK} {first.port}"], [])
    watch = [
        f"sentinel monitor fleet {LOOPBACK} {first.port} 1",
        f"sentinel auth-pass fleet {PASSWORD}",
        "sentinel down-after-milliseconds fleet 500",
        "sentinel failover-timeout fleet 3000",
    ]
    sentinel = Server(tmp_path, "sentinel", watch, ["--sentinel"])
    sentinel.ask = _without_login(sentinel)  # type: ignore[method-assign]
    async with running(first, second, sentinel):
        where = f"{LOOPBACK}:1,{LOOPBACK}:{sentinel.port}"  # the first of them is dead
        stream = RedisStatusStream(f"redis+sentinel://:{PASSWORD}@{where}/fleet")
        try:
            await stream.append("before", b"{}")
            await _replicated(second)
            await _known(sentinel)
            await first.end()
            await insist(lambda: stream.append("after", b"{}"))
            entries = await stream.read(EntryId.ZERO)
            assert [entry.node_id for entry in entries] == ["before", "after"]
        finally:
            await stream.close()


def _without_login(server: Server) -> Callable[..., Awaitable[bytes]]:
    async def ask(*words: str | int) -> bytes:
        reader, writer = await asyncio.open_connection(LOOPBACK, server.port)
        try:
            writer.write(" ".join(map(str, words)).encode() + b"\r\n")
            return await reader.readuntil(b"\r\n")
        finally:
            writer.close()

    return ask


async def _replicated(replica: Server) -> None:
    async with asyncio.timeout(DEADLINE):
        while await replica.ask("XLEN", "node:status:stream") != b":1\r\n":  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _known(sentinel: Server) -> None:
    """Wait until the sentinel has found the replica: before that there is nobody to promote."""
    async with asyncio.timeout(DEADLINE):
        while (await sentinel.ask("SENTINEL", "replicas", "fleet"))[:2] in {b"*0", b"-E"}:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
