import json

import pytest

from citadel_k8s.domain.keys import org_key
from tests.integration.api.fabric.world import World, message
from tests.unit.api.frame.serving import Running

PATH = "/api/fabric/nodes/a/config"
STREAM = org_key("acme", "jobs:v1:config")


@pytest.fixture
async def node(world: World) -> World:
    await world.node("a")
    return world


async def put(api: Running, config: object, who: str = "editor", **headers: str) -> tuple:
    return await api.ask(PATH, "PUT", who=who, json=config, headers=headers)


async def sent(world: World) -> list[dict]:
    entries = await world.redis.xrange(STREAM)
    return [json.loads(fields[b"payload"])["config"] for _, fields in entries]


async def test_a_configuration_is_kept_and_sent_to_the_node_of_its_org(
    node: World, api: Running
) -> None:
    listener = node.redis.pubsub()
    await listener.subscribe(org_key("acme", "config:node:a"))
    _, empty, headers = await api.ask(PATH, who="viewer")
    assert (empty, headers["ETag"]) == ({}, '"none"')

    status, body, headers = await put(api, {"deviceName": "Big Bertha", "intervalSeconds": 15})

    assert status == 200
    assert headers["ETag"] == f'"{body["revision"]}"'
    told = await sent(node)
    assert [(one["deviceName"], one["revision"]) for one in told] == [
        ("Big Bertha", body["revision"])
    ]
    assert await node.redis.exists("jobs:v1:config") == 0
    while (heard := await listener.get_message(timeout=5)) is not None:
        if heard["type"] == "message":
            assert json.loads(heard["data"])["nodeId"] == "a"
            break
    await listener.aclose()
    _, kept, _ = await api.ask(PATH, who="viewer")
    assert kept["config"] == {"deviceName": "Big Bertha", "intervalSeconds": 15.0}
    assert kept["changedBy"] == "user:2"
    assert "applied" not in kept
    await node.last_status("a", message("a", status={"config": {"revision": body["revision"]}}))
    assert (await api.ask(PATH, who="viewer"))[1]["applied"] is True


async def test_what_is_not_asked_any_more_is_taken_back(node: World, api: Running) -> None:
    await put(api, {"deviceName": "x", "intervalSeconds": 15})
    await put(api, {"intervalSeconds": 20})

    last = (await sent(node))[-1]
    assert (last["deviceName"], last["intervalSeconds"]) == (None, 20.0)


async def test_a_change_of_what_has_changed_meanwhile_is_refused(node: World, api: Running) -> None:
    _, first, _ = await put(api, {"deviceName": "x"}, **{"If-None-Match": "*"})
    old = {"If-Match": f'"{first["revision"]}"'}
    assert (await put(api, {"deviceName": "y"}, **old))[0] == 200

    status, body, _ = await put(api, {"deviceName": "z"}, **old)

    assert (status, body["error"]) == (412, "conflict")
    assert (await put(api, {"deviceName": "z"}, **{"If-None-Match": "*"}))[0] == 412
    assert len(await sent(node)) == 2
    assert (await put(api, {"deviceName": "z"}, **{"If-Match": "*"}))[0] == 200


@pytest.mark.parametrize(
    ("config", "status"),
    [
        ({"deviceName": "x" * 300}, 422),
        ({"intervalSeconds": 1}, 422),
        ({"services": ["Bad Name"]}, 422),
        ({"engines": [{"name": "e", "kind": "vllm", "url": "http://169.254.169.254/"}]}, 422),
        ({"nodeId": "b", "deviceName": "x"}, 422),
        ([1], 400),
        ("text", 400),
    ],
)
async def test_what_does_not_fit_is_neither_kept_nor_sent(
    node: World, api: Running, config: object, status: int
) -> None:
    assert (await put(api, config))[0] == status

    assert await sent(node) == []
    assert (await api.ask(PATH, who="viewer"))[1] == {}


async def test_what_no_agent_can_do_is_named_and_not_kept(node: World, api: Running) -> None:
    status, body, _ = await put(api, {"deviceName": "x", "nodePasscode": "hunter2"})

    assert (status, body["unsupported"]) == (200, ["nodePasscode"])
    rows = await node.run("SELECT config::text FROM node_configs")
    assert "hunter2" not in str(rows) + str(await sent(node))


async def test_only_editors_change_nodes(node: World, api: Running) -> None:
    assert (await put(api, {}, who="viewer"))[0] == 403
    assert (await put(api, {}, who="device"))[0] == 403


async def test_without_redis_nothing_is_changed(node: World, api: Running) -> None:
    await node.redis.set(STREAM, "not a stream")

    status, body, _ = await put(api, {"deviceName": "x"})

    assert (status, body["error"]) == (503, "unavailable")
    assert (await api.ask(PATH, who="viewer"))[1] == {}
