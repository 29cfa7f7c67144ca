"""What every status stream keeps to: the one in memory and the one on a real server."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import pytest
import pytest_asyncio
import redis.asyncio

from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.fake import FakeStatusStream
from citadel_k8s.stores.streams import EntryId, RedisStatusStream, StatusStream

Put = Callable[[Mapping[bytes, bytes]], Awaitable[None]]


@dataclass
class Case:
    """A stream, and a way round its back: entries of any shape, and losing all data."""

    stream: StatusStream
    put: Put
    flush: Callable[[], Awaitable[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def valkey_url() -> AsyncIterator[str]:
    async with Stack(kube=False) as stack:
        yield stack.redis_url


@pytest_asyncio.fixture(params=["memory", "valkey"])
async def case(request: pytest.FixtureRequest, valkey_url: str) -> AsyncIterator[Case]:
    if request.param == "memory":
        yield in_memory()
        return
    async with redis.asyncio.Redis.from_url(valkey_url) as server:
        yield on_server(valkey_url, server)


def in_memory() -> Case:
    stream = FakeStatusStream()

    async def put(fields: Mapping[bytes, bytes]) -> None:
        stream.put(fields)

    async def flush() -> None:
        stream.flush()

    return Case(stream, put, flush)


def on_server(url: str, server: redis.asyncio.Redis) -> Case:
    key = f"test-{secrets.token_hex(4)}"
    stream = RedisStatusStream(url, stream=key)

    async def put(fields: Mapping[bytes, bytes]) -> None:
        await server.xadd(key, dict(fields))

    async def flush() -> None:
        await server.flushall()

    return Case(stream, put, flush)


@pytest.fixture(autouse=True)
async def closed(case: Case) -> AsyncIterator[None]:
    yield
    await case.stream.close()


async def test_a_stream_that_does_not_exist_has_no_entries_and_a_clock(case: Case) -> None:
    head = await case.stream.head()
    assert (head.last_id, head.length) == (EntryId.ZERO, 0)
    assert head.now_ms > 1_600_000_000_000
    assert await case.stream.read(EntryId.ZERO, block=0) == []
    assert await case.stream.trim(head.now_ms) == 0


async def test_what_was_appended_is_read_in_order_and_only_once(case: Case) -> None:
    ids = [await case.stream.append(f"n{i}", f"{i}".encode()) for i in range(5)]
    assert ids == sorted(set(ids))
    entries = await case.stream.read(EntryId.ZERO, block=0)
    assert [(e.id, e.node_id, e.payload) for e in entries] == [
        (ids[i], f"n{i}", f"{i}".encode()) for i in range(5)
    ]
    assert await case.stream.read(ids[-1], block=0) == []


async def test_a_read_gives_no_more_than_asked_for(case: Case) -> None:
    ids = [await case.stream.append("n", b"") for _ in range(5)]
    first = await case.stream.read(EntryId.ZERO, count=2, block=0)
    rest = await case.stream.read(first[-1].id, count=10, block=0)
    assert [entry.id for entry in first + rest] == ids


async def test_the_head_names_the_last_id_and_a_clock_that_is_not_behind_it(case: Case) -> None:
    last = await case.stream.append("n", b"")
    head = await case.stream.head()
    assert (head.last_id, head.length) == (last, 1)
    assert 0 <= head.now_ms - last.ms < 5000


async def test_a_waiting_read_ends_with_the_first_entry(case: Case) -> None:
    async def later() -> EntryId:
        await asyncio.sleep(0.05)
        return await case.stream.append("n", b"x")

    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(case.stream.read(EntryId.ZERO, block=5))
        appending = group.create_task(later())
    assert [entry.id for entry in reading.result()] == [appending.result()]
    assert loop.time() - began < 2


async def test_a_waiting_read_gives_up_after_its_time(case: Case) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await case.stream.read(EntryId.ZERO, block=0.1) == []
    assert 0.09 <= loop.time() - began < 1


async def test_a_waiting_read_can_be_cancelled_and_the_stream_goes_on(case: Case) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await case.stream.read(EntryId.ZERO, block=5)
    last = await case.stream.append("n", b"x")
    assert [e.id for e in await case.stream.read(EntryId.ZERO, block=0)] == [last]


async def test_who_sent_an_entry_is_read_where_the_proxy_stamped_it(case: Case) -> None:
    await case.put({b"nodeId": b"n", b"payload": b"p", b"orgId": b"o", b"principal": b"token-1"})
    (entry,) = await case.stream.read(EntryId.ZERO, block=0)
    assert (entry.org_id, entry.principal) == ("o", "token-1")


async def test_an_entry_without_the_fields_is_still_an_entry(case: Case) -> None:
    await case.put({b"other": b"1"})
    (entry,) = await case.stream.read(EntryId.ZERO, block=0)
    assert (entry.node_id, entry.payload) == ("", b"")
    assert (entry.org_id, entry.principal) == (None, None)


async def test_bytes_that_are_not_text_are_read_and_no_node_id(case: Case) -> None:
    await case.put({b"nodeId": b"\xff\xfe", b"payload": b"\x00\xff", b"\xff": b"\xff"})
    (entry,) = await case.stream.read(EntryId.ZERO, block=0)
    assert entry.node_id == "��"
    assert entry.payload == b"\x00\xff"


async def test_trimming_drops_what_is_older_and_keeps_the_last_id(case: Case) -> None:
    last = await case.stream.append("n", b"")
    assert await case.stream.trim(last.ms) == 0
    assert await case.stream.trim(last.ms + 1) == 1
    head = await case.stream.head()
    assert (head.last_id, head.length) == (last, 0)
    assert await case.stream.append("n", b"") > last


async def test_a_flush_takes_the_last_id_back(case: Case) -> None:
    await case.stream.append("n", b"")
    await case.stream.save_snapshot("snapshot", {"n": b"1"})
    await case.flush()
    assert (await case.stream.head()).last_id == EntryId.ZERO
    assert await case.stream.load_snapshot("snapshot") == {}


async def test_a_snapshot_is_kept_field_by_field(case: Case) -> None:
    name = f"snapshot-{secrets.token_hex(4)}"
    assert await case.stream.load_snapshot(name) == {}
    assert await case.stream.save_snapshot(name, {"a": b"1", "b": b"\xff"}) == 2
    kept = await case.stream.save_snapshot(name, {"c": b"3", "b": b"2"}, removed=["a", "never"])
    assert kept == 2
    assert await case.stream.save_snapshot(name, {}) == 2
    assert await case.stream.load_snapshot(name) == {"b": b"2", "c": b"3"}


async def test_a_field_that_is_removed_and_set_is_set(case: Case) -> None:
    name = f"snapshot-{secrets.token_hex(4)}"
    await case.stream.save_snapshot(name, {"a": b"1"}, removed=["a"])
    assert await case.stream.load_snapshot(name) == {"a": b"1"}


async def test_the_stream_works_again_after_it_was_closed(case: Case) -> None:
    last = await case.stream.append("n", b"")
    await case.stream.close()
    assert (await case.stream.head()).last_id == last


async def test_the_head_counts_what_was_ever_added_trimmed_or_not(case: Case) -> None:
    assert (await case.stream.head()).added == 0
    for number in range(3):
        last = await case.stream.append("n1", b"%d" % number)
    await case.stream.trim(last.ms + 1)
    await case.stream.append("n1", b"{}")

    head = await case.stream.head()

    assert (head.added, head.length) == (4, 1)
