"""Configuration over a real server: targets, crashes, floods, outages, and what a user may do."""

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from citadel_k8s.agent.configuration import Configuration
from citadel_k8s.agent.state import CONFIG_FILE, State
from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.config import AgentSettings
from citadel_k8s.errors import StreamError
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.stores.configchannel import RedisConfigChannel
from citadel_k8s.stores.configs import RedisConfigQueue
from citadel_k8s.stores.entries import EntryId

CLOCK = SystemClock()
STREAM = "jobs:v1:config"
LETTERS = "dlq:v1:config"


class Server:
    """The other side: what a platform or an operator does by hand."""

    def __init__(self, valkey: Valkey) -> None:
        self.valkey = valkey

    async def send(self, config: Any, node: str = "n1", **fields: str) -> str:
        payload = config if isinstance(config, str) else json.dumps({"config": config})
        entry = {"type": "APPLY_DEVICE_CONFIG", "nodeId": node, "payload": payload, **fields}
        async with self.client() as client:
            return (await client.xadd(STREAM, entry)).decode()

    async def say(self, config: Any, node: str = "n1", **more: str) -> int:
        message = {"type": "config_updated", "nodeId": node, "config": config, **more}
        async with self.client() as client:
            return await client.publish(f"config:node:{node}", json.dumps(message))

    async def letters(self) -> list[dict[str, str]]:
        async with self.client() as client:
            found = await client.xrange(LETTERS)
        return [{k.decode(): v.decode() for k, v in fields.items()} for _, fields in found]

    async def all_done(self, node: str = "n1") -> None:
        """Wait until the node has nothing unfinished."""
        async with asyncio.timeout(5):
            while await self.pending(node):  # noqa: ASYNC110 - the server does not tell
                await asyncio.sleep(0.01)

    async def heard(self, config: Any, seconds: float = 15) -> None:
        """Say it until somebody listens."""
        async with asyncio.timeout(seconds):
            while not await self.say(config):  # noqa: ASYNC110 - the server does not tell
                await asyncio.sleep(0.01)

    async def pending(self, node: str = "n1") -> int:
        async with self.client() as client:
            return (await client.xpending(STREAM, f"citadel-config-{node}"))["pending"]

    def client(self) -> redis.asyncio.Redis:
        return redis.asyncio.Redis.from_url(self.valkey.url, protocol=2)


@pytest.fixture
def server(own_valkey: Valkey) -> Server:
    return Server(own_valkey)


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is elsewhere
            await asyncio.sleep(0.005)


def configuration(
    url: str, node: str = "n1", folder: Path | None = None, **settings: Any
) -> Configuration:
    return Configuration(
        AgentSettings(**settings),
        node,
        queue=RedisConfigQueue(url, node, block=0.2),
        channel=RedisConfigChannel(url, node),
        state=State(folder, node),
    )


@asynccontextmanager
async def running(wanted: Configuration) -> AsyncIterator[Configuration]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(wanted.run())
        try:
            yield wanted
        finally:
            assert not task.done()
            task.cancel()
    await wanted.close()


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


async def test_a_server_that_hangs_is_given_up_in_time(server: Server) -> None:
    url = server.valkey.url
    queue = RedisConfigQueue(url, "n1", block=0.2, answer_timeout=0.3)
    channel = RedisConfigChannel(url, "n1", ping_every=0.1, answer_timeout=0.3)
    await queue.open(replay=False)

    async def heard(_data: bytes) -> None:
        raise AssertionError

    async with asyncio.TaskGroup() as group:
        listening = group.create_task(channel_ends(channel, heard))
        await asyncio.sleep(0.5)  # well: several pings are answered
        assert not listening.done()
        await server.valkey.pause()
        began = CLOCK.monotonic()
        with pytest.raises(StreamError, match="no answer within"):
            await queue.consume()
        await listening
        assert CLOCK.monotonic() - began < 3
    assert "no answer to 2 pings" in listening.result()
    await server.valkey.resume()
    await queue.close()
    await channel.close()


async def channel_ends(channel: RedisConfigChannel, heard: Any) -> str:
    try:
        await channel.listen(heard)
    except StreamError as error:
        return str(error)


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


async def test_a_replay_is_done_before_what_is_unfinished_and_that_before_what_is_new(
    server: Server,
) -> None:
    url = server.valkey.url
    ids = [await server.send({"deviceName": f"{i}"}) for i in range(4)]
    first = RedisConfigQueue(url, "n1")
    await first.open(replay=False)
    await first.consume()
    await first.acknowledge(*ids[:2])
    await first.close()
    ids.append(await server.send({"deviceName": "new"}))
    again = RedisConfigQueue(url, "n1")
    await again.open(replay=True)
    for attempts in (1, 2):  # what is not acknowledged is given again
        given = await again.consume()
        assert [e.id for e in given] == ids[:2]
        assert [(e.attempts, e.replayed) for e in given] == [(attempts, True), (1, True)]
    await again.acknowledge(ids[0])
    await again.open(replay=False)  # as after an outage
    assert [(e.id, e.attempts) for e in await again.consume()] == [(ids[1], 1)]
    await again.acknowledge(ids[1])
    for number in ids[2:4]:
        assert [(e.id, e.attempts) for e in await again.consume()] == [(number, 2)]
        await again.acknowledge(number)
    assert [(e.id, e.attempts) for e in await again.consume()] == [(ids[4], 1)]
    await again.close()


async def test_an_unreadable_group_raises_and_nothing_else(server: Server) -> None:
    async with server.client() as client:
        await client.set(STREAM, "a text")
    queue = RedisConfigQueue(server.valkey.url, "n1")
    for call in (
        lambda: queue.open(replay=True),
        queue.consume,
        lambda: queue.acknowledge("1-0"),
    ):
        with pytest.raises(StreamError, match=r"WRONGTYPE|wrong kind"):
            await call()
    await queue.close()


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
