"""Streams in virtual time: where they begin and go on, who delays whom, who is cut."""

import asyncio
import json
import random
from typing import Any

import pytest

from citadel_k8s.api.events import channel, hub
from citadel_k8s.api.events.hub import Limits
from citadel_k8s.api.events.pending import EVENTS_MAX
from citadel_k8s.api.events.ring import RING_MAX
from citadel_k8s.api.events.stream import TIME_EVERY, Asked, Ending
from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.models.identity import Principal
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
