"""The API as it is deployed, with both servers behind it, and without them."""

import asyncio
import json
from datetime import UTC, datetime

import redis.asyncio

from citadel_k8s.api.frame import limiter
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.constants import STATUS_STREAM
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.stores.postgres.audit import Audit
from tests.integration.api.conftest import WholeApi, populated, running

MESSAGE = {
    "version": "1.0",
    "timestamp": "2026-11-23T08:17:33Z",
    "nodeId": "gpu-1",
    "status": {
        "version": "1.0",
        "timestamp": "2026-11-23T08:17:33.5Z",
        "node": {"name": "gpu-1", "uptime_seconds": 1},
        "system": {
            "cpu_percent": 15.0,
            "memory_used_gb": 0.5,
            "memory_total_gb": 23.5,
            "memory_percent": 2.1,
            "disk_used_gb": 28.9,
            "disk_total_gb": 252.0,
            "disk_percent": 28.5,
        },
        "vnc_port": 0,
    },
}
BEAT = {
    "stream": STATUS_STREAM,
    "values": {
        "nodeId": "gpu-1",
        "timestamp": MESSAGE["timestamp"],
        "payload": json.dumps(MESSAGE),
    },
    "maxLen": 10000,
    "approx": True,
}


async def test_it_is_ready_and_describes_all_rooms(api: WholeApi):
    status, body, _ = await api.ask("/readyz")
    assert (status, body) == (200, {"ok": True, "parts": {"redis": True, "database": True}})
    _, described, _ = await api.ask("/api/openapi.json")
    assert {
        "/api/fabric/nodes",
        "/api/fabric/nodes/{node_id}/live",
        "/api/fabric/events",
        "/api/fabric/redis/streams/add",
        "/api/fabric/device-auth/start",
    } <= set(described["paths"])
    names = [
        operation["operationId"]
        for path in described["paths"].values()
        for operation in path.values()
    ]
    assert len(names) == len(set(names))


async def test_a_heartbeat_through_the_proxy_is_in_the_stream_under_its_org(api: WholeApi):
    status, body, _ = await api.ask(
        "/api/fabric/redis/streams/add", "POST", who="device", json=BEAT
    )
    assert (status, body["success"]) == (200, True)
    async with redis.asyncio.Redis.from_url(api.redis_url) as client:
        ((_, fields),) = await client.xrange(STATUS_STREAM)
    assert fields[b"orgId"] == b"acme"


async def test_people_see_their_nodes_and_devices_may_not_sign_for_them(api: WholeApi):
    assert (await api.ask("/api/fabric/nodes"))[0] == 401
    assert (await api.ask("/api/fabric/nodes", who="viewer"))[:2] == (200, [])
    status, body, _ = await api.ask("/api/fabric/nodes/gpu-1", "DELETE", who="viewer")
    assert (status, body["error"]) == (403, "forbidden")


async def test_what_was_refused_and_what_was_done_is_in_the_audit_log(api: WholeApi):
    await api.ask("/api/fabric/nodes/gpu-9", "DELETE", who="viewer")
    await api.service.stop()
    page = await Audit(api.database).list("acme")
    row = page.rows[0]
    assert (row.action, row.target, row.outcome) == ("node.decommission", "gpu-9", "refused")
    assert abs((datetime.now(UTC) - row.happened_at).total_seconds()) < 60  # noqa: TID251
    assert row.address == "127.0.0.1"


async def test_without_redis_what_is_stored_is_told_and_writers_are_told_to_wait(
    api: WholeApi, own_valkey: Valkey
):
    await own_valkey.stop()
    status, body, _ = await api.ask("/readyz")
    assert (status, body["parts"]) == (200, {"redis": False, "database": True})
    assert (await api.ask("/api/fabric/nodes", who="viewer"))[0] == 200
    status, body, headers = await api.ask(
        "/api/fabric/redis/streams/add", "POST", who="device", json=BEAT
    )
    assert (status, body["error"]) == (503, "unavailable")
    assert int(headers["Retry-After"]) >= 1


async def test_a_quota_is_shared_by_replicas(api_settings: ApiSettings, monkeypatch):
    monkeypatch.setattr(limiter, "EXCHANGE_SECONDS", 0.02)
    quota = api_settings.quota.model_copy(update={"daily_requests": 5})
    settings = api_settings.model_copy(update={"quota": quota})
    async with running(settings) as one, running(settings) as other:
        one.headers |= await populated(one.database)
        other.headers = one.headers
        ping = "/api/fabric/redis/ping"
        for _ in range(4):
            assert (await one.ask(ping, who="device"))[0] == 200
        assert (await other.ask(ping, who="device"))[0] == 200
        async with asyncio.timeout(5):
            while (await other.ask(ping, who="device"))[0] != 429:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        status, body, _ = await other.ask(ping, who="device")
        assert (status, body["limit"], body["window"]) == (429, 5, 86400)
        status, _, _ = await other.ask(
            "/api/fabric/redis/streams/add", "POST", who="device", json=BEAT
        )
        assert status == 200


async def test_it_ends_within_five_seconds_with_streams_open(api: WholeApi):
    async with (
        api.client.get(api.url("/api/fabric/events"), headers=api.headers["viewer"]) as stream,
        api.client.ws_connect(
            api.url("/api/fabric/redis/ws"), headers=api.headers["device"]
        ) as socket,
    ):
        assert stream.status == 200
        assert stream.content_type == "text/event-stream"
        assert "Content-Encoding" not in stream.headers
        assert stream.headers["X-Request-Id"]
        loop = asyncio.get_running_loop()
        began = loop.time()
        await api.service.stop()
        assert loop.time() - began < 5
        await stream.content.read()
        assert (await socket.receive()).type.name in {"CLOSE", "CLOSED", "CLOSING"}
