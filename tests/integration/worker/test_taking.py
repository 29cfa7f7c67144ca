"""From the stream into the tables: what a worker does with each kind of entry."""

import asyncio
import json

from citadel_k8s.domain.arrivals import read_arrivals
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.worker import letters
from tests.integration.worker.conftest import World, message, until


async def test_a_heartbeat_becomes_a_row_a_delta_and_a_last_status(world: World):
    hand = await world.hand()
    listener = world.redis.pubsub()
    await listener.subscribe("fabric:org:acme:events")
    await listener.get_message(timeout=1)
    payload = message(bootId="b1", seq=1)
    key = await world.send(payload)
    assert await hand.take() == 1
    (row,) = (await world.statuses()).values()
    assert (row["org_id"], row["state"], row["verdict"], row["boot_id"], row["seq"]) == (
        "acme", "Online", "Online", "b1", 1,
    )  # fmt: skip
    assert f"{row['stream_ms']}-{row['stream_seq']}" == key
    assert row["pulse"] == {"cpu": 0.15, "memory": 0.021, "disk": 0.285}
    (detail,) = await world.rows("SELECT * FROM fabric_node_detail")
    assert detail["status"] == json.loads(payload)
    assert detail["profile"] == {"name": "n1"}
    delta, event = await world.told()
    assert (delta["type"], delta["id"], delta["state"]) == ("node", "n1", "Online")
    assert delta["pulse"] == row["pulse"]
    assert delta["profile"] == {"name": "n1"}
    assert (event["type"], event["event"]["kind"]) == ("event", "state")
    assert await world.redis.get("org:acme:node:n1:status") == payload.encode()
    news = json.loads((await listener.get_message(timeout=1))["data"])
    (first, _), *_ = await world.redis.xrange("fabric:org:acme:stream")
    assert news == {"event": first.decode(), "delta": delta}
    assert await world.pending() == 0
    await listener.aclose()


async def test_messages_of_every_age_are_taken_and_kept_in_an_envelope(world: World):
    hand = await world.hand()
    bare = {
        "timestamp": "2026-01-13T08:17:33Z",
        "node": {"name": "old", "tailscale_ip": "100.64.0.1", "uptime_seconds": 3600},
        "system": {"cpu_percent": 45.2, "disk_used_gb": 450, "disk_total_gb": 1000},
    }
    await world.send(json.dumps(bare), "old")
    await world.send(message("go", headscaleNodeId="758", stats={"v": 1, "ts": 1}), "go")
    await world.send(message("ours", bootId="b", seq=1, intervalSeconds=10.0), "ours")
    await hand.take()
    rows = await world.statuses()
    assert {node: row["boot_id"] for node, row in rows.items()} == {
        "old": None, "go": None, "ours": "b",
    }  # fmt: skip
    assert rows["ours"]["interval_seconds"] == 10
    (detail,) = await world.rows("SELECT status FROM fabric_node_detail WHERE node_id = 'old'")
    assert detail["status"]["nodeId"] == "old"
    assert detail["status"]["status"] == bare


async def test_what_changes_seldom_is_written_when_it_changes_and_not_before(world: World):
    hand = await world.hand()

    async def kept() -> tuple[object, object]:
        (row,) = await world.rows("SELECT changed_at, status FROM fabric_node_detail")
        return row["changed_at"], row["status"]["status"]["system"]["cpu_percent"]

    for seq, cpu in enumerate((15.0, 30.0), 1):
        system = {"cpu_percent": cpu, "memory_percent": 2.1}
        await world.send(message(bootId="b", seq=seq, status={"system": system}))
        await hand.take()
        if seq == 1:
            first = await kept()
    assert await kept() == first
    service = {"name": "vllm", "type": "llm", "status": "running", "health": "ok", "models": ["m"]}
    await world.send(message(bootId="b", seq=3, status={"services": [service]}))
    await hand.take()
    assert (await kept())[0] != first[0]
    assert (await world.told())[-1]["profile"]["models"] == ["m"]


async def test_a_stamp_decides_and_an_org_that_is_unknown_or_locked_out_makes_letters(world: World):
    orgs = Orgs(world.database)
    await orgs.create("other", "Other")
    await orgs.create("locked", "Locked")
    await orgs.disable("locked")
    hand = await world.hand()
    await world.send(message("a"), "a", orgId="other", principal="token:1")
    await world.send(message("b"), "b", orgId="nobody", principal="token:2")
    await world.send(message("c"), "c", orgId="locked", principal="token:3")
    await hand.take()
    assert {(r["org_id"], r["node_id"]) for r in (await world.statuses()).values()} == {
        ("other", "a")
    }
    told = [(one["reason"], one["nodeId"], one["orgId"]) for one in await world.letters()]
    assert told == [("UnknownOrg", "b", "nobody"), ("UnknownOrg", "c", "locked")]
    assert await world.pending() == 0
    assert hand.metric("dead_letters_total", reason="UnknownOrg") == 2


async def test_an_unstamped_node_belongs_to_the_one_org_that_has_it(world: World):
    await Orgs(world.database).create("other", "Other")
    insert = "INSERT INTO nodes (org_id, node_id, headscale_id, source) VALUES (%s, %s, %s, 'mesh')"
    await world.do(insert, "other", "theirs", "7")
    await world.do(insert, "other", "both", None)
    await world.do(insert, "acme", "both", None)
    hand = await world.hand(org_id=None)
    await world.send(message("theirs"), "theirs")
    await world.send(message("renamed", headscaleNodeId="7"), "renamed")
    await world.send(message("both"), "both")
    await world.send(message("unheard"), "unheard")
    await hand.take()
    rows = await world.statuses()
    assert {node: row["org_id"] for node, row in rows.items()} == {
        "theirs": "other", "renamed": "other",
    }  # fmt: skip
    reasons = {(one["nodeId"], one["reason"]) for one in await world.letters()}
    assert reasons == {("both", "UnknownNode"), ("unheard", "UnknownNode")}


async def test_a_worker_that_adopts_nobody_buries_what_unknown_nodes_say(world: World):
    hand = await world.hand(adopt_nodes=False)
    await world.do("INSERT INTO nodes (org_id, node_id, source) VALUES ('acme','known','manual')")
    await world.send(message("known"), "known")
    await world.send(message("stranger"), "stranger")
    await hand.take()
    assert set(await world.statuses()) == {"known"}
    assert [(one["nodeId"], one["reason"]) for one in await world.letters()] == [
        ("stranger", "UnknownNode")
    ]


async def test_a_node_that_was_deleted_meanwhile_is_adopted_again(world: World):
    hand = await world.hand()
    await world.send(message(bootId="b", seq=1))
    await hand.take()
    await world.do("DELETE FROM nodes")
    await world.send(message(bootId="b", seq=2))
    await hand.take()
    assert (await world.statuses())["n1"]["seq"] == 2


async def test_one_value_that_no_table_takes_makes_one_letter_and_the_rest_lands(world: World):
    hand = await world.hand()
    for number in range(40):
        name = "evil\\u0000name" if number == 23 else f"n{number}"
        payload = message(f"n{number}").replace(f'"name": "n{number}"', f'"name": "{name}"')
        await world.send(payload, f"n{number}")
    await world.send(message("boot", bootId="a\x00b", seq=1), "boot")
    await hand.take()
    rows = await world.statuses()
    assert set(rows) == {f"n{number}" for number in range(40) if number != 23}
    assert sorted((one["nodeId"], one["reason"]) for one in await world.letters()) == [
        ("boot", "Refused"), ("n23", "Refused"),
    ]  # fmt: skip
    assert await world.pending() == 0


async def test_what_is_no_message_is_buried_with_the_reason(world: World):
    hand = await world.hand()
    await world.send("{", "n1")
    await world.send("[" * 5000 + "]" * 5000, "deep")
    await world.send(message("n2"), "n3")
    await world.redis.xadd("node:status:stream", {"x": "y"})
    await world.send(message("n4", version="2.0"), "n4")
    await world.send(message("'; DROP TABLE nodes; --"), "'; DROP TABLE nodes; --")
    await hand.take()
    reasons = [one["reason"] for one in await world.letters()]
    assert reasons == [
        "NotJson", "NotJson", "NodeMismatch", "NotJson", "UnsupportedVersion", "BadNodeId",
    ]  # fmt: skip
    assert await world.statuses() == {}


async def test_letters_are_taken_in_with_their_own_ids_once_what_was_wrong_is_mended(world: World):
    hand = await world.hand(org_id=None)
    old = await world.send(message("late", bootId="b", seq=1), "late", orgId="new")
    await hand.take()
    settings = world.settings(org_id=None)
    (letter,) = await letters.listed(settings)
    assert (letter.reason, letter.entry.org_id, str(letter.entry.id)) == ("UnknownOrg", "new", old)
    assert await letters.shown(settings, letter.id) == letter
    still = await letters.replay(settings, "all")
    assert (still.taken, [one.reason for one in still.refused]) == (0, ["UnknownOrg"])
    await Orgs(world.database).create("new", "New")
    before = await world.redis.xinfo_stream("node:status:stream")
    result = await letters.replay(settings, [letter.id, "1-1", "nonsense"])
    assert (result.taken, result.refused, result.missing) == (1, [], ["1-1", "nonsense"])
    row = (await world.statuses())["late"]
    assert f"{row['stream_ms']}-{row['stream_seq']}" == old
    assert (await world.redis.xinfo_stream("node:status:stream")) == before
    assert await letters.listed(settings) == []


async def test_a_redelivery_is_told_again_and_changes_nothing(world: World):
    hand = await world.hand()
    await world.send(message(bootId="b", seq=1))
    entries = await hand.group.read(10, 0.1)
    await hand.worker.reader.writer.take(entries)  # and dies before it confirms
    first, told = await world.statuses(), await world.told()
    await hand.worker.reader.take(entries, again=True)
    second = await world.statuses()
    assert second["n1"]["stream_ms"] == first["n1"]["stream_ms"]
    node, event = (await world.told())[len(told) :]
    assert event == told[1]
    assert (node["state"], node["seen"], node["pulse"]) == tuple(
        told[0][key] for key in ("state", "seen", "pulse")
    )
    assert len(await world.rows("SELECT * FROM fabric_events")) == 1
    await world.do("UPDATE fabric_node_status SET state = 'Offline', state_reason = 'AgentSilent'")
    await hand.worker.reader.take(entries, again=True)
    assert (await world.statuses())["n1"]["state"] == "Offline"


async def test_changes_within_a_batch_are_all_told_though_only_the_last_row_is_kept(world: World):
    hand = await world.hand()
    lost = {"gpu": [{"index": 0, "name": "H100", "health": "failed", "reason": "GpuLost"}]}
    for seq, status in enumerate(({}, lost, {}, lost), 1):
        await world.send(message(bootId="b", seq=seq, status=status))
    await hand.take()
    query = "SELECT state, state_before, reason FROM fabric_events WHERE kind = 'state' ORDER BY 1"
    rows = await world.rows(query.replace("ORDER BY 1", "ORDER BY happened_at, event_id"))
    assert [(row["state_before"], row["state"]) for row in rows] == [
        (None, "Online"), ("Online", "Degraded"), ("Degraded", "Online"), ("Online", "Degraded"),
    ]  # fmt: skip
    row = (await world.statuses())["n1"]
    assert (row["state"], row["state_reason"], row["seq"]) == ("Degraded", "GpuLost", 4)
    faults = await world.rows("SELECT reason FROM fabric_events WHERE kind = 'fault'")
    assert faults == [{"reason": "GpuLost"}]


async def test_an_xid_is_told_once_however_often_it_is_repeated(world: World):
    hand, other = await world.hand(), await world.hand()
    for seq, count in enumerate((1, 1, 2, 2), 1):
        xid = {"xid": 79, "count": count, "last_at": "2026-11-23T08:17:33Z", "name": "off the bus"}
        gpu = {"index": 3, "name": "H100", "uuid": "GPU-1", "health": "ok", "xids": [xid]}
        await world.send(message(bootId="b", seq=seq, status={"gpu": [gpu]}))
        await (hand if seq % 2 else other).take()
    rows = await world.rows("SELECT * FROM fabric_events WHERE kind = 'xid' ORDER BY event_id")
    assert [(row["reason"], row["count"], row["message"]) for row in rows] == [
        ("Xid79", 1, "GPU 3: XID 79 off the bus"), ("Xid79", 2, "GPU 3: XID 79 off the bus"),
    ]  # fmt: skip


async def test_a_soft_fault_counts_when_it_is_repeated(world: World):
    hand = await world.hand()
    full = {"system": {"disk_percent": 97.0}}
    for seq, expected in ((1, "Online"), (2, "Degraded"), (3, "Degraded")):
        await world.send(message(bootId="b", seq=seq, status=full))
        await hand.take()
        assert (await world.statuses())["n1"]["state"] == expected
    assert (await world.statuses())["n1"]["state_reason"] == "DiskFull"
    await world.send(message(bootId="b", seq=4))
    await hand.take()
    assert (await world.statuses())["n1"]["state"] == "Online"


async def test_a_node_that_was_given_up_stays_so_whatever_it_says(world: World):
    hand = await world.hand()
    await world.send(message(bootId="b", seq=1))
    await hand.take()
    await world.do("UPDATE nodes SET decommissioned_at = now()")
    await world.send(message(bootId="b", seq=2))
    await hand.take()
    row = (await world.statuses())["n1"]
    assert (row["state"], row["verdict"], row["seq"]) == ("Decommissioned", "Online", 2)


async def test_while_the_database_is_away_nothing_is_confirmed_and_then_all_is(
    world: World,
):
    hand = await world.hand()

    async def failed() -> bool:
        return hand.metric("failures_total", peer="postgres") >= 1

    await world.do("ALTER TABLE fabric_node_status RENAME TO away")
    await world.send(message(bootId="b", seq=1))
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(hand.take())
        await until(failed)
        assert not hand.worker.probes.ready()["ok"]
        assert await world.pending() == 1
        await world.do("ALTER TABLE away RENAME TO fabric_node_status")
        await taking
    assert (await world.statuses())["n1"]["seq"] == 1
    assert await world.pending() == 0


async def arrivals(world: World, node: str = "n1") -> list[bytes]:
    return await world.redis.lrange(f"org:acme:node:{node}:arrivals", 0, -1)


async def test_when_each_heartbeat_arrived_is_kept_beside_the_last_status_for_a_day(world: World):
    hand = await world.hand()
    # Two in one batch: the row is written once, and both arrived.
    ids = [await world.send(message(bootId="b1", seq=seq)) for seq in (1, 2)]
    await world.send(message("go"), "go")
    await hand.take()
    kept = [text.decode().split(" ") for text in await arrivals(world)]
    assert [(ms, seq) for ms, seq, _ in kept] == [
        (key.partition("-")[0], str(seq)) for seq, key in enumerate(ids, 1)
    ]
    assert all(abs(int(offset)) < 30_000 for _, _, offset in kept)
    assert (await arrivals(world, "go"))[0].split(b" ")[1] == b""
    for node in ("n1", "go"):
        assert 86_000 < await world.redis.ttl(f"org:acme:node:{node}:arrivals") <= 86_400


async def test_lists_of_arrivals_are_cut_now_and_then_and_kept_on_for_another_day(world: World):
    hand = await world.hand()
    key = "org:acme:node:n1:arrivals"
    await world.redis.rpush(key, *(f"{ms} {ms} 0" for ms in range(80)))
    await world.redis.expire(key, 100)
    await world.send(message(bootId="b1", seq=81))
    await hand.take()
    kept = await arrivals(world)
    assert len(kept) == 60
    assert kept[-1].split(b" ")[1] == b"81"
    assert await world.redis.ttl(key) > 86_000
    await world.send(message(bootId="b1", seq=82))
    await hand.take()
    assert len(await arrivals(world)) == 61


async def test_a_list_that_was_begun_by_a_worker_that_ended_is_not_kept_for_good(world: World):
    hand = await world.hand()
    key = "org:acme:node:n1:arrivals"
    await world.redis.rpush(key, "1 1 0")
    await world.send(message(bootId="b1", seq=1))
    await hand.take()
    assert await world.redis.ttl(key) > 86_000


async def test_a_backlog_of_one_node_fills_its_list_and_no_more(world: World):
    hand = await world.hand()
    for seq in range(1, 101):
        await world.send(message(bootId="b1", seq=seq))
    await hand.take()
    kept = await arrivals(world)
    assert len(kept) == 60
    assert kept[-1].split(b" ")[1] == b"100"


async def test_an_entry_that_comes_twice_arrived_once(world: World):
    hand = await world.hand()
    await world.send(message(bootId="b1", seq=1))
    entries = await hand.group.read(10, 0.01)
    await hand.worker.reader.take(entries)
    await hand.worker.reader.take(entries)
    assert len(read_arrivals(await arrivals(world))) == 1


async def test_of_a_message_that_is_refused_nothing_arrived(world: World):
    hand = await world.hand(adopt_nodes=False)
    await world.send(message("nobody"), "nobody")
    await hand.take()
    assert await arrivals(world, "nobody") == []
