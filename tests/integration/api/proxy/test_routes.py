"""Every row of the contract's table of routes, asked by a client that behaves as it says."""

import json
from pathlib import Path

import pytest

from citadel_k8s.api.proxy.shapes import TTL_MAX
from citadel_k8s.local.valkey import Valkey
from tests.goclient import API, GoError
from tests.integration.api.proxy.conftest import Proxy, running

STREAM = "node:status:stream"


async def test_a_ping_is_answered_with_exactly_200(proxy: Proxy):
    async with proxy.client() as node:
        await node.ping()
        status, _, headers = await node.call("GET", f"{API}/ping")
        assert (status, headers["Content-Type"]) == (200, "application/json; charset=utf-8")


async def test_a_heartbeat_lands_stamped_in_the_shared_stream_and_on_the_orgs_channel(
    proxy: Proxy,
):
    heard = proxy.redis.pubsub()
    await heard.subscribe("org:acme:node:status:org:acme:go-1")
    async with proxy.client() as node:
        assert await node.heartbeat()
    (entry,) = await proxy.entries(STREAM)
    assert json.loads(entry.pop("payload"))["nodeId"] == "go-1"
    assert entry == {
        "nodeId": "go-1", "timestamp": "2026-11-23T08:17:33Z", "orgId": "acme",
        "principal": "token:acme-go-1",
    }  # fmt: skip
    message = None
    while message is None or message["type"] != "message":
        message = await heard.get_message(timeout=5)
    assert json.loads(message["data"])["status"]["vnc_port"] == 0
    await heard.aclose()


async def test_what_a_client_says_of_itself_is_stripped(proxy: Proxy):
    async with proxy.client() as node:
        payload = json.dumps(node.message())
        values = {
            "nodeId": "go-1", "timestamp": "t", "payload": payload, "deviceCode": "1234",
            "orgId": "acme", "principal": "root", "more": "x",
        }  # fmt: skip
        assert await node.add(STREAM, values)
    (entry,) = await proxy.entries(STREAM)
    assert set(entry) == {"nodeId", "timestamp", "payload", "orgId", "principal"}
    assert entry["principal"] == "token:acme-go-1"


async def test_the_stream_is_trimmed_at_the_servers_length_not_at_the_clients(proxy: Proxy):
    async with proxy.client() as node:
        values = {"nodeId": "go-1", "timestamp": "t", "payload": json.dumps(node.message())}
        body = {"stream": STREAM, "values": values, "maxLen": 0, "approx": False}
        for _ in range(3):
            assert (await node.ask("POST", f"{API}/streams/add", body))["success"] is True
    assert len(await proxy.entries(STREAM)) == 3


async def test_a_bare_status_of_the_first_senders_is_taken_under_the_entrys_name(proxy: Proxy):
    async with proxy.client() as node:
        bare = json.dumps(node.message()["status"])
        await node.add(STREAM, {"nodeId": "go-1", "timestamp": "", "payload": bare})
    assert (await proxy.entries(STREAM))[0]["payload"] == bare


async def test_use_and_activity_land_in_streams_of_the_org(proxy: Proxy):
    async with proxy.client() as node:
        await node.add("node:usage:stream", {"data": '{"tokens":7}'})
        activity = {"nodeId": "go-1", "headscaleNodeId": "758", "orgId": "acme", "level": "info",
                    "timestamp": "t", "version": "1", "message": "hello"}  # fmt: skip
        await node.add("node:activity:stream", activity)
    assert (await proxy.entries("org:acme:node:usage:stream"))[0]["data"] == '{"tokens":7}'
    (entry,) = await proxy.entries("org:acme:node:activity:stream")
    assert entry["message"] == "hello"


async def test_a_text_under_a_key_has_a_value_and_a_time_to_live(proxy: Proxy):
    async with proxy.client() as node, proxy.client("globex") as stranger:
        assert await node.kv_get("job:7:status") == (None, -2)
        await node.kv_set("job:7:status", '{"state":"running"}', 86400)
        value, ttl = await node.kv_get("job:7:status")
        assert (value, 86390 < ttl <= 86400) == ('{"state":"running"}', True)
        assert await stranger.kv_get("job:7:status") == (None, -2)
        await node.kv_set("job:cancelled:7", "1")
        value, ttl = await node.kv_get("job:cancelled:7")
        # Without a time of its own it lies for the longest that anything may.
        assert (value, TTL_MAX - 10 < ttl <= TTL_MAX) == ("1", True)
        await node.kv_set("job:7:status", "")
        assert (await node.kv_get("job:7:status"))[0] == ""
        assert await node.kv_delete("job:7:status") is True
        assert await node.kv_delete("job:7:status") is False
        status, data, _ = await node.call("GET", f"{API}/kv?key=job:7:status")
        assert (status, json.loads(data)) == (
            200,
            {"key": "job:7:status", "value": None, "ttl": -2},
        )
    assert await proxy.redis.get("org:acme:job:cancelled:7") == b"1"


async def test_a_key_under_which_lies_no_text_is_a_conflict_and_not_an_outage(proxy: Proxy):
    await proxy.redis.hset("org:acme:job:7:status", "state", "running")
    async with proxy.client() as node:
        with pytest.raises(GoError, match="status 409: conflict"):
            await node.kv_get("job:7:status")


async def test_a_node_learns_its_org_and_its_queue(proxy: Proxy):
    async with proxy.client(org_id="") as node:
        await node.learn()
        assert (node.queue, node.org_id) == ("jobs:v1:cpu-general", "acme")
        assert not node.errors


async def test_a_nodes_state_is_taken_and_its_desired_state_is_the_empty_one(proxy: Proxy):
    async with proxy.client() as node:
        octets = "application/octet-stream"
        sent = await node.call("POST", "/api/fabric/node-state", raw=b"\x0a\x02go", kind=octets)
        assert sent[:2] == (202, b"")
        path = "/api/fabric/nodes/758/desired-state"
        status, data, headers = await node.call("GET", path)
        assert (status, data, headers["Content-Type"]) == (200, b"", octets)
        big = await node.call("POST", "/api/fabric/node-state", raw=b"x" * 2**21, kind=octets)
        assert big[0] == 413


async def test_certificates_are_given_without_a_credential_where_there_are_some(
    own_valkey: Valkey, tmp_path: Path, proxy: Proxy
):
    async with proxy.client("") as nobody:
        assert (await nobody.call("GET", "/api/fabric/ca/chain"))[0] == 404
    pem = tmp_path / "ca.pem"
    pem.write_text("-----BEGIN CERTIFICATE-----\n")
    async with running(own_valkey, ca_file=pem) as other, other.client("") as nobody:
        status, data, _ = await nobody.call("GET", "/api/fabric/ca/chain")
        assert (status, data) == (200, pem.read_bytes())
        pem.unlink()
        assert (await nobody.call("GET", "/api/fabric/ca/chain"))[0] == 503


async def test_nobody_may_open_a_terminal_or_log_in(proxy: Proxy):
    async with proxy.client() as node:
        path = "/api/fabric/terminal/tokens/{}/hashes"
        assert await node.ask("GET", path.format("acme")) == {"tokens": []}
        with pytest.raises(GoError, match="status 403"):
            await node.ask("GET", path.format("globex"))
        keys = await node.ask("GET", "/api/fabric/nodes/go-1/authorized-keys")
        assert keys == {"keys": [], "authorized_keys": "", "count": 0}
    assert [row.target for row in proxy.rows] == ["org"]


async def test_a_key_for_the_mesh_needs_its_scope_and_a_file(
    own_valkey: Valkey, tmp_path: Path, proxy: Proxy
):
    path = "/api/fabric/authkey/generate"
    async with proxy.client() as node, proxy.client("keys") as allowed:
        with pytest.raises(GoError, match=r"status 403.*device_authkey:write"):
            await node.ask("POST", path)
        with pytest.raises(GoError, match="status 404"):
            await allowed.ask("POST", path)
    file = tmp_path / "authkey"
    file.write_text("hskey-1\n")
    async with running(own_valkey, authkey_file=file) as other, other.client("keys") as allowed:
        assert await allowed.ask("POST", path) == {"authkey": "hskey-1", "expires_in": 3600}
        file.write_text("")
        with pytest.raises(GoError, match="status 503"):
            await allowed.ask("POST", path)
