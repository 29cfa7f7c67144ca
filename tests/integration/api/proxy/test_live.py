"""A node's status, asked for over the socket that it holds, from any replica."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from citadel_k8s.domain.keys import org_key
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.stores.configsender import ConfigMessage, ConfigSender
from tests.goclient import GoClient
from tests.integration.agent.conftest import AgentProcess, start_agent  # noqa: F401 - a fixture
from tests.integration.api.proxy.conftest import CLOCK, Proxy, device, running, until

STREAM = "node:status:stream"


async def ask(proxy: Proxy, node_id: str = "go-1", seconds: float = 2.0, org: str = "acme") -> Any:
    deadline = asyncio.get_running_loop().time() + seconds
    body = await proxy.room.live.ask(org, node_id, deadline)
    return None if body is None else json.loads(body)


class Answering:
    """A client that answers questions."""

    def __init__(self, node: GoClient, **answer: Any) -> None:
        self.node = node
        self.answer = answer

    async def run(self) -> None:
        answered = 0
        while True:
            for frame in self.node.of_type("live")[answered:]:
                answered += 1
                await self.node.say({"type": "live_answer", "id": frame["id"], **self.answer})
            await asyncio.sleep(0.01)


async def test_any_replica_is_given_the_answer_of_the_node_on_any_other(
    proxy: Proxy, own_valkey: Valkey
):
    async with running(own_valkey) as far, proxy.client() as node, asyncio.TaskGroup() as group:
        await node.dial()
        tasks = [group.create_task(node.listen())]
        tasks.append(group.create_task(Answering(node, ok=True, status={"nodeId": "go-1"}).run()))
        await until(lambda: b"fabric:live:acme:go-1" in proxy.room._ears.confirmed)
        for one in (proxy, far):
            assert await ask(one) == {"nodeId": "go-1"}
        assert await ask(proxy, org="globex", seconds=0.3) is None
        assert await ask(proxy, "go-2", 0.3) is None
        for task in tasks:
            task.cancel()
    assert all(0 < frame["deadline_ms"] <= 2000 for frame in node.of_type("live"))


async def test_no_socket_is_known_at_once_and_a_go_node_runs_into_the_deadline(proxy: Proxy):
    began = CLOCK.monotonic()
    assert await ask(proxy) is None
    assert CLOCK.monotonic() - began < 0.5
    async with proxy.client() as node, asyncio.TaskGroup() as group:
        await node.dial()
        reading = group.create_task(node.listen())
        await until(lambda: b"fabric:live:acme:go-1" in proxy.room._ears.confirmed)
        assert await ask(proxy, seconds=0.4) is None
        assert CLOCK.monotonic() - began > 0.4
        assert not node.of_type("error")
        reading.cancel()
    await until(lambda: b"fabric:live:acme:go-1" not in proxy.room._ears.confirmed)


async def test_an_answer_that_nobody_asked_for_or_that_is_none_helps_nobody(proxy: Proxy):
    async with proxy.client() as node, proxy.client("other") as liar, asyncio.TaskGroup() as group:
        for one in (node, liar):
            await one.dial()
        tasks = [group.create_task(one.listen()) for one in (node, liar)]
        tasks.append(group.create_task(Answering(node, ok=False, error="no").run()))
        await until(lambda: b"fabric:live:acme:go-1" in proxy.room._ears.confirmed)
        for odd in ({"id": "x"}, {"id": None}, {"id": ["a"]}, {}):
            await liar.say({"type": "live_answer", "ok": True, "status": {"a": 1}, **odd})
        assert await ask(proxy) is None
        for task in tasks:
            task.cancel()
    assert not liar.of_type("error")


async def test_a_real_agent_lives_its_whole_life_through_the_proxy(
    proxy: Proxy,
    own_valkey: Valkey,
    start_agent: Callable[..., Awaitable[AgentProcess]],  # noqa: F811 - the fixture
    tmp_path: Path,
):
    token = tmp_path / "token"
    token.write_text("agent\n")
    proxy.principals["agent"] = device("acme", "n1")
    heard = proxy.redis.pubsub()
    await heard.subscribe(org_key("acme", "node:status:org:acme:n1"))
    agent = await start_agent(
        publish="api", api_base_url=proxy.base, api_token_file=str(token), fake_gpu="h100x2",
        state_folder=str(tmp_path / "state"),
    )  # fmt: skip

    async def statuses() -> list[dict[str, Any]]:
        return [json.loads(entry["payload"]) for entry in await proxy.entries(STREAM)]

    async def shown(wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while not (found := [s for s in await statuses() if wanted(s)]):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return found[-1]

    first = await shown(lambda _: True)
    assert (first["nodeId"], first["seq"], len(first["status"]["gpu"])) == ("n1", 1, 2)
    await shown(lambda s: s["agent"].get("transport") == "websocket")
    sender = ConfigSender(own_valkey.url, stream=org_key("acme", "jobs:v1:config"))
    for node_id, name in (("n2", "not-mine"), ("n1", "mine")):
        await sender.send(ConfigMessage(node_id, {"deviceName": name}, f"r-{name}", "t"), 0.0)
    await sender.send(ConfigMessage("n1", {"services": 7}, "r-bad", "t"), 0.0)
    await sender.close()
    named = await shown(lambda s: "error" in s["status"].get("config", {}))
    assert named["status"]["config"]["revision"] == "r-mine"
    (letter,) = await proxy.entries("org:acme:dlq:v1:config")
    assert "services" in letter["reason"]
    assert letter["principal"] == "token:acme-n1"
    live = await ask(proxy, "n1")
    assert (live["nodeId"], live["status"]["node"]["display_name"]) == ("n1", "mine")
    message = None
    while message is None or message["type"] != "message":
        message = await heard.get_message(timeout=5)
    assert json.loads(message["data"])["nodeId"] == "n1"
    await heard.aclose()
    assert await agent.stop() < 5
    assert (await statuses())[-1]["goodbye"]["reason"] == "terminating"
    assert {entry["principal"] for entry in await proxy.entries(STREAM)} == {"token:acme-n1"}
    assert not proxy.rows
    assert not agent.find("publish_failed")
    assert not agent.find("frame_refused")
