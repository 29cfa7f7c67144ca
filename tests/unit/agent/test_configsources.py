import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from citadel_k8s.agent.configsources import PROXY_BLOCK_MS, ConfigQueue, ProxyConfigQueue
from citadel_k8s.agent.configuration import Configuration
from citadel_k8s.agent.state import State
from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.errors import PublishError
from citadel_k8s.publishers.proxy import ProxyClient
from citadel_k8s.publishers.token import token_value
from citadel_k8s.publishers.transport import Transport
from tests.proxy import TOKEN, running


class Job(NamedTuple):
    id: str
    data: dict[str, str]


class Proxy:
    """What a proxy is asked, and what it has to give."""

    def __init__(self, *jobs: Job) -> None:
        self.jobs = list(jobs)
        self.asked: list[tuple[object, ...]] = []
        self.down = False

    async def consume(
        self, queue: str, group: str, consumer: str, *, count: int, block_ms: int
    ) -> list[Job]:
        self.asked.append((queue, group, consumer, count, block_ms))
        return [self.jobs.pop(0)] if self.jobs else []

    async def acknowledge(self, queue: str, group: str, message_id: str) -> bool:
        if self.down:
            raise PublishError("away")
        self.asked.append((queue, group, message_id))
        return False

    async def append(self, stream: str, values: Mapping[str, str], max_length: int) -> None:
        self.asked.append((stream, dict(values), max_length))


async def test_the_proxy_is_asked_for_one_entry_in_the_nodes_own_group() -> None:
    proxy = Proxy(Job("1-0", {"type": "t", "payload": "ä\ud800"}))
    queue: ConfigQueue = ProxyConfigQueue(proxy, "gpu-1")
    assert await queue.open(replay=True) is None
    (entry,) = await queue.consume()
    assert (entry.id, entry.attempts, entry.fields["type"]) == ("1-0", 1, b"t")
    assert entry.fields["payload"] == b"\xc3\xa4\xed\xa0\x80"
    await queue.acknowledge("1-0")
    await queue.bury({"reason": "r"})
    assert await queue.consume() == []
    await queue.close()
    ask = ("jobs:v1:config", "citadel-config-gpu-1", "gpu-1", 1, PROXY_BLOCK_MS)
    assert proxy.asked == [
        ask,
        ("jobs:v1:config", "citadel-config-gpu-1", "1-0"),
        ("dlq:v1:config", {"reason": "r"}, 1000),
        ask,
    ]


async def test_what_was_not_acknowledged_is_given_again_before_anything_new() -> None:
    proxy = Proxy(Job("1-0", {}), Job("2-0", {}))
    queue = ProxyConfigQueue(proxy, "gpu-1")
    assert [(e.id, e.attempts) for e in await queue.consume()] == [("1-0", 1)]
    assert [(e.id, e.attempts) for e in await queue.consume()] == [("1-0", 2)]
    proxy.down = True
    with pytest.raises(PublishError):
        await queue.acknowledge("1-0")
    assert [(e.id, e.attempts) for e in await queue.consume()] == [("1-0", 3)]
    proxy.down = False
    await queue.acknowledge("1-0")
    assert [(e.id, e.attempts) for e in await queue.consume()] == [("2-0", 1)]


async def test_a_node_without_redis_is_configured_through_the_proxy() -> None:
    kind = {"type": "APPLY_DEVICE_CONFIG", "nodeId": "gpu-1"}
    async with running() as proxy:
        proxy.jobs = [
            {"id": "1-0", "data": kind | {"nodeId": "gpu-2", "payload": "{}"}},
            {"id": "2-0", "data": kind | {"payload": '{"services": 7}'}},
            {"id": "3-0", "data": kind | {"payload": '{"config": {"deviceName": "far"}}'}},
        ]
        client = ProxyClient(Transport(proxy.base, token_value(TOKEN)))
        queue = ProxyConfigQueue(client, "gpu-1")
        state = State(None, "gpu-1")
        node = Configuration(AgentSettings(), "gpu-1", queue=queue, channel=None, state=state)
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            task = group.create_task(node.run())
            while len(proxy.acknowledged) < 3:  # noqa: ASYNC110 - the proxy does not tell
                await asyncio.sleep(0.005)
            task.cancel()
        await client.close()
    assert proxy.acknowledged == ["1-0", "2-0", "3-0"]
    assert node.current.display_name == "far"
    (letter,) = proxy.streams["dlq:v1:config"]
    assert letter["reason"].startswith("BadField at config.services")
