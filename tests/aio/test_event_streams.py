"""Streams in virtual time: where they begin and go on, who delays whom, who is cut."""

import asyncio
import json
import random
from typing import Any

import pytest

from citadel_k8s.api.events import channel
from citadel_k8s.api.events.hub import Limits
from citadel_k8s.api.events.pending import EVENTS_MAX
from citadel_k8s.api.events.ring import RING_MAX
from citadel_k8s.api.events.stream import TIME_EVERY, Asked, Ending
from citadel_k8s.stores.entries import EntryId
from tests.aio.eventclients import Client, person, world
from tests.orgfeed import node

pytestmark = pytest.mark.looptime


async def test_a_client_gets_all_rows_first_then_the_time_and_then_what_changes():
    async with world() as w:
        w.database.tell("a", node("n1", state="Online", profile={"name": "one"}))
        client = Client()
        w.connect(client)
        await asyncio.sleep(0.5)
        assert client.kinds(times=True) == ["snapshot", "time"]
        assert client.rows == w.database.rows["a"]
        w.database.tell("a", node("n2", state="Online", profile={"name": "two"}))
        w.database.tell("a", {"type": "gone", "id": "n1"})
        await asyncio.sleep(0.5)
        assert client.kinds() == ["snapshot", "node", "gone"]
        assert client.rows == w.database.rows["a"]


async def test_what_changes_while_rows_are_read_is_not_lost():
    async with world() as w:
        w.database.tell("a", node("n1", state="Online"))
        w.database.takes = 2.0
        client = Client()
        w.connect(client)
        for number in range(12):
            await asyncio.sleep(0.3)
            w.database.tell("a", node("n1", pulse={"cpu": number}))
            w.database.tell("a", node(f"m{number}", state="Online"))
        await asyncio.sleep(3)
        assert client.kinds().count("snapshot") == 1
        assert client.rows == w.database.rows["a"]


@pytest.mark.parametrize("seed", range(40))
async def test_whoever_is_cut_off_goes_on_with_nothing_lost_and_nothing_twice(seed: int):
    dice = random.Random(seed)
    async with world(linger=dice.choice([1.0, 1000.0])) as w:
        for number in range(5):
            w.database.tell("a", node(f"n{number}", state="Online", profile={"name": str(number)}))
        rows: dict[str, dict[str, Any]] = {}
        place, seen = None, list[EntryId]()
        for _ in range(6):
            client = Client()
            client.rows = rows
            serving = w.connect(client, Asked(after=place))
            for _ in range(dice.randrange(8)):
                change(w.database.tell, dice)
                await asyncio.sleep(dice.choice([0, 0.01, 0.3, 1.2]))
            client.left = True
            await asyncio.sleep(dice.choice([1.1, 5, 40]))
            assert serving.done()
            ids = [m.id for m in client.messages if m.id and m.kind not in {"time", "snapshot"}]
            assert set(client.kinds()) <= {"node", "gone", "event"} or place is None
            seen += ids
            place = client.place() or place
            for _ in range(dice.randrange(3)):
                change(w.database.tell, dice)
        last = Client()
        last.rows = rows
        w.connect(last, Asked(after=place))
        await asyncio.sleep(3)
        assert seen == sorted(set(seen))
        assert last.rows == w.database.rows["a"]
        assert "reset" not in last.kinds()


def change(tell: Any, dice: random.Random) -> None:
    name = f"n{dice.randrange(5)}"
    kind = dice.choice(["node", "node", "node", "profile", "gone", "event"])
    if kind == "gone":
        tell("a", {"type": "gone", "id": name})
    elif kind == "event":
        tell("a", {"type": "event", "id": name, "event": {"id": "e"}})
    elif kind == "profile":
        tell("a", node(name, state="Online", profile={"name": str(dice.random())}))
    else:
        state = dice.choice([{"state": "Online"}, {"state": "Degraded", "reason": "X"}, {}])
        tell("a", node(name, pulse={"cpu": dice.random()}, **state))


async def test_clients_are_told_that_the_feed_is_away_and_lose_nothing_by_it():
    async with world() as w:
        w.database.tell("a", node("n1", state="Online"))
        client = Client()
        w.connect(client)
        await asyncio.sleep(1)
        w.feed.down = "connection refused by 10.0.0.7:6379"
        w.feed.add("b", node("x"))  # wakes the reader
        await asyncio.sleep(3)
        assert client.times()[-1]["stale"] is True
        assert "Redis" in client.times()[-1]["reason"]
        assert "10.0.0.7" not in json.dumps(client.times())
        w.database.tell("a", node("n2", state="Online"))
        await asyncio.sleep(30)
        assert client.rows != w.database.rows["a"]
        w.feed.down = ""
        await asyncio.sleep(25)
        assert client.times()[-1]["stale"] is False
        assert client.kinds() == ["snapshot", "node"]
        assert client.rows == w.database.rows["a"]


async def test_a_client_that_comes_while_the_feed_is_away_is_told_and_served_when_it_is_back():
    async with world() as w:
        w.database.tell("a", node("n1", state="Online"))
        w.feed.down = "refused"
        client = Client()
        w.connect(client)
        await asyncio.sleep(40)
        assert client.kinds() == []
        assert len(client.times()) >= 3
        assert all(time["stale"] for time in client.times())
        w.feed.down = ""
        await asyncio.sleep(25)
        assert client.kinds() == ["snapshot"]
        assert client.times()[-1]["stale"] is False


async def test_rows_that_are_not_to_be_had_are_asked_for_again_by_one_for_all():
    async with world(limits=Limits(per_principal=100)) as w:
        w.database.tell("a", node("n1", state="Online"))
        w.database.down = True
        w.database.takes = 1000
        clients = [Client() for _ in range(50)]
        for client in clients:
            w.connect(client)
        await asyncio.sleep(60)
        assert w.database.reads <= 60 / channel.SNAPSHOT_SECONDS + 1
        assert all(c.times()[-1]["stale"] for c in clients)
        w.database.down, w.database.takes = False, 0.1
        await asyncio.sleep(15)
        assert all(c.kinds() == ["snapshot"] and not c.times()[-1]["stale"] for c in clients)


async def test_five_hundred_who_come_at_once_cost_one_reading_of_the_rows_and_one_reader():
    async with world(limits=Limits(per_principal=500)) as w:
        w.database.tell("a", node("n1", state="Online"))
        clients = [Client() for _ in range(500)]
        for client in clients:
            w.connect(client)
        await asyncio.sleep(1)
        assert w.database.reads == 1
        assert w.feed.open == 1
        assert len({id(client.messages[0]) for client in clients}) == 1


async def test_one_that_is_stuck_is_cut_and_delays_nobody():
    async with world() as w:
        w.database.tell("a", node("n1", state="Online"))
        stuck, other = Client(), Client()
        w.connect(other)
        serving = w.connect(stuck)
        await asyncio.sleep(1)
        stuck.stuck = True
        for number in range(100):
            w.database.tell("a", node("n1", pulse={"cpu": number}))
            await asyncio.sleep(0.31)
            assert other.rows["n1"]["pulse"]["cpu"] >= number - 4
        await asyncio.sleep(5)
        assert serving.done()
        assert serving.result().ending is Ending.STUCK
        assert w.hub.figures.stuck == 1


async def test_one_that_reads_slowly_gets_the_newest_of_each_node():
    async with world() as w:
        w.database.tell("a", node("n0", state="Online"))
        slow = Client()
        w.connect(slow)
        await asyncio.sleep(1)
        slow.stuck = True
        for number in range(2000):
            w.database.tell("a", node(f"n{number % 10}", pulse={"cpu": number}))
            await asyncio.sleep(0.01)
        slow.free()
        await asyncio.sleep(2)
        assert slow.rows == w.database.rows["a"]
        assert len(slow.kinds()) <= 1 + 2 * 10 + 10


async def test_too_many_events_begin_anew():
    async with world() as w:
        w.database.tell("a", node("n0", state="Online"))
        slow = Client()
        w.connect(slow)
        await asyncio.sleep(1)
        slow.stuck = True
        for _ in range(EVENTS_MAX + 20):
            w.database.tell("a", {"type": "event", "id": "n0", "event": {"id": "e"}})
            await asyncio.sleep(0)
        await asyncio.sleep(1)
        slow.free()
        await asyncio.sleep(2)
        assert slow.kinds()[-2:] == ["reset", "snapshot"]
        assert slow.kinds().count("event") < 20


async def test_the_time_comes_each_quarter_of_a_minute_with_how_far_statuses_are_taken_in():
    frontier: int | None = None

    async def ask() -> int | None:
        return frontier

    async with world(frontier=ask) as w:
        w.database.tell("a", node("n0", state="Online"))
        client = Client()
        w.connect(client)
        await asyncio.sleep(1)
        assert "lag" not in client.times()[-1]
        frontier = w.feed._ms - 2500
        await asyncio.sleep(10 * TIME_EVERY)
        assert 10 <= len(client.times()) <= 12
        assert client.times()[-1]["lag"] == pytest.approx(2.5, abs=1)
        assert client.times()[-1]["now"].startswith("2026-")
        assert client.messages[-1].id == client.messages[0].id  # still a place to go on from


async def test_only_what_is_asked_for_is_sent():
    async with world() as w:
        w.database.tell("a", node("n1", state="Online"))
        w.database.tell("a", node("n2", state="Online"))
        some, happenings = Client(), Client()
        w.connect(some, Asked(nodes=frozenset({"n2"})))
        w.connect(happenings, Asked(kinds=frozenset({"event"})))
        await asyncio.sleep(1)
        assert list(some.rows) == ["n2"]
        assert happenings.kinds() == []
        for name in ("n1", "n2"):
            w.database.tell("a", node(name, pulse={"cpu": 1}))
        w.database.tell("a", {"type": "event", "id": "n1", "event": {"id": "e"}})
        await asyncio.sleep(TIME_EVERY + 1)
        assert some.kinds() == ["snapshot", "node"]
        assert happenings.kinds() == ["event"]
        assert some.place() == happenings.place() == w.feed.last["a"]


async def test_events_alone_of_an_org_without_any_stream_come_too():
    async with world() as w:
        client = Client()
        w.connect(client, Asked(kinds=frozenset({"event"})))
        await asyncio.sleep(1)
        w.database.tell("a", {"type": "event", "id": "n1", "event": {"id": "e1"}})
        await asyncio.sleep(1)
        w.database.tell("a", {"type": "event", "id": "n1", "event": {"id": "e2"}})
        await asyncio.sleep(1)
        assert client.kinds()[-1] == "event"


async def test_a_client_of_one_org_never_gets_a_byte_of_another():
    async with world() as w:
        clients = {org: Client() for org in ("a", "b", "a:b", "*")}
        for org, client in clients.items():
            w.database.tell(org, node(f"of-{org}", state="Online"))
            w.connect(client, principal=person(org))
        for number in range(200):
            for org in clients:
                w.database.tell(org, node(f"of-{org}", profile={"name": f"{number} of-{org}"}))
            await asyncio.sleep(0.05)
        foreign = w.feed.last["b"]
        visitor = Client()
        w.connect(visitor, Asked(after=foreign), principal=person("a"))
        await asyncio.sleep(2)
        for org, client in [*clients.items(), ("a", visitor)]:
            assert list(client.rows) == [f"of-{org}"]
            for message in client.messages:
                for other in clients.keys() - {org}:
                    assert f'of-{other}"'.encode() not in message.data


async def test_nonsense_in_the_stream_is_passed_over():
    async with world() as w:
        w.database.tell("a", node("n1", state="Online"))
        client = Client()
        w.connect(client)
        await asyncio.sleep(1)
        for data in (b"", b"{", b"[]", b"\xff", b'{"type":"reset","id":"x"}'):
            w.feed.add("a", data)
        w.database.tell("a", node("n2", state="Online"))
        await asyncio.sleep(1)
        assert client.kinds() == ["snapshot", "node"]
        assert w.hub.figures.unreadable == 5


async def test_the_ring_is_bounded_and_who_is_behind_it_begins_anew():
    async with world() as w:
        place = w.database.tell("a", node("n1", state="Online"))
        client = Client()
        w.connect(client)
        await asyncio.sleep(1)
        for number in range(RING_MAX + 10):
            w.database.tell("a", node("n1", pulse={"cpu": number}))
        await asyncio.sleep(20)
        late = Client()
        w.connect(late, Asked(after=place))
        await asyncio.sleep(1)
        assert late.kinds() == ["reset", "snapshot"]
        reader = w.hub._readers["a"].channel
        assert reader.ring is not None
        assert len(reader.ring) == RING_MAX
