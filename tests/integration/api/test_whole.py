"""The API as it is deployed, with both servers behind it, and without them."""

import asyncio
import base64
import hashlib
import html
import json
from datetime import UTC, datetime

import pytest
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


@pytest.mark.parametrize(
    ("path", "who"), [("/api/fabric/ws", "viewer"), ("/api/fabric/redis/ws", "device")]
)
async def test_a_socket_without_an_upgrade_is_told_to_ask_for_one_as_described(
    api: WholeApi, path: str, who: str
):
    status, body, headers = await api.ask(path, who=who)
    assert (status, body["error"]) == (426, "upgrade_required")
    assert headers["Upgrade"] == "websocket"
    assert "upgrade" in headers["Connection"].lower()
    _, described, _ = await api.ask("/api/openapi.json")
    told = described["paths"][path]["get"]["responses"]
    assert {"101", "426"} <= set(told)
    assert "200" not in told
    assert told["426"] == {"$ref": "#/components/responses/426"}
    assert "Upgrade" in described["components"]["responses"]["426"]["headers"]


async def test_where_a_sign_in_ends_and_a_code_is_shown_there_is_a_page_without_script(
    api: WholeApi,
):
    async with api.client.get(api.url("/")) as response:
        assert (response.status, response.content_type) == (200, "text/html")
        page = await response.text()
        policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    for link in ("/api/session", "/api/openapi.json", "/api/fabric/nodes"):
        assert f'href="{link}"' in page
        assert (await api.ask(link, who="viewer"))[0] == 200
    assert "<script" not in page


async def test_the_page_of_a_code_says_how_to_approve_it_and_passes_no_markup_on(api: WholeApi):
    async with api.client.get(api.url("/device?code=CLVQ-ZKGX")) as response:
        page = await response.text()
    assert "user_code=CLVQ-ZKGX" in page
    assert "/api/fabric/device-auth/approve" in page
    evil = {"code": """<b x="'$(id)"""}
    async with api.client.get(api.url("/device"), params=evil) as response:
        page = await response.text()
    assert response.status == 200
    assert "<b x" not in page
    assert html.escape("""'user_code=<b x="'"'"'$(id)'""") in page
    async with api.client.get(api.url("/device?code=" + "x" * 33)) as response:
        assert response.status == 400
