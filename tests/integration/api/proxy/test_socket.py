"""The proxy's WebSocket, as the contract's client uses it and as strangers misuse it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from citadel_k8s.api.proxy import sendqueue, session
from citadel_k8s.local.valkey import Valkey
from tests.goclient import API, GoClient, GoError
from tests.integration.api.proxy.conftest import CLOCK, Proxy, device, running, until

STATUS = "node:status:org:acme:go-1"


@asynccontextmanager
async def connected(proxy: Proxy, token: str = "bound", **more: Any) -> AsyncIterator[GoClient]:
    async with proxy.client(token, **more) as node, asyncio.TaskGroup() as group:
        await node.dial()
        reading = group.create_task(node.listen())
        yield node
        reading.cancel()


async def errors(node: GoClient) -> list[str]:
    await until(lambda: node.of_type("error"))
    return [frame["error"] for frame in node.of_type("error")]


async def subscribed(proxy: Proxy, *channels: str) -> None:
    await until(lambda: {f"org:acme:{c}".encode() for c in channels} <= proxy.room._ears.confirmed)


async def test_what_is_published_is_heard_by_who_subscribed_as_an_object(proxy: Proxy):
    async with connected(proxy) as node, connected(proxy, "unbound") as watcher:
        await watcher.subscribe(STATUS, STATUS)
        await watcher.subscribe(STATUS)
        await subscribed(proxy, STATUS)
        await node.heartbeat()
        await until(lambda: watcher.heard)
        await asyncio.sleep(0.1)
        assert watcher.heard == [(STATUS, node.message())]
        assert not node.errors
        assert not node.of_type("error")
        assert len(await proxy.entries("node:status:stream")) == 1


async def test_what_is_published_over_rest_is_heard_too_and_a_wake_reaches_its_node(proxy: Proxy):
    async with connected(proxy) as node:
        await node.subscribe("wake:v1:node:758", STATUS)
        await subscribed(proxy, "wake:v1:node:758", STATUS)
        await node.publish(STATUS, {"nodeId": "go-1", "x": [1, {"y": None}]})
        await proxy.redis.publish("org:acme:wake:v1:node:758", '{"wake":1}')
        await until(lambda: len(node.heard) == 2)
        assert node.heard == [
            (STATUS, {"nodeId": "go-1", "x": [1, {"y": None}]}), ("wake:v1:node:758", {"wake": 1}),
        ]  # fmt: skip


async def test_what_is_no_object_is_not_handed_on(proxy: Proxy):
    async with connected(proxy) as node:
        await node.subscribe(STATUS)
        await subscribed(proxy, STATUS)
        for odd in (b"", b"[1]", b"no json", b"\xff", b'{"a":NaN}', b'{}}{"b":1}', b'{"good":1}'):
            await proxy.redis.publish(f"org:acme:{STATUS}", odd)
        await until(lambda: node.heard)
        assert node.heard == [(STATUS, {"good": 1})]


async def test_who_unsubscribes_or_leaves_is_forgotten(proxy: Proxy):
    async with connected(proxy) as node:
        await node.subscribe(STATUS, "node:presence:go-1")
        await subscribed(proxy, STATUS)
        await node.say({"type": "unsubscribe", "channels": [STATUS, "never"]})
        await until(lambda: f"org:acme:{STATUS}".encode() not in proxy.room._ears.confirmed)
        before = proxy.room._ears.channels
    await until(lambda: proxy.room._ears.channels < before)
    assert proxy.room._ears.channels == 1  # its own, for answers


async def test_pings_are_answered_and_pings_of_ours_come(proxy: Proxy, monkeypatch):
    monkeypatch.setattr(session, "PING_EVERY", 0.1)
    async with proxy.client() as node:
        node.ping_every = 0.1
        await node.dial()
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(node.listen())
            await until(lambda: node.pongs >= 3)
            reading.cancel()


async def test_a_client_that_says_nothing_at_all_is_let_go(proxy: Proxy, monkeypatch):
    monkeypatch.setattr(session, "SILENCE_MAX", 0.3)
    async with proxy.client() as node:
        await node.dial()
        assert node.socket is not None
        frame = await asyncio.wait_for(node.socket.receive(), 3)
        assert frame.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE}


async def test_jobs_come_as_frames_and_are_done_with_by_frames(proxy: Proxy):
    queues = ["jobs:v1:cpu-general", "jobs:v1:tag:gpu"]
    async with connected(proxy) as node:
        consume = {"type": "consume", "queues": queues, "group": "g", "consumer": "c", "count": 1}
        await node.say(consume | {"blockMs": 500})
        await until(lambda: node.of_type("consuming"))
        assert node.of_type("consuming")[0]["queues"] == queues
        for number in range(4):
            await proxy.redis.xadd(f"org:acme:{queues[number % 2]}", {"payload": "{}", "n": number})
        for count in range(1, 5):
            await until(lambda count=count: len(node.jobs) == count)
            await asyncio.sleep(0.05)
            assert len(node.jobs) == count  # one at a time, as it was asked
            job = node.jobs[-1]
            await node.say({"type": "ack", "queue": job.queue, "group": "g", "messageId": job.id})
        await until(lambda: len(node.of_type("acked")) == 4)
        assert sorted(job.data["n"] for job in node.jobs) == ["0", "1", "2", "3"]
        for queue in queues:
            assert (await proxy.redis.xpending(f"org:acme:{queue}", "g"))["pending"] == 0


async def test_a_new_consume_replaces_the_old_one_and_a_stop_ends_it_without_loss(proxy: Proxy):
    one, two = "jobs:v1:cpu-general", "jobs:v1:gpu-general"
    base = {"type": "consume", "group": "g", "consumer": "c", "count": 5, "blockMs": 5000}
    async with connected(proxy) as node:
        await node.say(base | {"queues": [one]})
        await node.say(base | {"queues": [two]})
        await until(lambda: len(node.of_type("consuming")) == 2)
        await asyncio.sleep(0.3)
        await proxy.redis.xadd(f"org:acme:{one}", {"payload": "{}"})
        await proxy.redis.xadd(f"org:acme:{two}", {"payload": "{}"})
        await until(lambda: node.jobs)
        await asyncio.sleep(0.3)
        assert [job.queue for job in node.jobs] == [two]
        await node.say({"type": "stop_consume"})
        await asyncio.sleep(0.2)
        await proxy.redis.xadd(f"org:acme:{two}", {"payload": "{}"})
        await asyncio.sleep(0.3)
        assert len(node.jobs) == 1
    async with proxy.client("other") as other:
        other.group = "g"
        assert await other.consume(one, 50) is not None
        assert await other.consume(two, 50) is not None


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ("no json", "no JSON"), ("[]", "no JSON object"), ("{}", "no type"),
        ('{"type":7}', "no type"),
        ("[" * 50_000, "no JSON"), ({"type": "x" * 9999}, "no frame of the type"),
        ({"type": "publish", "channel": STATUS}, "message"),
        ({"type": "publish", "channel": STATUS, "message": "text"}, "message"),
        ({"type": "publish", "channel": 7, "message": {}}, "channel"),
        ({"type": "publish", "channel": "a\nb", "message": {}}, "no channel"),
        ({"type": "publish", "channel": "*", "message": {}}, "no channel"),
        ({"type": "publish", "channel": "node:status:go-2", "message": {}}, "forbidden"),
        ({"type": "publish", "channel": STATUS, "message": {"nodeId": "go-2"}}, "forbidden"),
        ({"type": "publish", "channel": "config:node:go-1", "message": {}}, "forbidden"),
        ({"type": "subscribe", "channels": "x"}, "channels"),
        ({"type": "subscribe", "channels": [7]}, "channels"),
        ({"type": "subscribe", "channels": ["node:status:org:globex:go-1"]}, "forbidden"),
        ({"type": "subscribe", "channels": ["config:node:go-2"]}, "forbidden"),
        ({"type": "subscribe", "channels": ["stream:v1:x"] * 65}, "channels"),
        ({"type": "consume", "queues": [], "group": "g", "consumer": "c"}, "queues"),
        ({"type": "consume", "queues": ["x"], "group": "g", "consumer": "c"}, "no queue"),
        ({"type": "consume", "queues": ["jobs:v1:shell:org_globex"], "group": "g",
          "consumer": "c"}, "forbidden"),
        ({"type": "consume", "queues": ["jobs:v1:cpu-general"], "group": "g", "consumer": "c",
          "blockMs": 0}, "blockMs"),
        ({"type": "ack", "queue": "jobs:v1:cpu-general", "group": "g", "messageId": "*"}, "entry"),
    ],
)  # fmt: skip
async def test_a_frame_that_is_not_right_is_told_so_and_the_connection_stays(
    proxy: Proxy, frame: Any, said: str
):
    async with connected(proxy) as node:
        await node.say(frame)
        (error,) = await errors(node)
        assert said in error
        assert len(error) <= 400
        await node.subscribe(STATUS)
        await subscribed(proxy, STATUS)
        await node.heartbeat()
        await until(lambda: node.heard)
    denied = said == "forbidden"
    assert bool(proxy.rows) is denied


async def test_a_socket_has_a_bounded_number_of_channels(proxy: Proxy):
    async with connected(proxy) as node:
        for number in range(70):
            await node.say({"type": "subscribe", "channels": [f"stream:v1:{number}"]})
        assert "at most 64" in (await errors(node))[0]
        assert proxy.room._ears.channels == 64 + 2


async def test_a_frame_beyond_all_bounds_ends_the_connection(proxy: Proxy):
    async with proxy.client() as node:
        await node.dial()
        await node.say("x" * 2**21)
        assert "1009" in await node.listen()


async def test_a_client_that_reads_nothing_is_dropped_and_delays_nobody(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sendqueue, "FRAMES_MAX", 64)
    async with connected(proxy) as good, connected(proxy) as stuck:
        for node in (good, stuck):
            await node.subscribe(STATUS)
        await subscribed(proxy, STATUS)
        assert stuck.socket is not None
        transport = stuck.socket._conn.transport
        transport.pause_reading()
        began = CLOCK.monotonic()
        message = json.dumps({"x": "y" * 100_000})
        for count in range(200):
            await proxy.redis.publish(f"org:acme:{STATUS}", message)
            await until(lambda count=count: len(good.heard) > count, 2)
        assert CLOCK.monotonic() - began < 15
        await until(lambda: proxy.room.hub._channels[f"org:acme:{STATUS}"].listeners.__len__() == 1)
        transport.resume_reading()


async def test_a_revoked_credential_has_its_socket_closed(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(session, "CREDENTIAL_EVERY", 0.2)
    assert session.CREDENTIAL_EVERY < 30
    async with proxy.client() as node, proxy.client("other") as moved:
        for one in (node, moved):
            await one.dial()
        await asyncio.sleep(0.5)
        del proxy.principals["bound"]
        assert "1008" in await node.listen()
        proxy.principals["other"] = device("globex", "go-2")
        assert "1008" in await moved.listen()
        with pytest.raises(GoError, match="status 401"):
            await node.dial()


async def test_who_asks_for_the_socket_without_an_upgrade_is_told_so(proxy: Proxy):
    async with proxy.client() as node:
        assert (await node.call("GET", f"{API}/ws"))[0] == 426


async def test_a_server_that_stops_says_goodbye(own_valkey: Valkey):
    async with proxy_client(own_valkey) as (proxy, node), asyncio.TaskGroup() as group:
        reading = group.create_task(node.listen())
        await asyncio.sleep(0.1)
        await proxy.service.stop()
        assert "1001" in await reading


@asynccontextmanager
async def proxy_client(valkey: Valkey) -> AsyncIterator[tuple[Proxy, GoClient]]:
    async with running(valkey) as proxy, proxy.client() as node:
        await node.dial()
        yield proxy, node


async def test_a_lost_socket_is_dialled_again_on_schedule_and_subscribes_anew(proxy: Proxy):
    async with proxy.client(pace=50.0) as node, asyncio.TaskGroup() as group:
        node.channels = [STATUS]
        running_on = group.create_task(node.run_socket())
        for dials in (1, 2, 3):
            await until(lambda dials=dials: node.dials == dials and node.socket is not None)
            await subscribed(proxy, STATUS)
            assert node.socket is not None
            if dials < 3:
                node.socket._conn.transport.abort()
        running_on.cancel()
    assert 1 <= node.waits[0] < 2 <= node.waits[1] < 4


async def test_two_hundred_sockets_share_one_connection_to_redis(proxy: Proxy):
    async with asyncio.TaskGroup() as group:
        nodes = [proxy.client("unbound", node_id=f"n{n}") for n in range(200)]
        for node in nodes:
            await node.__aenter__()
            await node.dial()
            await node.subscribe("stream:v1:all", f"node:status:{node.node_id}")
        readers = [group.create_task(node.listen()) for node in nodes]
        await subscribed(proxy, "stream:v1:all", "node:status:n199")
        clients = await proxy.redis.client_list()
        assert len([one for one in clients if int(one["sub"]) > 0]) == 1
        assert len(clients) <= 6
        await proxy.redis.publish("org:acme:stream:v1:all", '{"type":"end"}')
        await until(lambda: all(node.heard for node in nodes))
        for reader in readers:
            reader.cancel()
    for node in nodes:
        await node.__aexit__()


async def test_any_replica_serves_any_socket(own_valkey: Valkey, proxy: Proxy):
    async with running(own_valkey) as second, connected(second) as far, connected(proxy) as near:
        await far.subscribe(STATUS)
        await subscribed(second, STATUS)
        await near.heartbeat()
        await until(lambda: far.heard)
