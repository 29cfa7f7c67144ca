import asyncio
from itertools import pairwise
from typing import Any

import pytest

from citadel_k8s.agent import configqueue
from citadel_k8s.agent.nodesettings import NodeConfig
from citadel_k8s.domain.configmessage import ConfigEntry, Opened
from citadel_k8s.errors import PublishError, StreamError
from citadel_k8s.stores.entries import EntryId
from tests.aio.configsources import Channel, Queue, configuration, running

pytestmark = pytest.mark.looptime


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

    def fails(opened: Opened, check: Any) -> Any:
        if opened.config["deviceName"] == "poison":
            tried.append(asyncio.get_running_loop().time())
            raise RuntimeError("a defect")
        return read(opened, check)

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
    look = configqueue.open_entry

    def fails(entry: ConfigEntry, identity: Any) -> Any:
        if entry.id == "1-0":
            raise RuntimeError("a defect")
        return look(entry, identity)

    monkeypatch.setattr(configqueue, "open_entry", fails)
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
