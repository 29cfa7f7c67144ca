"""The API as it is deployed, with both servers behind it, and without them."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import redis.asyncio

from citadel_k8s.api.fabric.shelf import HOLD_SECONDS
from citadel_k8s.api.frame import limiter
from citadel_k8s.api.page.files import STATIC
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.constants import STATUS_STREAM
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.stores.entries import EntryId
from citadel_k8s.stores.orgstream import OrgStreams, Told
from citadel_k8s.stores.postgres.audit import Audit
from citadel_k8s.stores.postgres.database import Database
from tests.integration.api.conftest import WholeApi, populated, running
from tests.integration.api.events.test_whole import until
from tests.orgfeed import node

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


def delta(node_id: str) -> str:
    return json.dumps(node(node_id, state="Online", profile={"name": node_id}))


class Mesh:
    """Adds nodes of acme to what is stored, as the mesh does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, node_id: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(
                "INSERT INTO nodes (org_id, node_id, source) VALUES (%s, %s, 'mesh')",
                ("acme", node_id),
            )


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


async def test_the_page_is_where_a_sign_in_ends_and_where_a_code_is_shown(api: WholeApi):
    built = (STATIC / "index.html").is_file()
    for path in ("/", "/device?code=CLVQ-ZKGX"):
        async with api.client.get(api.url(path)) as response:
            text = await response.text()
            assert response.status == (200 if built else 503)
            assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert 'id="page"' in text if built else "make page" in text
    status, body, _ = await api.ask("/api/settings", who="viewer")
    assert (status, body["timeoutSeconds"]) == (200, 100.0)


async def rows_and_place(api: WholeApi, query: str = "") -> tuple[list[str], str | None, Any]:
    status, body, headers = await api.ask(f"/api/fabric/nodes{query}", who="viewer")
    assert status == 200
    return [row["id"] for row in body], headers.get("X-Citadel-Position"), headers


async def test_nothing_is_lost_between_a_list_and_the_stream_that_goes_on_after_it(api: WholeApi):
    streams, fleet = OrgStreams(api.redis_url), Mesh(api.database)
    # Before anything was ever told there is no place to go on from.
    assert (await rows_and_place(api))[:2] == ([], None)
    await streams.tell([Told("acme", delta("old"))])
    await asyncio.sleep(HOLD_SECONDS)
    await fleet.add("n1")
    rows, place, _ = await rows_and_place(api)
    assert rows == ["n1"]

    # Told after the rows were read, and before anybody listens.
    await fleet.add("n2")
    await streams.tell([Told("acme", delta("n2"))])
    await streams.tell([Told("other", delta("theirs"))])
    url = api.url(f"/api/fabric/events?after={place}")
    async with api.client.get(url, headers=api.headers["viewer"]) as response:
        seen = await until(response, "node")
    assert not {"snapshot", "reset"} & {event.get("event") for event in seen}
    assert [json.loads(e["data"])["id"] for e in seen if e.get("event") == "node"] == ["n2"]
    await streams.close()


async def test_the_place_is_that_of_the_reading_which_others_are_given_too(api: WholeApi):
    streams, fleet = OrgStreams(api.redis_url), Mesh(api.database)
    await streams.tell([Told("acme", delta("old"))])
    for name in ("n1", "n2", "n3"):
        await fleet.add(name)
    _, place, headers = await rows_and_place(api, "?limit=1")
    await streams.tell([Told("acme", delta("n2"))])
    # The same reading, a second page of it, and a 304: none may claim what was told since.
    assert (await rows_and_place(api))[1] == place
    assert (await rows_and_place(api, f"?limit=1&cursor={headers['X-Next-Cursor']}"))[1] == place
    etag = {"If-None-Match": headers["ETag"]}
    status, _, unchanged = await api.ask("/api/fabric/nodes?limit=1", who="viewer", headers=etag)
    assert (status, unchanged["X-Citadel-Position"]) == (304, place)
    await asyncio.sleep(HOLD_SECONDS)
    _, later, _ = await rows_and_place(api)
    assert later is not None
    assert place is not None
    assert EntryId.parse(later) > EntryId.parse(place)
    await streams.close()


async def test_a_list_without_redis_has_no_place_and_comes_all_the_same(
    api: WholeApi, own_valkey: Valkey
):
    streams = OrgStreams(api.redis_url)
    await streams.tell([Told("acme", delta("old"))])
    assert (await rows_and_place(api))[1]
    await own_valkey.stop()
    await asyncio.sleep(HOLD_SECONDS)
    assert (await rows_and_place(api))[:2] == ([], None)
    await own_valkey.start()
    await streams.close()
