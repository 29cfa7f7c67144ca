"""The operator's word and a real agent's answer: what is asked for comes back as its revision."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.domain.liveness import Policy
from citadel_k8s.errors import StreamError, WireError
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.operator.configpush import ConfigPush
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.registry import Registry
from citadel_k8s.stores.configsender import MEMORY, ConfigMessage, ConfigSender, Sent
from citadel_k8s.stores.streams import EntryId, RedisStatusStream
from tests.integration.configserver import STREAM, Server, configuration, running
from tests.integration.configserver import until as until_here

POLICY = Policy(interval=5, missed=2, skew=1)


class Desk:
    """An operator's registry and its push, on a real server, with an object made up."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = SystemClock()
        self.registry = Registry(self.clock, POLICY, None, lambda *_: None)
        self.sender = ConfigSender(url)
        self.push = ConfigPush(self.sender, self.registry, self.clock, OperatorMetrics())
        self._generation = 0

    def ask(self, config: Any) -> None:
        self._generation += 1
        metadata = {
            "name": "n1", "uid": "u", "generation": self._generation,
            "resourceVersion": str(self._generation),
        }  # fmt: skip
        self.registry.observe({"metadata": metadata, "spec": {"nodeId": "n1", "config": config}})

    @property
    def record(self) -> NodeRecord:
        return self.registry.nodes["n1"]

    def applied(self) -> bool:
        facts = self.record.facts
        return (
            facts is not None
            and self.record.config_wanted is not None
            and facts.config_revision == self.record.config_wanted
        )

    async def read(self) -> None:
        stream, cursor = RedisStatusStream(self.url), EntryId.ZERO
        try:
            while True:
                for entry in await stream.read(cursor, block=0.2):
                    cursor = entry.id
                    with suppress(WireError):  # such as an agent's last word from before
                        self.registry.hear(entry, 0.0)
        finally:
            await stream.close()


@asynccontextmanager
async def operating(url: str) -> AsyncIterator[Desk]:
    desk = Desk(url)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(desk.read()), group.create_task(desk.push.run())]
        try:
            yield desk
        finally:
            for task in tasks:
                task.cancel()
    await desk.sender.close()


async def test_a_real_agent_reports_the_revision_of_what_its_object_asks_for(
    start_agent, own_valkey: Valkey, tmp_path: Path
) -> None:
    async with operating(own_valkey.url) as desk:
        desk.ask({
            "deviceName": "far", "customTags": ["team:a"], "services": ["vllm"],
            "agent": {"intervalSeconds": 6}, "vncPassword": "hunter2",
        })  # fmt: skip
        settings = {"redis_url": own_valkey.url, "state_folder": str(tmp_path)}
        agent = await start_agent(**settings)
        await until_here(desk.applied, 30)
        first = desk.record.config_wanted
        assert desk.record.config_unsupported == ("vncPassword",)
        assert desk.record.interval == 6
        assert kept(tmp_path) == {
            "deviceName": "far", "customTags": ["team:a"], "services": ["vllm"],
            "intervalSeconds": 6.0,
        }  # fmt: skip
        # A key that goes is taken back, a list of services is what it says and no more.
        desk.ask({"services": ["tei"], "customTags": ["team:b"]})
        await until_here(lambda: desk.record.config_wanted != first and desk.applied(), 30)
        assert kept(tmp_path) == {"services": ["tei"], "customTags": ["team:b"]}
        # What a restart finds in its file it reports at once: nothing is sent again.
        count = await length(own_valkey)
        await agent.stop()
        boot = desk.record.live.boot_id
        await start_agent(**settings)
        await until_here(lambda: desk.record.live.boot_id != boot and desk.applied(), 30)
        assert await length(own_valkey) == count
        assert "hunter2" not in await everything(own_valkey)
        desk.ask(None)
        await until_here(lambda: desk.record.config_wanted != first and desk.applied(), 30)
        await until_here(lambda: kept(tmp_path) == {}, 30)


async def test_what_a_node_had_from_elsewhere_stays_and_the_objects_word_comes_back(
    own_valkey: Valkey, tmp_path: Path
) -> None:
    server, sender = Server(own_valkey), ConfigSender(own_valkey.url)
    async with running(configuration(own_valkey.url, folder=tmp_path)) as node:
        message = ConfigMessage("n1", {"deviceName": "object"}, "r-object", "2026-01-01T00:00:00Z")
        await sender.send(message, 1.0)
        await until_here(lambda: revision_of(node) == "r-object")
        await server.send({"deviceName": "platform", "customTags": ["p"]}, revision="r-platform")
        await until_here(lambda: revision_of(node) == "r-platform")
        again = ConfigMessage("n1", {"deviceName": "object"}, "r-object", "2026-01-01T00:02:00Z")
        await sender.send(again, 2.0)
        await until_here(lambda: revision_of(node) == "r-object")
        await server.all_done()
        assert (node.current.display_name, node.current.tags) == ("object", ("p",))
        assert node.counts["applied"] == 3 or node.counts["known"] >= 1
        assert await sender.load() == {"n1": Sent("r-object", 2.0)}
    await sender.close()


async def test_services_begin_anew_whatever_way_the_messages_come(
    own_valkey: Valkey, tmp_path: Path
) -> None:
    sender = ConfigSender(own_valkey.url)
    async with running(configuration(own_valkey.url, folder=tmp_path)) as node:
        for turn in range(5):
            values = {"services": [f"s{turn}"], "deviceName": f"d{turn}"}
            message = ConfigMessage(
                "n1", values, f"r{turn}", f"2026-01-01T00:00:0{turn}Z", anew=True
            )
            await sender.send(message, 1.0)
        await until_here(lambda: revision_of(node) == "r4")
        assert node.current.services == ("s4",)
    await sender.close()


async def test_a_node_that_was_away_finds_its_configuration_in_the_stream(
    own_valkey: Valkey, tmp_path: Path
) -> None:
    sender = ConfigSender(own_valkey.url)
    for node_id in ("n2", "n1", "n3"):
        values = {"deviceName": f"for {node_id}"}
        await sender.send(ConfigMessage(node_id, values, "r", "2026-01-01T00:00:00Z"), 1.0)
    async with running(configuration(own_valkey.url, folder=tmp_path)) as node:
        await until_here(lambda: revision_of(node) == "r")
        assert node.current.display_name == "for n1"
        assert node.counts["other-node"] >= 1
    await sender.close()


async def test_what_cannot_be_read_in_the_memory_was_never_sent(own_valkey: Valkey) -> None:
    sender = ConfigSender(own_valkey.url)
    async with redis.asyncio.Redis.from_url(own_valkey.url) as client:
        fields = {"a": "{", "b": "[]", "c": '{"revision": "r"}', "d": '{"revision":"r","at":1}'}
        await client.hset(MEMORY, mapping=fields)
    assert await sender.load() == {"d": Sent("r", 1.0)}
    await sender.forget(["d", "e"])
    await sender.forget([])
    assert await sender.load() == {}
    await sender.close()


async def test_a_server_that_is_away_is_told_of_within_its_time(own_valkey: Valkey) -> None:
    sender = ConfigSender(own_valkey.url, answer_timeout=0.5)
    await own_valkey.pause()
    message = ConfigMessage("n1", {}, "r", "2026-01-01T00:00:00Z")
    for call in (lambda: sender.send(message, 1.0), sender.load, lambda: sender.forget(["n1"])):
        with pytest.raises(StreamError, match="no answer within"):
            await call()
    await own_valkey.resume()
    await sender.send(message, 1.0)
    await sender.close()


def revision_of(node) -> str | None:
    return node.info.revision if node.info else None


def kept(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())["values"]


async def length(valkey: Valkey) -> int:
    async with redis.asyncio.Redis.from_url(valkey.url) as client:
        return await client.xlen(STREAM)


async def everything(valkey: Valkey) -> str:
    """Give all that the server holds of configuration."""
    async with redis.asyncio.Redis.from_url(valkey.url) as client:
        return f"{await client.xrange(STREAM)} {await client.hgetall(MEMORY)}"
