"""The users of the deployed Valkey, on a real one: each may do its work and no more."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio
import yaml
from redis.exceptions import NoPermissionError

from citadel_k8s.errors import StreamError
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.stores.configs import RedisConfigQueue
from citadel_k8s.stores.configsender import ConfigMessage, ConfigSender, Sent
from citadel_k8s.stores.deadletters import RedisDeadLetters
from citadel_k8s.stores.housekeeping import RedisConfigGroups
from citadel_k8s.stores.streams import EntryId, RedisStatusStream

STREAM = "node:status:stream"
MANIFEST = Path(__file__).parents[3] / "manifests" / "redis.yaml"


@pytest_asyncio.fixture
async def users(own_valkey: Valkey) -> Callable[[str], redis.asyncio.Redis]:
    """Set the users up as the container does; give a connection of one of them."""
    config = next(iter(yaml.safe_load_all(MANIFEST.read_text())))
    lines = re.findall(r"^user (\S+) (.*)$", config["data"]["start.sh"], re.MULTILINE)
    assert {name for name, _ in lines} == {"default", "agent", "operator"}
    admin = redis.asyncio.Redis.from_url(own_valkey.url)
    for name, rules in lines:
        if name != "default":  # this test needs its own way in
            words = words_of(re.sub(r"\$\{\w+\}", f"{name}-secret", rules))
            await admin.execute_command("ACL", "SETUSER", name, *words)
    await admin.aclose()
    bare = f"127.0.0.1:{own_valkey.port}"
    return lambda name: redis.asyncio.Redis.from_url(f"redis://{name}:{name}-secret@{bare}")


def words_of(rules: str) -> list[str]:
    """Give a user's rules as the command takes them: a selector in brackets is one word."""
    return re.findall(r"\([^)]*\)|\S+", rules)


async def refused(call: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(NoPermissionError):
        await call()


async def test_an_agent_can_tell_its_status_and_its_presence_and_read_its_configuration(
    users: Callable[[str], redis.asyncio.Redis],
) -> None:
    async with users("agent") as agent:
        await agent.ping()
        await agent.xadd(STREAM, {"nodeId": "n"}, maxlen=10_000)
        await agent.publish("node:status:n", "x")
        await refused(lambda: agent.xread({STREAM: "0"}))
        await refused(lambda: agent.xtrim(STREAM, maxlen=0))
        await refused(lambda: agent.delete(STREAM))
        await refused(lambda: agent.xadd("other", {"a": "b"}))
        await refused(lambda: agent.publish("config:node:n", "x"))
        await refused(lambda: agent.execute_command("SUBSCRIBE", "node:status:n"))
        await agent.publish("node:presence:n", "x")
        for channel in ("config:node:n", "node:presence:n"):
            pubsub = agent.pubsub()
            await pubsub.subscribe(channel)
            await pubsub.aclose()
        await refused(agent.flushall)
        await refused(lambda: agent.config_get("*"))
        await refused(agent.client_list)


async def test_an_agent_can_read_configuration_and_bury_it_but_send_none(
    own_valkey: Valkey, users: Callable[[str], redis.asyncio.Redis]
) -> None:
    url = f"redis://127.0.0.1:{own_valkey.port}"
    queue = RedisConfigQueue(url, "n", username="agent", password="agent-secret", block=0.1)
    async with users("operator") as operator, users("agent") as agent:
        await queue.open(replay=False)
        entry = await operator.xadd("jobs:v1:config", {"nodeId": "n", "payload": "{}"})
        assert [e.id for e in await queue.consume()] == [entry.decode()]
        await queue.bury({"reason": "Nothing"})
        await queue.acknowledge(entry.decode())
        await refused(lambda: agent.xadd("jobs:v1:config", {"a": "b"}))
        await refused(lambda: agent.xtrim("jobs:v1:config", maxlen=0))
        await refused(lambda: agent.xgroup_destroy("jobs:v1:config", "citadel-config-n"))
        await refused(lambda: agent.xrange("dlq:v1:config"))
    await queue.close()


async def test_an_operator_can_read_and_keep_its_state(
    own_valkey: Valkey, users: Callable[[str], redis.asyncio.Redis]
) -> None:
    url = f"redis://127.0.0.1:{own_valkey.port}"
    login = {"username": "operator", "password": "operator-secret"}
    stream = RedisStatusStream(url, **login)
    canary = RedisStatusStream(url, **login, stream="citadel:canary", max_length=100)
    await canary.append("operator", b"")
    assert len(await canary.read(EntryId.ZERO, block=0.1)) == 1
    async with users("agent") as agent:
        await agent.xadd(STREAM, {"nodeId": "n"})
    assert len(await stream.read(EntryId.ZERO, block=0.1)) == 1
    head = await stream.head()
    assert await stream.trim(head.now_ms + 1) == 1
    await stream.save_snapshot("citadel:operator:nodes", {"n": b"1"})
    assert await stream.load_snapshot("citadel:operator:nodes") == {"n": b"1"}
    with pytest.raises(StreamError, match="permission"):
        await stream.load_snapshot("anything:else")
    await canary.close()
    await stream.close()


async def test_an_operator_sends_configuration_and_clears_up_after_nodes_that_are_gone(
    own_valkey: Valkey, users: Callable[[str], redis.asyncio.Redis]
) -> None:
    url = f"redis://127.0.0.1:{own_valkey.port}"
    queue = RedisConfigQueue(url, "n", username="agent", password="agent-secret", block=0.1)
    await queue.open(replay=False)
    login = {"username": "operator", "password": "operator-secret"}
    sender, groups = ConfigSender(url, **login), RedisConfigGroups(url, **login)
    letters = RedisDeadLetters(url, **login)
    message = ConfigMessage("n", {"deviceName": "d"}, "r", "2026-01-01T00:00:00Z", anew=True)
    async with users("operator") as operator, users("agent") as agent:
        await refused(lambda: operator.delete("citadel:operator:nodes"))
        pubsub = agent.pubsub()
        await pubsub.subscribe("config:node:n")
        await sender.send(message, 1.0)
        await sender.send(replace(message, anew=False), 1.0)
        assert (await heard(pubsub))["data"]
        await pubsub.aclose()
        assert len(await queue.consume()) == 3
        assert await sender.load() == {"n": Sent("r", 1.0)}
        await sender.forget(["n"])
        assert await groups.nodes() == ["n"]
        assert [group.node_id for group in await groups.idle(["n"])] == ["n"]
        assert await groups.destroy("n")
        await operator.xtrim("jobs:v1:config", maxlen=0)
        await letters.bury({"a": "b"})
    for one in (sender, groups, letters, queue):
        await one.close()


async def heard(pubsub: redis.asyncio.client.PubSub) -> Any:
    """Give the first message of a channel that was subscribed to."""
    async with asyncio.timeout(5):
        while True:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1)
            if message is not None:
                return message


async def test_an_operator_speaks_for_no_node_and_reads_nobodys_configuration(
    users: Callable[[str], redis.asyncio.Redis],
) -> None:
    async with users("operator") as operator:
        await refused(lambda: operator.xadd(STREAM, {"nodeId": "n"}))
        await refused(lambda: operator.xdel(STREAM, "1-1"))
        await refused(lambda: operator.xgroup_create(STREAM, "g", mkstream=True))
        await refused(lambda: operator.publish("node:status:n", "x"))
        await refused(lambda: operator.publish("node:presence:n", "x"))
        await refused(lambda: operator.execute_command("SUBSCRIBE", "config:node:n"))
        await refused(lambda: operator.xrange("jobs:v1:config"))
        await refused(lambda: operator.xgroup_create("jobs:v1:config", "g"))
        await refused(lambda: operator.delete("jobs:v1:config"))
        await refused(lambda: operator.xrange("dlq:v1:config"))
        await refused(lambda: operator.set("citadel:x", "y"))
        await refused(lambda: operator.keys("*"))
        await refused(lambda: operator.eval("return 1", 0))


async def test_an_operator_cannot_run_the_server(
    users: Callable[[str], redis.asyncio.Redis],
) -> None:
    async with users("operator") as operator:
        await refused(operator.flushall)
        await refused(lambda: operator.config_get("*"))
        await refused(lambda: operator.execute_command("ACL", "LIST"))
        await refused(lambda: operator.execute_command("SHUTDOWN"))
        await refused(lambda: operator.delete(STREAM))
