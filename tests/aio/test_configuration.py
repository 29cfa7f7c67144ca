import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, NoReturn

import pytest

from citadel_k8s.agent import configqueue
from citadel_k8s.agent.configuration import Configuration
from citadel_k8s.agent.nodesettings import NodeConfig
from citadel_k8s.agent.state import State
from citadel_k8s.config import AgentSettings
from citadel_k8s.domain.configmessage import ConfigEntry
from citadel_k8s.errors import PublishError, StreamError
from citadel_k8s.stores.entries import EntryId

pytestmark = pytest.mark.looptime


class LoopClock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        return 1_795_420_800 + asyncio.get_running_loop().time()


class Queue:
    """A stream with one group, which is this node's."""

    name = "jobs:v1:config"

    def __init__(self) -> None:
        self.entries: list[tuple[EntryId, dict[str, bytes]]] = []
        self.pending: dict[EntryId, int] = {}
        self.cursor = EntryId.ZERO
        self.letters: list[dict[str, str]] = []
        self.opened: list[tuple[float, bool]] = []
        self.down: Exception | None = None
        self.no_letters = False
        self.empty_at_once = False
        self.reads = 0
        self.closed = False

    def put(self, config: Any = None, *, node: str = "n1", at: int = 0, **fields: str) -> str:
        last = self.entries[-1][0].ms if self.entries else 0
        number = EntryId(at or last + 1, 0)
        payload = config if isinstance(config, str) else json.dumps({"config": config})
        raw = {"type": "APPLY_DEVICE_CONFIG", "payload": payload, "nodeId": node, **fields}
        self.entries.append((number, {k: v.encode() for k, v in raw.items()}))
        return str(number)

    async def open(self, *, replay: bool) -> EntryId | None:
        self.opened.append((asyncio.get_running_loop().time(), replay))
        self._check()
        return self.entries[-1][0] if self.entries else EntryId.ZERO

    async def consume(self) -> list[ConfigEntry]:
        self.reads += 1
        self._check()
        if self.pending:
            key = min(self.pending)
            self.pending[key] += 1
            fields = dict(self.entries).get(key, {})
            return [ConfigEntry(str(key), fields, self.pending[key])]
        new = [e for e in self.entries if e[0] > self.cursor]
        if not new and not self.empty_at_once:
            await asyncio.sleep(2)
        for key, _ in new:
            self.cursor = key
            self.pending[key] = 1
        return [ConfigEntry(str(key), fields) for key, fields in new]

    async def acknowledge(self, *entry_ids: str) -> None:
        self._check()
        for entry_id in entry_ids:
            self.pending.pop(EntryId.parse(entry_id), None)

    async def bury(self, letter: Mapping[str, str]) -> None:
        if self.no_letters:
            raise StreamError("no permission")
        self.letters.append(dict(letter))

    async def close(self) -> None:
        self.closed = True
        raise StreamError("cannot even be closed")

    def _check(self) -> None:
        if self.down is not None:
            raise self.down


class Channel:
    """A channel; says what is put into it while it is up."""

    name = "config:node:n1"

    def __init__(self) -> None:
        self.said: asyncio.Queue[Any] = asyncio.Queue()
        self.down = False
        self.joined: list[float] = []

    async def listen(self, heard: Callable[[bytes], Awaitable[None]]) -> NoReturn:
        self.joined.append(asyncio.get_running_loop().time())
        if self.down:
            raise StreamError("refused")
        while True:
            word = await self.said.get()
            if isinstance(word, Exception):
                raise word
            await heard(word)

    async def close(self) -> None:
        pass

    def say(self, config: Any, node: str = "n1", **more: Any) -> None:
        message = {"type": "config_updated", "nodeId": node, "config": config, **more}
        self.said.put_nowait(json.dumps(message).encode())


def configuration(
    queue: Queue | None = None, channel: Channel | None = None, **settings: Any
) -> Configuration:
    return Configuration(
        AgentSettings(**settings),
        "n1",
        queue=queue,
        channel=channel,
        state=State(None, "n1"),
        clock=LoopClock(),
        jitter=lambda: 0.0,
    )


@asynccontextmanager
async def running(wanted: Configuration) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(wanted.run())
        try:
            yield
        finally:
            assert not task.done()
            task.cancel()


async def test_a_configuration_is_applied_told_and_acknowledged() -> None:
    queue = Queue()
    config = configuration(queue, display_name="file")
    told: list[NodeConfig] = []
    config.on_applied(told.append)
    assert config.info is None
    async with running(config):
        queue.put({"deviceName": "far", "sshEnabled": True, "revision": 7})
        await asyncio.sleep(3)
    assert config.current.display_name == "far"
    assert told == [config.current]
    assert queue.pending == {}
    info = config.info
    assert info is not None
    assert (info.revision, info.unsupported, info.error) == ("7", ["sshEnabled"], None)
    assert info.applied_at == "2026-11-23T08:00:00Z"


async def test_an_entry_without_a_revision_is_its_own() -> None:
    queue = Queue()
    config = configuration(queue)
    entry_id = queue.put({"deviceName": "far"})
    async with running(config):
        await asyncio.sleep(1)
    assert config.info is not None
    assert config.info.revision == entry_id


async def test_what_is_for_others_or_nobody_or_of_another_kind_is_passed_over() -> None:
    queue = Queue()
    config = configuration(queue)
    queue.put({"deviceName": "x"}, node="n2")
    queue.put({"deviceName": "x"}, node="")
    queue.put("no json", node="")
    queue.put({"deviceName": "x"}, type="RUN_SOMETHING")
    async with running(config):
        await asyncio.sleep(1)
    assert config.current.display_name is None
    assert config.counts == {"other-node": 1, "no-target": 2, "other-type": 1}
    assert (queue.pending, queue.letters, config.info) == ({}, [], None)


async def test_a_refused_entry_changes_nothing_and_is_buried_with_its_reason() -> None:
    queue = Queue()
    config = configuration(queue)
    bad = queue.put({"deviceName": "x", "services": "all"}, jobId="j")
    async with running(config):
        await asyncio.sleep(1)
        assert config.current.display_name is None
        (letter,) = queue.letters
        reason = "BadField at config.services: a list is needed, not a text"
        assert letter["reason"] == reason
        assert (letter["original_message_id"], letter["jobId"]) == (bad, "j")
        assert letter["moved_at"] == "2026-11-23T08:00:00Z"
        assert queue.pending == {}
        assert config.info is not None
        assert (config.info.error, config.info.revision) == (reason, None)
        queue.put({"deviceName": "y"})
        await asyncio.sleep(3)
    assert config.info is not None
    assert config.info.error is None


async def test_services_beyond_the_limit_in_all_are_refused() -> None:
    queue = Queue()
    config = configuration(queue)
    queue.put({"services": [f"s{i}" for i in range(50)]})
    queue.put({"services": ["one-more"], "deviceName": "x"})
    async with running(config):
        await asyncio.sleep(1)
    assert (len(config.current.services), config.current.display_name) == (50, None)
    assert queue.letters[0]["reason"].startswith("TooMany at services")


async def test_an_entry_that_fails_three_times_is_buried_and_the_next_one_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = Queue()
    tried: list[float] = []
    read = configqueue.read_entry

    def fails(entry: ConfigEntry, check: Any) -> Any:
        if entry.id == "1-0":
            tried.append(asyncio.get_running_loop().time())
            raise RuntimeError("a defect")
        return read(entry, check)

    monkeypatch.setattr(configqueue, "read_entry", fails)
    config = configuration(queue)
    queue.put({"deviceName": "poison"})
    queue.put({"deviceName": "good"})
    async with running(config):
        await asyncio.sleep(20)
    assert tried == [0, 1, 3]
    assert [letter["reason"] for letter in queue.letters] == ["TriedTooOften: 3 attempts failed"]
    assert (config.current.display_name, queue.pending) == ("good", {})


async def test_an_entry_on_which_even_the_first_look_fails_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = Queue()
    look = configqueue.why_not_ours

    def fails(entry: ConfigEntry, identity: Any) -> Any:
        if entry.id == "1-0":
            raise RuntimeError("a defect")
        return look(entry, identity)

    monkeypatch.setattr(configqueue, "why_not_ours", fails)
    config = configuration(queue)
    queue.put({"deviceName": "poison"})
    queue.put({"deviceName": "good"})
    async with running(config):
        await asyncio.sleep(20)
    assert (config.current.display_name, queue.pending) == ("good", {})
    assert (config.counts["lost"], queue.letters) == (1, [])


async def test_a_letter_that_cannot_be_written_does_not_hold_up_what_comes_after() -> None:
    queue = Queue()
    queue.no_letters = True
    config = configuration(queue)
    queue.put("{")
    queue.put({"deviceName": "good"})
    async with running(config):
        await asyncio.sleep(20)
    assert (config.current.display_name, queue.pending) == ("good", {})
    assert config.counts["letters-lost"] == 1


async def test_an_entry_that_was_trimmed_away_is_counted_and_done_with() -> None:
    queue = Queue()
    queue.pending = {EntryId(1, 0): 1}
    config = configuration(queue)
    async with running(config):
        await asyncio.sleep(1)
    assert (config.counts, queue.pending) == ({"lost": 1}, {})


async def test_an_older_entry_does_not_undo_a_newer_one() -> None:
    queue = Queue()
    config = configuration(queue)
    queue.put({"deviceName": "old"})
    queue.put({"deviceName": "new"})
    async with running(config):
        await asyncio.sleep(1)
        queue.cursor = EntryId.ZERO  # as when the group was made anew
        await asyncio.sleep(5)
        assert config.current.display_name == "new"
    assert config.counts == {"applied": 2, "known": 2}


async def test_a_stream_that_begins_anew_with_lower_ids_is_followed() -> None:
    queue = Queue()
    config = configuration(queue)
    queue.put({"deviceName": "old"}, at=1000)
    async with running(config):
        await asyncio.sleep(1)
        queue.entries, queue.cursor = [], EntryId.ZERO
        queue.down = StreamError("NOGROUP")
        await asyncio.sleep(3)
        queue.down = None
        queue.put({"deviceName": "new"}, at=5)
        await asyncio.sleep(10)
    assert config.current.display_name == "new"


async def test_an_outage_is_sat_out_with_pauses_that_grow_and_then_all_is_caught_up() -> None:
    queue = Queue()
    config = configuration(queue)
    async with running(config):
        await asyncio.sleep(3)
        began = asyncio.get_running_loop().time()
        queue.down = StreamError("refused")
        queue.put({"deviceName": "during"})
        await asyncio.sleep(300)
        queue.down = None
        await asyncio.sleep(31)
        assert config.current.display_name == "during"
    tries = [at for at, _ in queue.opened if at > began]
    pauses = [b - a for a, b in pairwise(tries)]
    assert pauses[:4] == [2, 4, 8, 15]
    assert max(pauses) == 15
    assert [replay for _, replay in queue.opened] == [True] + [False] * len(tries)


async def test_a_proxy_that_asks_to_wait_is_waited_for_in_full() -> None:
    queue = Queue()
    config = configuration(queue)
    queue.down = PublishError("429", retry_after=3600)
    async with running(config):
        await asyncio.sleep(3599)
        assert len(queue.opened) == 1
        await asyncio.sleep(2)
        assert len(queue.opened) == 2


async def test_a_queue_that_does_not_wait_is_not_asked_in_a_circle() -> None:
    queue = Queue()
    queue.empty_at_once = True
    async with running(configuration(queue)):
        await asyncio.sleep(60)
    assert queue.reads <= 121


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


async def test_going_back_by_the_queue_is_a_change_like_any_other() -> None:
    queue = Queue()
    config = configuration(queue)
    for name, revision in (("a", "1"), ("b", "2"), ("a", "1")):
        queue.put({"deviceName": name, "revision": revision})
    async with running(config):
        await asyncio.sleep(1)
    assert config.current.display_name == "a"
    assert config.info is not None
    assert config.info.revision == "1"


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


async def test_a_listener_that_fails_does_not_keep_the_others_from_being_told() -> None:
    queue = Queue()
    config = configuration(queue)
    told: list[NodeConfig] = []

    def broken(_config: NodeConfig) -> None:
        raise RuntimeError("a defect")

    config.on_applied(broken)
    config.on_applied(told.append)
    queue.put({"deviceName": "a"})
    async with running(config):
        await asyncio.sleep(1)
    assert len(told) == 1
    assert (queue.pending, queue.letters) == ({}, [])


async def test_null_goes_back_to_the_nodes_own_settings() -> None:
    queue = Queue()
    config = configuration(queue, display_name="file", interval_seconds=20)
    queue.put({"deviceName": "far", "agent": {"intervalSeconds": 60}})
    queue.put({"deviceName": None})
    async with running(config):
        await asyncio.sleep(1)
    assert (config.current.display_name, config.current.interval_seconds) == ("file", 60)


async def test_with_nothing_to_listen_to_it_ends_and_closing_never_fails() -> None:
    await configuration().run()
    queue = Queue()
    await configuration(queue, Channel()).close()
    assert queue.closed


async def test_a_defect_while_hearing_is_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configuration()

    async def broken(_change: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(config._ledger, "apply_hint", broken)
    await config.hear(b'{"type": "config_updated", "nodeId": "n1", "config": {}}')
    assert config.counts == {}


async def test_an_entry_with_an_id_of_no_order_is_applied() -> None:
    queue = Queue()
    config = configuration(queue)
    put = queue.put({"deviceName": "a"})
    fields = queue.entries.pop()[1]
    again = [ConfigEntry("proxy-7", fields)]

    async def consume() -> list[ConfigEntry]:
        await asyncio.sleep(1)
        return [again.pop()] if again else []

    async def acknowledge(*_ids: str) -> None:
        pass

    queue.consume, queue.acknowledge = consume, acknowledge  # type: ignore[method-assign]
    async with running(config):
        await asyncio.sleep(3)
    assert put
    assert config.info is not None
    assert config.info.revision == "proxy-7"
