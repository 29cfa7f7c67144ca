"""What every feed of changes keeps to: the one in memory and the one on a real server."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio
import redis.asyncio

from citadel_k8s.domain.keys import org_events_stream
from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.entries import EntryId
from citadel_k8s.stores.orgfeed import OrgFeed, RedisOrgFeed
from tests.orgfeed import FakeOrgFeed, node


@dataclass
class Case:
    """A feed, and a way round its back."""

    feed: OrgFeed
    org: str
    add: Callable[[str], Awaitable[EntryId]]
    keep: Callable[[int], Awaitable[object]]
    lose: Callable[[], Awaitable[object]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def valkey_url() -> AsyncIterator[str]:
    async with Stack(kube=False) as stack:
        yield stack.redis_url


@pytest_asyncio.fixture(params=["memory", "valkey"])
async def case(request: pytest.FixtureRequest, valkey_url: str) -> AsyncIterator[Case]:
    org = f"org-{secrets.token_hex(4)}"
    if request.param == "memory":
        yield in_memory(org)
        return
    async with redis.asyncio.Redis.from_url(valkey_url) as server:
        feed = RedisOrgFeed(valkey_url)
        yield on_server(feed, org, server)
        await feed.close()


def in_memory(org: str) -> Case:
    feed = FakeOrgFeed()

    async def add(name: str) -> EntryId:
        return feed.add(org, node(name))

    async def keep(count: int) -> None:
        feed.trim(org, count)

    async def lose() -> None:
        feed.flush()

    return Case(feed, org, add, keep, lose)


def on_server(feed: RedisOrgFeed, org: str, server: redis.asyncio.Redis) -> Case:
    key = org_events_stream(org)

    async def add(name: str) -> EntryId:
        return EntryId.parse(await server.xadd(key, {"d": json.dumps(node(name))}))

    async def keep(count: int) -> object:
        return await server.xtrim(key, maxlen=count, approximate=False)

    async def lose() -> object:
        return await server.delete(key)

    return Case(feed, org, add, keep, lose)


async def test_a_stream_that_does_not_exist_has_no_end(case: Case):
    span = await case.feed.span(case.org)
    assert (span.last, span.held) == (EntryId.ZERO, None)
    assert span.now_ms > 1_700_000_000_000


async def test_the_end_is_the_last_entry_until_that_is_trimmed(case: Case):
    await case.add("n1")
    last = await case.add("n2")
    span = await case.feed.span(case.org)
    assert (span.last, span.held) == (last, last)
    await case.keep(0)
    span = await case.feed.span(case.org)
    assert (span.last, span.held) == (last, None)


async def test_entries_after_an_id_come_in_order_and_prove_that_the_id_is_still_there(case: Case):
    ids = [await case.add(f"n{number}") for number in range(5)]
    reading = await case.feed.read(case.org, ids[1], block=0.2)
    assert [entry.id for entry in reading.entries] == ids[2:]
    assert json.loads(reading.entries[0].data) == node("n2")
    assert reading.whole
    assert [e.id for e in (await case.feed.read(case.org, ids[1], count=2)).entries] == ids[2:4]


async def test_an_id_whose_entry_is_gone_proves_nothing(case: Case):
    ids = [await case.add(f"n{number}") for number in range(5)]
    await case.keep(2)
    assert not (await case.feed.read(case.org, ids[0], block=0.05)).whole
    await case.lose()
    assert not (await case.feed.read(case.org, ids[4], block=0.05)).whole
    await case.add("n9")
    assert not (await case.feed.read(case.org, ids[4], block=0.05)).whole


async def test_a_read_waits_for_the_first_entry_and_no_longer(case: Case):
    last = await case.add("n1")
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(case.feed.read(case.org, last, block=5))
        await asyncio.sleep(0.1)
        added = await case.add("n2")
    assert [entry.id for entry in reading.result().entries] == [added]
    assert (await case.feed.read(case.org, added, block=0.1)).entries == []


async def test_what_lies_between_two_ids_includes_both(case: Case):
    ids = [await case.add(f"n{number}") for number in range(6)]
    between = await case.feed.between(case.org, ids[1], ids[4])
    assert [entry.id for entry in between] == ids[1:5]
    assert [e.id for e in await case.feed.between(case.org, ids[1], ids[4], count=2)] == ids[1:3]
    assert await case.feed.between("another", ids[0], ids[5]) == []
