"""The canary on a real server: full, a replica, with the deployed rights, away and back."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import redis.asyncio
import yaml

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.errors import StreamError
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.operator.canary import CANARY_LENGTH, CANARY_STREAM, Canary
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.stores.streams import RedisStatusStream

MANIFEST = Path(__file__).parents[3] / "manifests" / "redis.yaml"


def stream_on(url: str, **login: str) -> RedisStatusStream:
    return RedisStatusStream(url, stream=CANARY_STREAM, max_length=CANARY_LENGTH, **login)


def canary_on(stream: RedisStatusStream, identity: str = "op-1") -> Canary:
    return Canary(stream, identity, SystemClock(), OperatorMetrics())


@pytest_asyncio.fixture
async def admin(own_valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(own_valkey.url) as server:
        yield server


@pytest_asyncio.fixture
async def canary(own_valkey: Valkey) -> AsyncIterator[Canary]:
    stream = stream_on(own_valkey.url)
    yield canary_on(stream)
    await stream.close()


async def troubled(canary: Canary) -> str:
    """Let it try once as it does in its own loop, and give the trouble."""
    task = asyncio.Task(canary.run())
    async with asyncio.timeout(10):
        while canary.trouble is None:  # noqa: ASYNC110 - it is not told of
            await asyncio.sleep(0.01)
    task.cancel()
    return canary.trouble


async def test_what_is_written_comes_back_and_little_of_it_is_kept(
    canary: Canary, admin: redis.asyncio.Redis
) -> None:
    clock = SystemClock()
    for _ in range(300):
        began = clock.monotonic()
        await canary.step()
        assert began <= (canary.proved_until or 0.0) <= clock.monotonic()
    assert await admin.xlen(CANARY_STREAM) <= 2 * 100 + CANARY_LENGTH


async def test_a_full_server_takes_no_canary(canary: Canary, admin: redis.asyncio.Redis) -> None:
    await canary.step()
    proved = canary.proved_until
    await admin.config_set("maxmemory", "1")
    trouble = await troubled(canary)
    assert trouble.startswith("Redis is full")
    assert (canary.proved_until, canary.forbidden) == (proved, False)
    await admin.config_set("maxmemory", "0")
    await canary.step()
    assert canary.proved_until != proved


async def test_a_replica_takes_no_canary(canary: Canary, admin: redis.asyncio.Redis) -> None:
    await admin.execute_command("REPLICAOF", "127.0.0.1", "1")
    trouble = await troubled(canary)
    assert trouble.startswith("Redis is a read-only replica")
    assert not canary.forbidden


async def test_the_deployed_operators_rights_are_enough_and_an_agents_are_told_apart(
    own_valkey: Valkey, admin: redis.asyncio.Redis
) -> None:
    config = next(iter(yaml.safe_load_all(MANIFEST.read_text())))
    lines = dict(re.findall(r"^user (\S+) (.*)$", config["data"]["start.sh"], re.MULTILINE))
    for name in ("agent", "operator"):
        rules = re.sub(r"\$\{\w+\}", "secret", lines[name])
        words = re.findall(r"\([^)]*\)|\S+", rules)
        await admin.execute_command("ACL", "SETUSER", name, *words)
    url = f"redis://127.0.0.1:{own_valkey.port}"
    operators = stream_on(url, username="operator", password="secret")
    await canary_on(operators).step()
    agents = stream_on(url, username="agent", password="secret")
    forbidden = canary_on(agents)
    assert "grant ~citadel:* +@stream" in await troubled(forbidden)
    assert forbidden.forbidden
    await operators.close()
    await agents.close()


async def test_two_operators_find_each_their_own(own_valkey: Valkey) -> None:
    streams = [stream_on(own_valkey.url) for _ in range(2)]
    canaries = [canary_on(stream, f"op-{n}") for n, stream in enumerate(streams)]
    for _ in range(20):
        async with asyncio.TaskGroup() as group:
            for canary in canaries:
                group.create_task(canary.step())
    for stream in streams:
        await stream.close()


async def test_a_server_that_stands_still_is_given_up_and_found_again(own_valkey: Valkey) -> None:
    stream = RedisStatusStream(own_valkey.url, stream=CANARY_STREAM, answer_timeout=0.3)
    canary = canary_on(stream)
    await canary.step()
    await own_valkey.pause()
    try:
        with pytest.raises(StreamError, match=r"no answer within 0\.3 s"):
            await canary.step()
    finally:
        await own_valkey.resume()
    await canary.step()
    await stream.close()
