"""One hostile node and the memory that all orgs share."""

import json
from contextlib import AsyncExitStack
from typing import Any

import pytest

from citadel_k8s.api.proxy import rations
from citadel_k8s.api.proxy.shapes import TTL_MAX
from tests.goclient import API, GoClient
from tests.gosocket import RateLimitedError
from tests.integration.api.proxy.conftest import Proxy, until
from tests.integration.api.proxy.test_socket import connected, errors

MIB = 1024 * 1024
ADD = f"{API}/streams/add"


async def flooded(node: GoClient, path: str, body: Any, times: int) -> tuple[set[int], str]:
    """Ask so often; give the statuses, and the last words."""
    found: set[int] = set()
    data = b""
    for number in range(times):
        status, data, _ = await node.call("POST", path, body(number))
        found.add(status)
    return found, data.decode()


async def used(proxy: Proxy) -> float:
    return (await proxy.redis.info("memory"))["used_memory_dataset"] / MIB


async def test_heartbeats_of_one_node_do_not_fill_redis(proxy: Proxy):
    def beat(_: int) -> dict[str, Any]:
        payload = json.dumps({"nodeId": "go-1", "status": {"x": "y" * 900_000}})
        values = {"nodeId": "go-1", "timestamp": "t", "payload": payload}
        return {"stream": "node:status:stream", "values": values}

    async with proxy.client() as node, proxy.client("globex") as other:
        found, said = await flooded(node, ADD, beat, 40)
        assert found == {200, 429}
        assert json.loads(said)["retry_after"] >= 1
        assert await used(proxy) < 16
        assert await other.heartbeat()


@pytest.mark.parametrize("stream", ["node:usage:stream", "node:activity:stream"])
async def test_use_and_activity_are_short(proxy: Proxy, stream: str):
    def note(_: int) -> dict[str, Any]:
        text = json.dumps({"x": "y" * 5000})
        return {"stream": stream, "values": {"nodeId": "go-1", "data": text, "timestamp": "t"}}

    async with proxy.client() as node:
        found, said = await flooded(node, ADD, note, 1)
    assert found == {400}
    assert "at most 4096" in said


async def test_letters_and_texts_of_one_org_do_not_fill_redis(proxy: Proxy):
    def letter(number: int) -> dict[str, Any]:
        return {"stream": f"dlq:v1:tag:t{number}", "values": {"payload": "x" * 200_000}}

    def text(number: int) -> dict[str, Any]:
        return {"key": f"job:{number}:status", "value": "x" * 200_000}

    async with proxy.client() as node, proxy.client("globex") as other:
        assert (await flooded(node, ADD, letter, 20))[0] == {200, 429}
        assert (await flooded(node, f"{API}/kv", text, 20))[0] == {429}
        assert await used(proxy) < 8
        assert (await flooded(other, f"{API}/kv", text, 5))[0] == {200}
        assert 0 < await proxy.redis.ttl("org:globex:job:1:status") <= TTL_MAX


async def test_a_node_does_not_make_up_queues_without_end(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(proxy.room.rations._new, "_burst", 20.0)

    def job(number: int) -> dict[str, Any]:
        line = {"queue": f"jobs:v1:tag:t{number}", "group": "g", "consumer": "c"}
        return line | {"blockMs": 1}

    async with proxy.client() as node, connected(proxy) as socket:
        assert (await flooded(node, f"{API}/jobs/consume", job, 30))[0] == {200, 429}
        assert await proxy.redis.dbsize() == 20
        await socket.say({"type": "consume", **job(99), "queues": ["jobs:v1:tag:t99"]})
        assert "rate_limited" in (await errors(socket))[0]
        # What it has it keeps.
        assert (await flooded(node, f"{API}/jobs/consume", job, 20))[0] == {200}


async def test_a_node_has_a_few_sockets_and_the_next_is_told_to_wait(proxy: Proxy):
    async with AsyncExitStack() as stack:
        for _ in range(rations.SOCKETS_MAX):
            await stack.enter_async_context(connected(proxy))
        async with proxy.client() as node:
            with pytest.raises(RateLimitedError, match="429"):
                await node.dial()
        await stack.enter_async_context(connected(proxy, "other"))
    async with connected(proxy):
        pass


async def test_frames_without_end_are_read_slowly_and_none_is_lost(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    frames = proxy.room.rations._frames
    monkeypatch.setattr(frames, "_burst", 10.0)
    monkeypatch.setattr(frames, "_rate", 100.0)
    async with connected(proxy) as node:
        for number in range(50):
            await node.say({"type": f"odd-{number}"})
        assert len(await errors(node)) < 30
        await until(lambda: len(node.of_type("error")) == 50)
