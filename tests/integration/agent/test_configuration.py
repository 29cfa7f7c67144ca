"""Configuration over a real server: targets, crashes, floods, outages, and what a user may do."""

import asyncio
import errno
import json
import os
import re
import shlex
from pathlib import Path

import pytest
import redis.asyncio

from citadel_k8s.agent.state import CONFIG_FILE, State
from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.stores.configs import RedisConfigQueue
from citadel_k8s.stores.entries import EntryId
from tests.integration.configserver import (
    LETTERS,
    STREAM,
    Server,
    configuration,
    running,
    until,
)

CLOCK = SystemClock()


@pytest.fixture
def server(own_valkey: Valkey) -> Server:
    return Server(own_valkey)


async def test_two_nodes_on_one_stream_each_apply_their_own_alone(server: Server) -> None:
    url = server.valkey.url
    async with (
        running(configuration(url, "n1")) as one,
        running(configuration(url, "n2")) as two,
    ):
        for round_ in range(5):
            await server.send({"deviceName": f"one-{round_}"}, "n1")
            await server.send({"deviceName": f"two-{round_}"}, "n2")
            await server.send({"deviceName": "nobody's"}, "")
        await until(lambda: sum(one.counts.values()) == sum(two.counts.values()) == 15)
        assert (one.current.display_name, two.current.display_name) == ("one-4", "two-4")
        expected = {"applied": 5, "other-node": 5, "no-target": 5}
        assert one.counts == two.counts == expected
        await server.all_done("n1")
        await server.all_done("n2")
    assert await server.letters() == []


async def test_a_hint_is_applied_within_a_fraction_of_a_second(
    server: Server, tmp_path: Path
) -> None:
    async with running(configuration(server.valkey.url, folder=tmp_path)) as node:
        await server.heard({"deviceName": "first"})
        await until(lambda: node.current.display_name == "first")
        began = CLOCK.monotonic()
        await server.say({"deviceName": "second"}, updatedAt="t")
        await until(lambda: node.current.display_name == "second")
        assert CLOCK.monotonic() - began < 0.5
        await server.send({"deviceName": "second", "updatedAt": "t"})
        await until(lambda: node.counts["known"] == 1)


async def test_a_restarted_node_holds_what_it_was_told_and_begins_after_it(
    server: Server, tmp_path: Path
) -> None:
    url = server.valkey.url
    await server.send({"deviceName": "a", "services": ["vllm"], "sshEnabled": True, "revision": 1})
    async with running(configuration(url, folder=tmp_path)) as first:
        await until(lambda: first.counts["applied"] == 1)
        await server.all_done()
        before = first.info
    again = configuration(url, folder=tmp_path)
    assert again.current == first.current
    assert again.info == before
    async with running(again):
        await server.send({"customTags": ["t"]})
        await until(lambda: again.counts["applied"] == 1)
        assert again.counts == {"applied": 1}
        assert (again.current.display_name, again.current.tags) == ("a", ("t",))


async def test_what_a_full_disk_did_not_take_is_told_by_the_stream_again_after_a_restart(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = server.valkey.url, tmp_path / "state"
    async with running(configuration(url, folder=folder)) as first:
        await server.send({"deviceName": "a"})
        await until(lambda: first.counts["applied"] == 1)
        await server.all_done()
        monkeypatch.setattr(os, "fsync", _full)
        await server.send({"customTags": ["t"]})
        await server.send({"deviceName": "b"}, "n2")
        await until(lambda: first.counts["other-node"] == 1)
        await server.all_done()
    monkeypatch.undo()
    async with running(configuration(url, folder=folder)) as again:
        await until(lambda: again.counts["applied"] == 1)
        assert (again.current.display_name, again.current.tags) == ("a", ("t",))


async def test_what_a_full_disk_did_not_take_is_saved_once_there_is_room(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(configuration(server.valkey.url, folder=tmp_path / "state")) as node:
        monkeypatch.setattr(os, "fsync", _full)
        await server.send({"customTags": ["t"]})
        await until(lambda: node.counts["applied"] == 1)
        await server.all_done()
        await node.save_again()
        monkeypatch.undo()
        await node.save_again()
    assert configuration(server.valkey.url, folder=tmp_path / "state").current.tags == ("t",)


def _full(_handle: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_another_nodes_file_is_put_aside(server: Server, tmp_path: Path) -> None:
    url = server.valkey.url
    await server.send({"deviceName": "a"})
    async with running(configuration(url, folder=tmp_path)) as first:
        await until(lambda: first.counts["applied"] == 1)
    other = configuration(url, "n2", folder=tmp_path)
    assert other.current.display_name is None
    assert (tmp_path / f"{CONFIG_FILE}.rejected").exists()


async def test_a_file_that_fits_the_shape_and_not_the_rules_is_put_aside(tmp_path: Path) -> None:
    await State(tmp_path, "n1").save(CONFIG_FILE, {"values": {"deviceName": 7}})
    node = configuration("redis://127.0.0.1:1", folder=tmp_path)
    assert node.info is None
    assert (tmp_path / f"{CONFIG_FILE}.rejected").exists()


async def test_a_node_without_a_folder_is_told_by_the_stream_again_after_a_restart(
    server: Server,
) -> None:
    url = server.valkey.url
    await server.send({"deviceName": "a"})
    await server.send({"deviceName": 7})
    await server.send({"customTags": ["t"]})
    for _ in range(2):
        async with running(configuration(url)) as node:
            await until(lambda n=node: n.counts["applied"] == 2)
            assert (node.current.display_name, node.current.tags) == ("a", ("t",))
            assert node.counts["rejected"] == 1
    assert len(await server.letters()) == 1


async def test_what_a_crash_left_unfinished_is_finished_by_the_next_life(
    server: Server, tmp_path: Path
) -> None:
    url = server.valkey.url
    names = [f"name-{i}" for i in range(5)]
    for name in names:
        await server.send({"deviceName": name})
    crashed = RedisConfigQueue(url, "n1")
    await crashed.open(replay=False)
    assert len(await crashed.consume()) == 5  # and the process is gone
    await crashed.close()
    assert await server.pending() == 5
    async with running(configuration(url, folder=tmp_path)) as node:
        await until(lambda: node.counts["applied"] == 5)
        assert node.current.display_name == "name-4"
        await server.all_done()


async def test_an_entry_that_kills_the_process_again_and_again_is_buried(server: Server) -> None:
    url = server.valkey.url
    poison = await server.send({"deviceName": "poison"})
    await server.send({"deviceName": "good"})
    for life in range(3):
        queue = RedisConfigQueue(url, "n1")
        await queue.open(replay=False)
        entries = await queue.consume()
        assert (entries[0].id, entries[0].attempts) == (poison, life + 1)
        await queue.close()
    async with running(configuration(url)) as node:
        await until(lambda: node.counts["applied"] == 1)
        assert node.current.display_name == "good"
        await server.all_done()
    (letter,) = await server.letters()
    assert letter["original_message_id"] == poison
    assert letter["reason"] == "TriedTooOften: 3 attempts failed"


async def test_a_flood_of_rubbish_is_buried_without_secrets_and_the_last_word_holds(
    server: Server,
) -> None:
    url = server.valkey.url
    await server.send("x" * 1_100_000)
    await server.send("{")
    await server.send({"vncPassword": "hunter2", "services": 7})
    await server.send({"deviceName": "a\x00b"}, jobId="j", enqueuedAt="then")
    await server.send({"deviceName": "good", "vncPassword": "hunter2"})
    async with running(configuration(url)) as node:
        await until(lambda: node.counts["applied"] == 1)
        assert node.current.display_name == "good"
        assert node.info is not None
        assert node.info.unsupported == ["vncPassword"]
    letters = await server.letters()
    assert [letter["reason"].split()[0].rstrip(":") for letter in letters] == [
        "Oversized",
        "NotJson",
        "BadField",
        "BadField",
    ]
    assert len(letters[0]["payload"]) == 64 * 1024
    assert "hunter2" not in json.dumps(letters)
    assert (letters[3]["jobId"], letters[3]["enqueuedAt"]) == ("j", "then")
    assert letters[3]["original_queue"] == STREAM
    assert letters[3]["worker_id"] == "n1"


async def test_after_a_flush_the_node_goes_on_listening(server: Server, tmp_path: Path) -> None:
    async with running(configuration(server.valkey.url, folder=tmp_path)) as node:
        await server.send({"deviceName": "before"})
        await until(lambda: node.counts["applied"] == 1)
        async with server.client() as client:
            await client.flushall()
        await server.send({"deviceName": "after"})
        await until(lambda: node.counts["applied"] == 2)
        assert node.current.display_name == "after"


async def test_a_stream_that_counts_from_the_start_again_is_followed(
    server: Server, tmp_path: Path
) -> None:
    url = server.valkey.url
    await server.send({"deviceName": "before"})
    async with running(configuration(url, folder=tmp_path)) as node:
        await until(lambda: node.counts["applied"] == 1)
    async with server.client() as client:
        await client.flushall()
        fields = {"type": "APPLY_DEVICE_CONFIG", "nodeId": "n1", "payload": '{"deviceName": "low"}'}
        await client.xadd(STREAM, fields, id="5-0")
    async with running(configuration(url, folder=tmp_path)) as node:
        await until(lambda: node.counts["applied"] == 1)
        assert node.current.display_name == "low"


async def test_a_group_that_was_destroyed_is_made_anew_and_nothing_is_applied_twice(
    server: Server, tmp_path: Path
) -> None:
    async with running(configuration(server.valkey.url, folder=tmp_path)) as node:
        await server.send({"deviceName": "a"})
        await server.send({"deviceName": "b"})
        await until(lambda: node.counts["applied"] == 2)
        async with server.client() as client:
            await client.xgroup_destroy(STREAM, "citadel-config-n1")
        await until(lambda: node.counts["known"] == 2)
        await server.send({"customTags": ["t"]})
        await until(lambda: node.counts["applied"] == 3)
        assert (node.current.display_name, node.current.tags) == ("b", ("t",))


async def test_entries_that_were_trimmed_while_they_were_pending_are_let_go(server: Server) -> None:
    url = server.valkey.url
    await server.send({"deviceName": "gone"})
    crashed = RedisConfigQueue(url, "n1")
    await crashed.open(replay=False)
    await crashed.consume()
    await crashed.close()
    async with server.client() as client:
        await client.xtrim(STREAM, maxlen=0, approximate=False)
    await server.send({"deviceName": "there"})
    async with running(configuration(url)) as node:
        await until(lambda: node.counts["applied"] == 1)
        assert node.counts["lost"] == 1
        await server.all_done()


async def test_a_server_that_dies_and_comes_back_is_listened_to_again(
    server: Server, tmp_path: Path
) -> None:
    async with running(configuration(server.valkey.url, folder=tmp_path)) as node:
        await server.send({"deviceName": "before"})
        await until(lambda: node.counts["applied"] == 1)
        await server.valkey.kill()
        await asyncio.sleep(0.5)
        await server.valkey.start()
        await server.send({"deviceName": "after"})
        await until(lambda: node.current.display_name == "after")
        await server.heard({"deviceName": "heard"})
        await until(lambda: node.current.display_name == "heard")


def documented(language: str) -> list[str]:
    """The blocks of one language in the page."""
    page = Path(__file__).parents[3] / "docs" / "configuration.md"
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


async def test_the_page_can_be_followed_word_by_word(server: Server, tmp_path: Path) -> None:
    send, say, look = (shlex.split(block.replace("\\\n", " "))[1:] for block in documented("sh"))
    folder = tmp_path / "state"
    async with running(configuration(server.valkey.url, "gpu-1", folder)) as node:
        async with server.client() as client:
            await client.execute_command(*send)
            await until(lambda: node.counts["applied"] == 1)
            async with asyncio.timeout(5):
                while not await client.execute_command(*say):  # noqa: ASYNC110 - it does not tell
                    await asyncio.sleep(0.01)
            await until(lambda: node.counts["known"] == 1)  # the same change, on another way
            assert await client.execute_command(*look) == []
        config = node.current
        assert (config.display_name, config.services) == ("rack 7, left", ("vllm",))
        assert config.interval_seconds == 15
        assert node.info is not None
        assert (node.info.revision, node.info.unsupported) == ("r1", None)


async def test_a_user_of_few_rights_can_read_its_configuration_and_send_nobody_any(
    server: Server,
) -> None:
    (rules,) = documented("acl")
    words = ["reset", "on", ">secret", "-@all", "+@connection", "-@admin", "-@dangerous"]
    async with server.client() as client:
        await client.execute_command("ACL", "SETUSER", "agent", *words, *rules.splitlines())
    await server.send({"deviceName": "a"})
    await server.send("{")
    url = server.valkey.url_for("agent", "secret")
    async with running(configuration(url)) as node:
        await until(lambda: node.counts["applied"] == 1 and node.counts["rejected"] == 1)
        await server.heard({"deviceName": "b"})
        await until(lambda: node.current.display_name == "b")
    async with running(configuration(url)):
        pass
    assert len(await server.letters()) == 1
    async with redis.asyncio.Redis.from_url(url) as agent:
        for call in (
            lambda: agent.xadd(STREAM, {"nodeId": "n2"}),
            lambda: agent.xrange(LETTERS),
            lambda: agent.publish("config:node:n2", "{}"),
            lambda: agent.delete(STREAM),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                await call()


async def test_a_long_history_of_others_is_passed_over_quickly(server: Server) -> None:
    async with server.client() as client:
        for _ in range(10):
            pipeline = client.pipeline(transaction=False)
            for i in range(200):
                pipeline.xadd(
                    STREAM, {"type": "APPLY_DEVICE_CONFIG", "nodeId": f"o{i}", "payload": "{}"}
                )
            await pipeline.execute()
    await server.send({"deviceName": "mine"})
    queue = RedisConfigQueue(server.valkey.url, "n1")
    assert await queue.open(replay=True) > EntryId.ZERO
    await queue.close()
    began = CLOCK.monotonic()
    async with running(configuration(server.valkey.url)) as node:
        await until(lambda: node.counts["applied"] == 1, 30)
        assert CLOCK.monotonic() - began < 10  # 0.2 s were measured
    assert node.counts["other-node"] == 2000
