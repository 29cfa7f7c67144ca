import asyncio
from itertools import pairwise

import pytest

from citadel_k8s.agent.nodesettings import NodeConfig
from citadel_k8s.errors import StreamError
from tests.aio.configsources import Channel, Queue, configuration, running

pytestmark = pytest.mark.looptime


async def test_a_hint_is_applied_at_once_and_known_when_the_queue_brings_it() -> None:
    queue, channel = Queue(), Channel()
    config = configuration(queue, channel)
    told: list[NodeConfig] = []
    config.on_applied(told.append)
    async with running(config):
        await asyncio.sleep(1)
        channel.say({"deviceName": "a"}, updatedAt="t1")
        await asyncio.sleep(0.001)
        assert config.current.display_name == "a"
        assert config.info is not None
        assert config.info.revision == "t1"
        entry_id = queue.put({"deviceName": "a", "updatedAt": "t1"})
        await asyncio.sleep(3)
        assert config.counts == {"applied": 1, "known": 1}
        assert config.info.revision == entry_id
        assert len(told) == 1


async def test_a_hint_that_comes_after_the_queue_changes_nothing_any_more() -> None:
    queue, channel = Queue(), Channel()
    config = configuration(queue, channel)
    queue.put({"deviceName": "a", "updatedAt": "t1"})
    queue.put({"deviceName": "b", "updatedAt": "t2"})
    async with running(config):
        await asyncio.sleep(1)
        channel.say({"deviceName": "a"}, updatedAt="t1")
        await asyncio.sleep(1)
        assert config.current.display_name == "b"


async def test_nonsense_on_the_channel_is_told_and_the_next_word_heard() -> None:
    channel = Channel()
    config = configuration(None, channel)
    async with running(config):
        channel.said.put_nowait(b"\xff")
        channel.say({"deviceName": "x"}, node="n2")
        channel.say({"customTags": ["x"] * 101})
        await asyncio.sleep(0.1)
        assert config.counts == {"rejected": 3}
        assert config.info is not None
        assert config.info.error == "TooMany at config.customTags: 101; at most 100"
        channel.say({"deviceName": "good"})
        await asyncio.sleep(0.1)
    assert config.current.display_name == "good"
    assert len(channel.joined) == 1


async def test_a_lost_channel_is_joined_again_ever_more_rarely() -> None:
    channel = Channel()
    channel.down = True
    async with running(configuration(None, channel)):
        await asyncio.sleep(1500)
        pauses = [b - a for a, b in pairwise(channel.joined)]
        assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
        channel.down = False
        await asyncio.sleep(400)
        count = len(channel.joined)
        channel.said.put_nowait(StreamError("lost"))
        await asyncio.sleep(2)
        assert len(channel.joined) == count + 1


async def test_a_channel_that_fails_at_once_again_and_again_is_not_hammered() -> None:
    channel = Channel()
    async with running(configuration(None, channel)):
        for _ in range(600):
            channel.said.put_nowait(RuntimeError("a defect"))
        await asyncio.sleep(600)
    assert len(channel.joined) < 12


async def test_a_defect_while_hearing_is_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configuration()

    async def broken(_change: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(config._ledger, "apply_hint", broken)
    await config.hear(b'{"type": "config_updated", "nodeId": "n1", "config": {}}')
    assert config.counts == {}
