"""Redis away, hung, full, restarted: quick words, nothing twice, nothing acknowledged and lost."""

import asyncio
import json
from typing import Any

from citadel_k8s.local.valkey import Valkey
from tests.goclient import API, GoClient
from tests.integration.api.proxy.conftest import CLOCK, Proxy, until

STREAM = "node:status:stream"
STATUS = "node:status:org:acme:go-1"
QUICK = 5.0
"""Seconds within which every write is answered."""


async def refused(node: GoClient, method: str, path: str, body: Any = None) -> float:
    began = CLOCK.monotonic()
    status, data, headers = await node.call(method, path, body)
    assert status == 503, data
    assert json.loads(data)["error"] == "unavailable"
    assert int(headers["Retry-After"]) >= 1
    return CLOCK.monotonic() - began


async def test_while_redis_is_away_everything_is_a_quick_503_and_then_goes_on(
    proxy: Proxy, own_valkey: Valkey
):
    async with proxy.client() as node:
        assert await node.heartbeat()
        await own_valkey.stop(keep=True)
        assert not await node.heartbeat()
        assert "status 503: unavailable" in node.errors[-1]
        kv = f"{API}/kv"
        job = {"queue": "jobs:v1:cpu-general", "group": "g", "consumer": "c", "blockMs": 5000}
        for method, path, body in [
            ("GET", f"{API}/ping", None), ("GET", f"{kv}?key=job:1:status", None),
            ("POST", kv, {"key": "job:1:status", "value": "v"}),
            ("POST", f"{API}/jobs/consume", job),
            ("POST", f"{API}/jobs/acknowledge", job | {"messageId": "1-0"}),
            ("POST", f"{API}/pubsub/publish", {"channel": STATUS, "message": "{}"}),
        ]:  # fmt: skip
            assert await refused(node, method, path, body) < 1
        assert await node.ask("GET", "/api/fabric/worker-config")
        await own_valkey.start()
        assert await node.heartbeat()


async def test_while_redis_hangs_each_write_is_answered_in_time_and_none_is_written_twice(
    proxy: Proxy, own_valkey: Valkey
):
    async with proxy.client("unbound") as node:
        assert await node.heartbeat()
        await own_valkey.pause()
        took: list[float] = []

        async def beat(number: int) -> None:
            await asyncio.sleep(number / 10)
            payload = json.dumps(node.message() | {"nodeId": f"n{number}"})
            values = {"nodeId": f"n{number}", "timestamp": "t", "payload": payload}
            body = {"stream": STREAM, "values": values}
            took.append(await refused(node, "POST", f"{API}/streams/add", body))

        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(beat(number))
        assert max(took) < QUICK
        await own_valkey.resume()
        await asyncio.sleep(0.5)
        assert await node.heartbeat()
        written = [entry["nodeId"] for entry in await proxy.entries(STREAM)]
        # What was on its way when it hung may have been written, but never twice.
        assert len([n for n in written if n != "go-1"]) == len({n for n in written if n != "go-1"})


async def test_a_full_redis_is_an_outage_and_no_heartbeat_is_acknowledged(proxy: Proxy):
    async with proxy.client() as node:
        await proxy.redis.config_set("maxmemory", "1mb")
        assert not await node.heartbeat()
        assert "status 503" in node.errors[0]
        await proxy.redis.config_set("maxmemory", "0")
        assert await node.heartbeat()
    assert len(await proxy.entries(STREAM)) == 1


async def test_subscriptions_hold_over_a_restart_of_redis(proxy: Proxy, own_valkey: Valkey):
    async with proxy.client() as node, asyncio.TaskGroup() as group:
        await node.dial()
        reading = group.create_task(node.listen())
        await node.subscribe(STATUS)
        await until(lambda: f"org:acme:{STATUS}".encode() in proxy.room._ears.confirmed)
        await own_valkey.kill()
        await until(lambda: not proxy.room._ears.confirmed)
        await node.say({"type": "publish", "channel": STATUS, "message": {"lost": 1}})
        await until(lambda: node.of_type("error"))
        assert "unavailable" in node.of_type("error")[0]["error"]
        await own_valkey.start()
        await until(lambda: f"org:acme:{STATUS}".encode() in proxy.room._ears.confirmed)
        await node.heartbeat()
        await until(lambda: node.heard)
        reading.cancel()


async def test_a_consumer_goes_on_after_a_restart_of_redis(proxy: Proxy, own_valkey: Valkey):
    queue = "jobs:v1:cpu-general"
    async with proxy.client(pace=20.0) as node, asyncio.TaskGroup() as group:
        working = group.create_task(node.work([queue]))
        await asyncio.sleep(0.3)
        await own_valkey.kill()
        await asyncio.sleep(0.3)
        await own_valkey.start()
        await proxy.redis.xadd(f"org:acme:{queue}", {"payload": "{}"})
        await until(lambda: node.jobs)
        working.cancel()


async def test_heartbeats_that_wait_together_travel_together(proxy: Proxy):
    async with proxy.client("unbound") as node:
        await node.heartbeat()
        before = proxy.room._writes.exchanges

        async def beat(number: int) -> None:
            payload = json.dumps(node.message() | {"nodeId": f"n{number}"})
            values = {"nodeId": f"n{number}", "timestamp": "t", "payload": payload}
            await node.add(STREAM, values)

        async with asyncio.TaskGroup() as group:
            for number in range(90):
                group.create_task(beat(number))
        assert proxy.room._writes.exchanges - before < 60
    ids = {entry["nodeId"] for entry in await proxy.entries(STREAM)}
    assert len(ids) == 91


async def test_a_client_connects_as_soon_as_it_may(proxy: Proxy, own_valkey: Valkey):
    await own_valkey.stop(keep=True)
    async with proxy.client(pace=20.0) as node, asyncio.TaskGroup() as group:
        connecting = group.create_task(node.connect())
        await until(lambda: len(node.errors) >= 2)
        await own_valkey.start()
        await connecting
    assert 1.6 <= node.waits[0] <= 2.4
    assert 3.2 <= node.waits[1] <= 4.8


async def test_what_a_429_asks_for_is_waited_out_in_full(proxy: Proxy):
    proxy.service._limiter._daily = 0
    async with proxy.client(pace=1000.0) as node, asyncio.TaskGroup() as group:
        connecting = group.create_task(node.connect())
        await until(lambda: node.waits)
        connecting.cancel()
    assert 1 <= node.waits[0] <= 86_400
