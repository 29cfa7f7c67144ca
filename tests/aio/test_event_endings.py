"""Streams in virtual time: who is ended, who is refused, and what is left of them."""

import asyncio

import pytest

from citadel_k8s.api.events import hub
from citadel_k8s.api.events.hub import Limits
from citadel_k8s.api.events.stream import Asked, Ending
from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.models.identity import Principal
from tests.aio.eventclients import Client, person, world
from tests.orgfeed import node

pytestmark = pytest.mark.looptime


async def test_a_session_that_ends_ends_its_streams_within_a_minute_and_nobody_elses():
    gone: set[str] = set()

    async def still(principal: Principal) -> bool:
        return principal.subject not in gone

    async with world(still=still) as w:
        mine, theirs = Client(), Client()
        first = w.connect(mine, principal=person(subject="user:1"))
        second = w.connect(theirs, principal=person(subject="user:2"))
        await asyncio.sleep(33)
        gone.add("user:1")
        await asyncio.sleep(59)
        assert first.result().ending is Ending.REVOKED
        assert not second.done()
        assert w.hub.figures.revoked == 1


async def test_who_cannot_be_asked_about_stays_for_a_while_and_not_for_ever():
    async def still(_principal: Principal) -> bool:
        await asyncio.sleep(1000)
        return True

    async with world(still=still) as w:
        serving = w.connect(Client())
        await asyncio.sleep(hub.UNKNOWN_SECONDS - 30)
        assert not serving.done()
        await asyncio.sleep(90)
        assert serving.result().ending is Ending.REVOKED


async def test_too_many_streams_are_refused_with_a_word():
    async with world(limits=Limits(per_principal=2, per_org=3, total=4)) as w:
        for subject in ("user:1", "user:1", "user:2"):
            w.connect(Client(), principal=person(subject=subject))
        await asyncio.sleep(0.1)
        for principal, status in (
            (person(subject="user:1"), 429),
            (person(subject="user:3"), 503),
        ):
            with (
                pytest.raises(RefusalError) as refused,
                w.hub.stream(principal, Client(), Asked()),
            ):
                pass
            assert refused.value.status == status
            assert refused.value.retry_after
        w.connect(Client(), principal=person("b"))
        await asyncio.sleep(0.1)
        with pytest.raises(RefusalError), w.hub.stream(person("c"), Client(), Asked()):
            pass
        assert w.hub.figures.refused == 3


async def test_nothing_is_left_of_clients_that_left_and_their_reader_ends_a_little_later():
    async with world(limits=Limits(per_principal=1000)) as w:
        for _ in range(100):
            client = Client()
            w.connect(client)
            await asyncio.sleep(0.05)
            client.left = True
        await asyncio.sleep(2)
        assert w.hub.figures.streams == 0
        assert w.feed.open == 1
        (reader,) = w.hub._readers.values()
        assert not reader.channel._followers
        assert not reader.channel.watchers
        await asyncio.sleep(hub.LINGER + 2)
        assert w.feed.open == 0
        assert w.hub.figures.orgs == 0
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not any("reader" in name for name in names)


async def test_a_client_that_comes_back_within_the_linger_finds_the_reader_still_there():
    async with world() as w:
        w.database.tell("a", node("n1", state="Online"))
        client = Client()
        w.connect(client)
        await asyncio.sleep(1)
        client.left = True
        await asyncio.sleep(hub.LINGER - 5)
        again = Client()
        w.connect(again, Asked(after=client.place()))
        await asyncio.sleep(hub.LINGER + 5)
        assert w.feed.open == 1
        assert again.kinds() == []


async def test_when_the_hub_ends_all_streams_end():
    async with world() as w:
        serving = [w.connect(Client()) for _ in range(3)]
        await asyncio.sleep(1)
    assert [task.result().ending for task in serving] == [Ending.STOPPING] * 3


async def test_a_hub_that_does_not_run_serves_nobody():
    async with world() as w:
        pass
    with pytest.raises(RefusalError), w.hub.stream(person(), Client(), Asked()):
        pass
