"""How far the stream was taken in, and what silence makes of nodes."""

import asyncio

import pytest

from citadel_k8s.domain.frontier import GAP_SECONDS
from citadel_k8s.errors import StreamError
from tests.integration.worker.conftest import Hand, World, message


async def looked(hand: Hand):
    return await hand.worker.looker.look()


async def test_the_frontier_stops_before_what_another_worker_has_not_confirmed(world: World):
    hand = await world.hand()
    first = await looked(hand)
    key = await world.send(message("held"), "held")
    other = world.group("other")
    (held,) = await other.read(10, 0.1)
    await world.send(message("later"), "later")
    assert await hand.take() == 1
    stuck = await looked(hand)
    assert stuck.frontier_ms == max(first.frontier_ms, held.id.ms - 1)
    assert stuck.last > (held.id.ms, held.id.seq)
    await hand.worker.reader.take([held])
    assert (await looked(hand)).frontier_ms >= stuck.last[0]
    assert str(held.id) == key
    await other.close()


async def test_the_frontier_stops_before_what_nobody_has_taken(world: World):
    hand = await world.hand()
    now = await hand.group.now_ms()
    for number in range(3):
        await world.send(message(f"n{number}"), f"n{number}", id=f"{now + number}-0")
    await hand.take(2)
    view = await hand.group.look()
    assert (view.delivered, view.last) == ((now + 1, 0), (now + 2, 0))
    assert (await looked(hand)).frontier_ms == now
    await hand.take()
    assert (await looked(hand)).frontier_ms >= now + 2


async def test_silence_counts_anew_after_nobody_looked_for_a_while(world: World):
    hand = await world.hand()
    first = await looked(hand)
    assert (await looked(hand)).clear_since_ms == first.clear_since_ms
    gone = round(GAP_SECONDS * 1000) + 1000
    await world.do("UPDATE fabric_ingest SET looked_ms = looked_ms - %s", gone)
    again = await looked(hand)
    assert again.clear_since_ms > first.clear_since_ms
    assert again.frontier_ms >= again.clear_since_ms - 1
    assert hand.metric("pipe_gaps_total") == 1


async def test_a_stream_that_begins_anew_with_lower_ids_is_another_epoch(world: World):
    hand, other = await world.hand(), await world.hand()
    await world.send(message(bootId="b", seq=9), id="3000000000000-0")
    await world.send(message("go"), "go", id="3000000000000-1")
    assert await hand.take() == 2
    await looked(hand)
    await looked(other)
    await world.redis.flushall()
    await world.send(message(bootId="c", seq=1))
    await world.send(message("go"), "go")
    async with asyncio.timeout(5):
        while not await _taken(other):
            pass
    rows = await world.statuses()
    assert (rows["n1"]["boot_id"], rows["n1"]["seq"], rows["n1"]["stream_epoch"]) == ("c", 1, 1)
    assert rows["go"]["stream_epoch"] == 1
    await world.send(message("go"), "go")
    await hand.take()  # which has not looked since
    assert (await world.statuses())["go"]["stream_ms"] > rows["go"]["stream_ms"] - 1
    assert (await world.statuses())["go"]["stream_epoch"] == 1
    (kept,) = await world.rows("SELECT * FROM fabric_ingest")
    assert kept["stream_epoch"] == 1


async def _taken(hand: Hand) -> bool:
    await hand.worker.looker.look()
    return bool(await hand.take())


async def test_a_server_that_takes_no_writes_proves_nobodys_silence(world: World):
    hand = await world.hand()
    before = await looked(hand)
    await world.redis.config_set("maxmemory", "1")
    await world.redis.config_set("maxmemory-policy", "noeviction")
    with pytest.raises(StreamError, match="maxmemory"):
        await looked(hand)
    (kept,) = await world.rows("SELECT frontier_ms FROM fabric_ingest")
    assert kept["frontier_ms"] == before.frontier_ms


async def silent(world: World, seconds: float) -> None:
    """Let all nodes have spoken so long ago, on a stream that was open all the time."""
    ms = round(seconds * 1000)
    await world.do("UPDATE fabric_node_status SET stream_ms = stream_ms - %s", ms)
    await world.do("UPDATE fabric_ingest SET clear_since_ms = 0")


async def test_a_silent_node_becomes_stale_and_then_offline_and_that_is_told(world: World):
    hand = await world.hand()
    await world.send(message("quiet"), "quiet")
    await hand.take()
    await looked(hand)
    told = len(await world.told())
    assert await hand.worker.sweep.once() is False
    await silent(world, 50)
    await hand.worker.sweep.once()
    await silent(world, 60)
    await hand.worker.sweep.once()
    await hand.worker.sweep.once()
    row = (await world.statuses())["quiet"]
    assert (row["state"], row["state_reason"], row["verdict"]) == (
        "Offline", "AgentSilent", "Online",
    )  # fmt: skip
    news = (await world.told())[told:]
    assert [(one["type"], one.get("state")) for one in news] == [
        ("node", "Stale"), ("event", None), ("node", "Offline"), ("event", None),
    ]  # fmt: skip
    assert news[3]["event"]["before"] == "Stale"
    assert news[2]["since"] == news[3]["event"]["time"]
    await world.send(message("quiet"), "quiet")
    await hand.take()
    assert (await world.statuses())["quiet"]["state"] == "Online"
    last = await world.rows("SELECT * FROM fabric_events ORDER BY event_id DESC LIMIT 1")
    assert (last[0]["state_before"], last[0]["state"]) == ("Offline", "Online")


async def test_a_worker_that_was_away_makes_nobody_offline(world: World):
    hand = await world.hand()
    await world.send(message())
    await hand.take()
    await looked(hand)
    await silent(world, 500)
    await world.do("UPDATE fabric_ingest SET looked_ms = looked_ms - 400000")
    await looked(hand)
    await hand.worker.sweep.once()
    assert (await world.statuses())["n1"]["state"] == "Online"


async def test_a_node_that_was_offline_before_the_worker_went_away_stays_so(world: World):
    hand = await world.hand()
    await world.send(message())
    await hand.take()
    await looked(hand)
    await silent(world, 500)
    await hand.worker.sweep.once()
    await world.do("UPDATE fabric_ingest SET looked_ms = looked_ms - 400000")
    await looked(hand)
    await hand.worker.sweep.once()
    assert (await world.statuses())["n1"]["state"] == "Offline"


async def test_a_node_is_awaited_as_long_as_it_said_and_then_missed(world: World):
    hand = await world.hand()
    goodbye = {"reason": "terminating", "expectedBackSeconds": 200.0}
    await world.send(message(bootId="b", seq=1, goodbye=goodbye))
    await hand.take()
    await looked(hand)
    assert (await world.statuses())["n1"]["state"] == "Draining"
    await silent(world, 150)
    await hand.worker.sweep.once()
    assert (await world.statuses())["n1"]["state"] == "Draining"
    await world.do("UPDATE fabric_node_status SET draining_until_ms = draining_until_ms - 210000")
    await hand.worker.sweep.once()
    row = (await world.statuses())["n1"]
    assert (row["state"], row["state_reason"]) == ("Offline", "GoodbyeExpired")


async def test_a_node_that_people_give_up_and_take_back_is_told(world: World):
    hand = await world.hand()
    await world.send(message())
    await hand.take()
    await looked(hand)
    await world.do("UPDATE nodes SET decommissioned_at = now()")
    await hand.worker.sweep.once()
    assert (await world.statuses())["n1"]["state"] == "Decommissioned"
    await world.do("UPDATE nodes SET decommissioned_at = NULL")
    await hand.worker.sweep.once()
    assert (await world.statuses())["n1"]["state"] == "Online"


async def test_one_worker_sweeps_at_a_time(world: World):
    hand, other = await world.hand(), await world.hand()
    await world.send(message())
    await hand.take()
    async with world.database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(%s, 1)", (0x63697461,))
        await other.worker.sweep.once()
    assert other.metric("sweeps_total", result="other") == 1
    await other.worker.sweep.once()
    assert other.metric("sweeps_total", result="mine") == 1
