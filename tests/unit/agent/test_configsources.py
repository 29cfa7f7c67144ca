from collections.abc import Mapping
from typing import NamedTuple

import pytest

from citadel_k8s.agent.configsources import PROXY_BLOCK_MS, ConfigQueue, ProxyConfigQueue
from citadel_k8s.errors import PublishError


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
