"""Streams in virtual time: a place that is not in the stream, was trimmed, or is ahead."""

import asyncio

import pytest

from citadel_k8s.api.events.stream import Asked
from citadel_k8s.stores.entries import EntryId
from tests.aio.eventclients import Client, world
from tests.orgfeed import node

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize("place", [EntryId(1, 0), EntryId(2**60, 0), EntryId.ZERO, None])
async def test_a_place_that_is_not_in_the_stream_begins_anew(place: EntryId | None):
    async with world() as w:
        w.database.tell("a", node("n1", state="Online"))
        client = Client()
        w.connect(client, Asked(after=place, unknown=place is None))
        await asyncio.sleep(1)
        assert client.kinds() == ["reset", "snapshot"]
        assert client.rows == w.database.rows["a"]


async def test_the_beginning_of_all_streams_is_no_place_in_one():
    async with world() as w:
        w.database.rows["a"] = {"n1": {"id": "n1", "state": "Online"}}  # told to a lost stream
        client = Client()
        w.connect(client, Asked(after=EntryId.ZERO))
        await asyncio.sleep(1)
        assert client.kinds() == ["reset", "snapshot"]


async def test_the_time_names_no_place_while_something_before_it_waits():
    async with world() as w:
        w.database.tell("a", node("n1", state="Online"))
        client = Client()
        w.connect(client)
        await asyncio.sleep(2)
        w.database.tell("a", node("n1", pulse={"cpu": 1}))
        await asyncio.sleep(0.1)
        w.database.tell("a", node("n1", pulse={"cpu": 2}))  # waits for its second to be over
        await asyncio.sleep(0.1)
        (stream,) = w.hub._streams
        stream.stir()
        await asyncio.sleep(0.1)
        assert client.messages[-1].kind == "time"
        assert client.messages[-1].id is None
        client.left = True
        await asyncio.sleep(3)
        again = Client()
        again.rows = client.rows
        w.connect(again, Asked(after=client.place()))
        await asyncio.sleep(1)
        assert again.rows == w.database.rows["a"]


async def test_a_place_that_was_trimmed_begins_anew():
    async with world() as w:
        place = w.database.tell("a", node("n0", state="Online"))
        for number in range(10):
            w.database.tell("a", node(f"n{number}", state="Online"))
        w.feed.trim("a", 5)
        client = Client()
        w.connect(client, Asked(after=place))
        await asyncio.sleep(1)
        assert client.kinds() == ["reset", "snapshot"]


async def test_a_place_before_the_reader_began_is_read_back_once_for_all_who_come():
    async with world() as w:
        places = [w.database.tell("a", node(f"n{n}", state="Online")) for n in range(3000)]
        clients = [Client() for _ in range(20)]
        for client in clients:
            w.connect(client, Asked(after=places[0]))
        await asyncio.sleep(2)
        for client in clients:
            assert client.kinds() == ["node"] * 2999
        reader = w.hub._readers["a"].channel
        assert reader.ring is not None
        assert len(reader.ring) == 2999
        assert w.database.reads == 0


async def test_a_client_that_comes_from_a_replica_that_is_ahead_does_not_begin_anew():
    async with world() as w:
        w.database.tell("a", node("n1", state="Online"))
        first = Client()
        w.connect(first)
        await asyncio.sleep(0.5)
        w.feed.lag = 0.3
        place = w.database.tell("a", node("n2", state="Online"))
        client = Client()
        w.connect(client, Asked(after=place))  # before the reader has had its turn
        await asyncio.sleep(0.1)
        assert first.kinds() == ["snapshot"]
        await asyncio.sleep(0.5)
        w.database.tell("a", node("n3", state="Online"))
        await asyncio.sleep(0.5)
        assert client.kinds() == ["node"]


@pytest.mark.parametrize("wait", [0, 3])
async def test_a_stream_that_was_lost_begins_anew_for_all_whatever_its_new_ids_are(wait: float):
    async with world() as w:
        w.database.tell("a", node("n1", state="Online"))
        clients = [Client() for _ in range(5)]
        for client in clients:
            w.connect(client)
        await asyncio.sleep(1)
        w.feed.flush()
        w.database.rows["a"]["lost"] = {"id": "lost", "state": "Online"}  # told to the lost one
        await asyncio.sleep(wait)
        w.database.tell("a", node("n2", state="Online"))
        await asyncio.sleep(4)
        for client in clients:
            assert "reset" in client.kinds()
            assert client.rows == w.database.rows["a"]
        assert w.database.reads <= 4  # and not one for each


async def test_an_idle_stream_that_is_trimmed_to_nothing_begins_anew_and_then_rests():
    async with world() as w:
        w.database.tell("a", node("n1", state="Online"))
        client = Client()
        w.connect(client)
        await asyncio.sleep(1)
        w.feed.trim("a", 0)
        await asyncio.sleep(60)
        assert client.kinds() == ["snapshot", "reset", "snapshot"]
