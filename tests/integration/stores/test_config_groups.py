"""The groups that nodes leave behind, on a real server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from citadel_k8s.errors import StreamError
from citadel_k8s.local.stack import Stack
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.stores.configs import RedisConfigQueue
from citadel_k8s.stores.housekeeping import RedisConfigGroups


@pytest_asyncio.fixture
async def groups(stack: Stack, prefix: str) -> AsyncIterator[RedisConfigGroups]:
    store = RedisConfigGroups(stack.redis_url, stream=f"{prefix}config")
    yield store
    await store.close()


async def join(stack: Stack, stream: str, node_id: str, *, read: bool) -> None:
    queue = RedisConfigQueue(stack.redis_url, node_id, stream=stream, block=0.01)
    await queue.open(replay=False)
    if read:
        await queue.consume()
    await queue.close()


async def test_without_a_stream_there_are_no_groups(groups: RedisConfigGroups) -> None:
    assert await groups.nodes() == []
    assert await groups.idle(["n"]) == []


async def test_nodes_are_found_by_their_groups_and_others_are_not(
    stack: Stack, groups: RedisConfigGroups
) -> None:
    await join(stack, groups.stream, "gpu-1", read=True)
    await join(stack, groups.stream, "gpu_2", read=False)
    async with Redis.from_url(stack.redis_url) as server:
        await server.xgroup_create(groups.stream, "worker-1")
    assert sorted(await groups.nodes()) == ["gpu-1", "gpu_2"]


async def test_idleness_is_by_the_servers_clock_and_unknown_without_a_consumer(
    stack: Stack, groups: RedisConfigGroups
) -> None:
    await join(stack, groups.stream, "used", read=True)
    await join(stack, groups.stream, "unused", read=False)
    await asyncio.sleep(0.2)
    found = {g.node_id: g.idle for g in await groups.idle(["used", "gone", "unused"])}
    assert found["unused"] is None
    assert 0.15 < found["used"] < 10
    assert set(found) == {"used", "unused"}


async def test_a_destroyed_group_is_gone_and_its_node_may_come_back(
    stack: Stack, groups: RedisConfigGroups
) -> None:
    await join(stack, groups.stream, "n", read=True)
    assert await groups.destroy("n") is True
    assert await groups.destroy("n") is False
    assert await groups.nodes() == []
    await join(stack, groups.stream, "n", read=True)
    assert await groups.nodes() == ["n"]


async def test_a_server_that_hangs_is_told_in_time(own_valkey: Valkey) -> None:
    groups = RedisConfigGroups(own_valkey.url, answer_timeout=0.2)
    assert await groups.nodes() == []
    await own_valkey.pause()
    for asking in (groups.nodes(), groups.idle(["n"]), groups.destroy("n")):
        with pytest.raises(StreamError):
            await asking
    await own_valkey.resume()
    assert await groups.nodes() == []
    await groups.close()
