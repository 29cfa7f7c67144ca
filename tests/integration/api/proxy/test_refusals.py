"""What is refused: bad credentials, names of others and of nothing, bodies of bad shapes."""

import json
from typing import Any

import pytest

from citadel_k8s.local.valkey import Valkey
from tests.goclient import API, GoClient, GoError, RateLimitedError
from tests.integration.api.proxy.conftest import Proxy, running

STREAM = "node:status:stream"
ADD, PUBLISH = f"{API}/streams/add", f"{API}/pubsub/publish"
CONSUME, ACK, KV = f"{API}/jobs/consume", f"{API}/jobs/acknowledge", f"{API}/kv"

ODD = [
    "", " ", "*", "x*", "a\nb", "a\r\nSET x y\r\n", "a\0b", "'; DROP TABLE nodes; --", "../..",
    "ä", "\u202e", "{tag}", "[a-z]", "?", "a b", "a:b:c:d", "%00", "x" * 600, "\\", '"',
]  # fmt: skip


def beat(node: GoClient, **more: str) -> dict[str, Any]:
    values = {"nodeId": node.node_id, "timestamp": "t", "payload": json.dumps(node.message())}
    return {"stream": STREAM, "values": values | more, "maxLen": 10000, "approx": True}


async def status_of(node: GoClient, method: str, path: str, body: Any = None) -> int:
    status, data, _ = await node.call(method, path, body)
    if status >= 400:
        refusal = json.loads(data)
        assert isinstance(refusal["error"], str)
        assert isinstance(refusal.get("error_description", ""), str)
        assert "Traceback" not in data.decode()
    return status


async def nothing_landed(proxy: Proxy) -> None:
    assert await proxy.redis.keys("*") == []


@pytest.mark.parametrize(
    ("token", "status"), [("", 401), ("unknown", 401), ("bare", 403), ("person", 403)]
)
async def test_who_has_no_right_is_told_so_on_every_route(proxy: Proxy, token: str, status: int):
    asked = [
        ("GET", f"{API}/ping", None), ("GET", f"{KV}?key=job:1:status", None),
        ("POST", ADD, {"stream": STREAM, "values": {}}),
        ("POST", PUBLISH, {"channel": "c", "message": "{}"}),
        ("POST", CONSUME, {"queue": "q", "group": "g", "consumer": "c"}),
        ("POST", ACK, {"queue": "q", "group": "g", "messageId": "1-0"}),
        ("POST", KV, {"key": "k", "value": "v"}), ("DELETE", f"{KV}?key=k", None),
        ("GET", f"{API}/ws", None), ("POST", "/api/fabric/node-state", None),
        ("POST", "/api/fabric/authkey/generate", None),
    ]  # fmt: skip
    async with proxy.client(token) as node:
        for method, path, body in asked:
            assert await status_of(node, method, path, body) == status, path
    await nothing_landed(proxy)


@pytest.mark.parametrize(
    "more",
    [
        {"nodeId": "go-2"}, {"orgId": "globex"},
        {"payload": '{"nodeId":"go-2","status":{}}'},
        {"payload": '{"nodeId":"go-1","nodeId":"go-2","status":{}}'},
        {"payload": '{"nodeId":"go\\u002d2","status":{}}'},
    ],
)  # fmt: skip
async def test_a_heartbeat_for_another_is_refused_and_put_on_record(
    proxy: Proxy, more: dict[str, str]
):
    async with proxy.client() as node:
        assert await status_of(node, "POST", ADD, beat(node, **more)) == 403
        assert await status_of(node, "POST", ADD, beat(node, **more)) == 403
    await nothing_landed(proxy)
    (row,) = proxy.rows
    assert (row.action, row.org_id, row.subject, row.outcome) == (
        "proxy.denied", "acme", "token:acme-go-1", "refused",
    )  # fmt: skip


async def test_an_unbound_credential_speaks_for_any_node_of_its_org_and_of_no_other(proxy: Proxy):
    async with proxy.client("unbound", node_id="any-7") as node:
        assert await node.heartbeat()
        assert await status_of(node, "POST", ADD, beat(node, nodeId="go-2")) == 400
        assert await status_of(node, "POST", ADD, beat(node, orgId="globex")) == 403
        channel = {"channel": "node:status:org:globex:any-7", "message": "{}"}
        assert await status_of(node, "POST", PUBLISH, channel) == 403
    assert len(await proxy.entries(STREAM)) == 1


@pytest.mark.parametrize(
    "payload",
    [
        "", "no json", "[]", '"text"', "7", "null", "{" * 100_000, "[" * 100_000,
        '{"a":' * 5000 + "1" + "}" * 5000, '{"nodeId":7,"status":{}}', '{"status":{}}',
        '{"nodeId":null,"status":{}}', '{"nodeId":"go-1","status":{},"x":NaN}', '{"nodeId":"go-1"',
        '{"nodeId":"go-1","status":"' + "x" * 2**20 + '"}', "\ud800", '{"nodeId":"\\ud800"}',
        '{"nodeId":["go-1"],"status":{}}',
    ],
)  # fmt: skip
async def test_a_payload_that_is_not_valid_is_a_400_and_lands_nowhere(proxy: Proxy, payload: str):
    async with proxy.client() as node:
        assert await status_of(node, "POST", ADD, beat(node, payload=payload)) == 400
        assert await node.heartbeat()
    assert len(await proxy.entries(STREAM)) == 1


async def test_the_largest_payload_is_taken(proxy: Proxy):
    async with proxy.client() as node:
        head = '{"nodeId":"go-1","status":{},"x":"'
        payload = head + '\\"' * ((2**20 - len(head) - 2) // 2) + '"}'
        assert await status_of(node, "POST", ADD, beat(node, payload=payload)) == 200


@pytest.mark.parametrize("odd", ODD)
async def test_odd_texts_are_refused_wherever_a_name_is_meant(proxy: Proxy, odd: str):
    job = {"queue": "jobs:v1:cpu-general", "group": "g", "consumer": "c", "blockMs": 1}
    async with proxy.client("unbound") as node:
        asked: list[tuple[str, Any]] = [
            (ADD, beat(node, nodeId=odd)), (ADD, beat(node) | {"stream": odd}),
            (ADD, {"stream": f"dlq:v1:{odd}", "values": {"a": "b"}}),
            (PUBLISH, {"channel": odd, "message": "{}"}),
            (PUBLISH, {"channel": f"node:status:{odd}", "message": "{}"}),
            (PUBLISH, {"channel": f"node:status:org:acme:{odd}", "message": "{}"}),
            (PUBLISH, {"channel": f"node:status:org:{odd}:go-1", "message": "{}"}),
            (PUBLISH, {"channel": "stream:v1:j", "message": odd}),
            (CONSUME, job | {"queue": odd}), (CONSUME, job | {"queue": f"jobs:v1:tag:{odd}"}),
            (CONSUME, job | {"queue": f"jobs:v1:shell:org_{odd}"}),
            (CONSUME, job | {"queue": f"jobs:v1:shell:org_acme:node:{odd}"}),
            (CONSUME, job | {"queue": "jobs:v1:config", "group": f"citadel-config-{odd}"}),
            (ACK, {"queue": odd, "group": "g", "messageId": "1-0"}),
            (ACK, {"queue": "jobs:v1:cpu-general", "group": "g", "messageId": odd}),
            (KV, {"key": odd, "value": "v"}), (KV, {"key": f"job:{odd}:status", "value": "v"}),
        ]  # fmt: skip
        if odd != "a:b:c:d":
            asked += [(CONSUME, job | {"group": odd}), (CONSUME, job | {"consumer": odd})]
        for path, body in asked:
            status = await status_of(node, "POST", path, body)
            tag = path == CONSUME and "tag:a:b" in body["queue"]
            assert status == (200 if tag else 400) or (status == 403 and "org" in str(body)), body


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CONSUME, {"queue": "jobs:v1:config", "group": "citadel-config-go-2", "consumer": "c"}),
        (CONSUME, {"queue": "jobs:v1:shell:org_globex", "group": "g", "consumer": "c"}),
        (CONSUME, {"queue": "jobs:v1:tag:meeting:org_globex", "group": "g", "consumer": "c"}),
        (CONSUME, {"queue": "jobs:v1:shell:org_acme:node:9", "group": "g", "consumer": "c"}),
        (ACK, {"queue": "jobs:v1:config", "group": "citadel-config-go-2", "messageId": "1-0"}),
        (PUBLISH, {"channel": "node:status:go-2", "message": "{}"}),
        (PUBLISH, {"channel": "node:status:org:acme:go-2", "message": "{}"}),
        (PUBLISH, {"channel": "node:status:org:globex:go-1", "message": "{}"}),
        (PUBLISH, {"channel": "node:status:go-1", "message": '{"nodeId":"go-2"}'}),
        (PUBLISH, {"channel": "config:node:go-1", "message": "{}"}),
        (PUBLISH, {"channel": "wake:v1:node:758", "message": "{}"}),
        (ADD, {"stream": "node:activity:stream", "values": {"nodeId": "go-2"}}),
        (ADD, {"stream": "node:activity:stream", "values": {"nodeId": "go-1", "orgId": "x"}}),
        (ADD, {"stream": "node:usage:stream", "values": {"data": '{"nodeId":"go-2"}'}}),
    ],
)
async def test_what_is_anothers_is_a_403_and_put_on_record(
    proxy: Proxy, path: str, body: dict[str, Any]
):
    proxy.mesh_ids["acme", "go-1"] = "758"
    async with proxy.client() as node:
        assert await status_of(node, "POST", path, body) == 403
    assert len(proxy.rows) == 1
    await nothing_landed(proxy)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ADD, {"stream": 7, "values": {}}), (ADD, {"stream": STREAM, "values": []}),
        (ADD, {"stream": STREAM, "values": {"nodeId": 7}}), (ADD, {"stream": STREAM}),
        (ADD, {"stream": STREAM, "values": {}}), (ADD, []), (ADD, "x"), (ADD, None), (ADD, 7),
        (ADD, {"stream": STREAM, "values": {"nodeId": "go-1"}, "maxLen": -1}),
        (ADD, {"stream": STREAM, "values": {"nodeId": "go-1"}, "maxLen": "10"}),
        (ADD, {"stream": STREAM, "values": {f"f{n}": "" for n in range(100)}}),
        (ADD, {"stream": "node:usage:stream", "values": {"data": "no json"}}),
        (ADD, {"stream": "dlq:v1:config", "values": {"payload": "x" * 300_000}}),
        (CONSUME, {"queue": "jobs:v1:cpu-general", "group": "g", "consumer": "c", "blockMs": 0}),
        (CONSUME, {"queue": "jobs:v1:cpu-general", "group": "g", "consumer": "c", "blockMs": -5}),
        (CONSUME, {"queue": "jobs:v1:cpu-general", "group": "g", "consumer": "c", "blockMs": 0.5}),
        (CONSUME, {"queue": "jobs:v1:cpu-general", "group": "g", "consumer": "c", "count": 0}),
        (CONSUME, {"queue": "jobs:v1:cpu-general", "group": "g", "consumer": "c", "count": 10**9}),
        (CONSUME, {"queue": "jobs:v1:config", "group": "g", "consumer": "c", "blockMs": 2**99}),
        (ACK, {"queue": "jobs:v1:cpu-general", "group": "g", "messageId": f"{2**64}-0"}),
        (KV, {"key": "job:1:status", "value": 7}), (KV, {"key": "job:1:status", "value": None}),
        (KV, {"key": "job:1:status", "value": "v", "ttl": 0}),
        (KV, {"key": "job:1:status", "value": "v", "ttl": -1}),
        (KV, {"key": "job:1:status", "value": "v", "ttl": 10**12}),
        (KV, {"key": "job:1:status", "value": "v", "ttl": 10**400}),
        (KV, {"key": "job:1:status", "value": "x" * 300_000}),
        (KV, {"key": "other", "value": "v"}), (PUBLISH, {"channel": "x"}),
        (PUBLISH, {"channel": "stream:v1:1", "message": {"an": "object"}}),
        (PUBLISH, {"channel": "stream:v1:1", "message": "[1]"}),
    ],
)  # fmt: skip
async def test_a_body_of_a_wrong_shape_is_a_400_with_a_clear_word(
    proxy: Proxy, path: str, body: Any
):
    async with proxy.client() as node:
        assert await status_of(node, "POST", path, body) in {400, 415}
    await nothing_landed(proxy)


async def test_a_body_beyond_all_bounds_is_a_413(proxy: Proxy):
    async with proxy.client() as node:
        status, _, _ = await node.call("POST", ADD, raw=b"[" * 3 * 2**20)
        assert status == 413
        status, _, _ = await node.call("POST", CONSUME, raw=b" " * 2 * 2**20)
        assert status == 413


async def test_a_query_without_its_key_or_with_an_odd_one_is_a_400(proxy: Proxy):
    async with proxy.client() as node:
        for query in ("", "?key=", "?key=*", "?key=job:%0a:status", "?key=a%00b", "?k=v"):
            assert await status_of(node, "GET", f"{KV}{query}") == 400
            assert await status_of(node, "DELETE", f"{KV}{query}") == 400


async def test_a_refusal_reads_as_the_client_reads_it(proxy: Proxy):
    async with proxy.client() as node:
        with pytest.raises(
            GoError, match=r"POST .*publish: status 400: bad_request: .* no channel"
        ):
            await node.publish("nothing", {})


async def test_a_ping_beyond_the_quota_is_a_typed_429(own_valkey: Valkey):
    quota = {"daily_requests": 3, "requests_per_second": 1000, "burst": 1000}
    async with running(own_valkey, quota=quota) as proxy, proxy.client() as node:
        for _ in range(3):
            await node.ping()
        with pytest.raises(RateLimitedError) as found:
            await node.ping()
        assert (found.value.limit, found.value.window) == (3, 86_400)
        assert 0 < found.value.retry_after <= 86_400
        assert found.value.reset_at is not None
        with pytest.raises(RateLimitedError) as upgrade:
            await node.dial()
        assert upgrade.value.retry_after > 0
        assert await node.heartbeat() is True


async def test_a_heartbeat_is_never_refused_below_the_quota_and_each_node_has_its_own(
    own_valkey: Valkey,
):
    quota = {"daily_requests": 200, "requests_per_second": 0.01, "burst": 1}
    async with running(own_valkey, quota=quota) as proxy, proxy.client("unbound") as node:
        body = beat(node)
        for _ in range(200):
            assert await status_of(node, "POST", ADD, body) == 200
        assert await status_of(node, "POST", ADD, body) == 429
        node.node_id = "go-9"
        assert await status_of(node, "POST", ADD, beat(node)) == 200
