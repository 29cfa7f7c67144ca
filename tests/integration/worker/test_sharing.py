"""Several workers on one stream: what one leaves another takes, and the newest row stays."""

import asyncio
import random

from citadel_k8s.stores.statusletters import StatusLetters
from citadel_k8s.worker.claiming import Claims
from tests.integration.worker.conftest import Hand, World, message, until


def claims(world: World, hand: Hand, *, trim: bool = False) -> Claims:
    worker = hand.worker
    worker.reader.trouble = None
    group = world.group("heir", claim_idle=0)
    return Claims(
        group, worker.reader, StatusLetters(world.valkey.url), worker.looker, worker.metrics,
        worker.claims.clock, trim,
    )  # fmt: skip


async def closed(round_: Claims) -> None:
    await round_.group.close()
    await round_.letters.close()


async def test_what_a_dead_worker_left_is_inherited(world: World):
    hand = await world.hand()
    await world.send(message(bootId="b", seq=1))
    dead = world.group("dead")
    assert len(await dead.read(10, 0.1)) == 1
    assert await hand.take() == 0
    heir = claims(world, hand)
    await heir.once()
    assert (await world.statuses())["n1"]["seq"] == 1
    assert await world.pending() == 0
    assert hand.metric("entries_claimed_total") == 1
    await dead.close()
    await closed(heir)


async def test_an_entry_that_nobody_ever_confirms_becomes_a_letter(world: World):
    hand = await world.hand()
    key = await world.send(message(bootId="b", seq=1))
    victim = world.group("heir", claim_idle=0)
    await victim.read(10, 0.1)
    for _ in range(4):
        assert len((await victim.inherit()).entries) == 1
    heir = claims(world, hand)
    await heir.once()  # the sixth delivery
    assert await world.statuses() == {}
    (letter,) = await world.letters()
    assert (letter["id"], letter["reason"]) == (key, "Undeliverable")
    assert await world.pending() == 0
    await victim.close()
    await closed(heir)


async def test_entries_that_were_dropped_before_anybody_took_them_are_counted(world: World):
    hand = await world.hand()
    keys = [await world.send(message(bootId="b", seq=seq)) for seq in (1, 2)]
    dead = world.group("dead")
    await dead.read(10, 0.1)
    await world.redis.xdel("node:status:stream", keys[0])
    heir = claims(world, hand)
    await heir.once()
    assert hand.metric("entries_lost_total", how="pending") == 1
    assert (await world.statuses())["n1"]["seq"] == 2
    assert await world.pending() == 0
    await dead.close()
    await closed(heir)


async def test_what_was_left_under_the_same_name_is_taken_in_at_once(world: World):
    await world.hand(consumer="pod-1")
    await world.send(message(bootId="b", seq=1))
    before = world.group("pod-1")
    await before.read(10, 0.1)
    await before.close()
    hand = await world.hand(consumer="pod-1")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(hand.worker.reader.run())
        await until(lambda: confirmed(world))
        hand.worker.reader.stopping.set()
        await hand.worker.reader.finished.wait()
        running.cancel()
    assert (await world.statuses())["n1"]["seq"] == 1


async def confirmed(world: World) -> bool:
    return not await world.pending()


async def test_names_of_workers_that_are_gone_are_taken_out_when_they_left_nothing(world: World):
    hand = await world.hand()
    await world.send(message())
    full, idle = world.group("full"), world.group("idle")
    await full.read(10, 0.1)
    await idle.read(10, 0.01)
    await hand.group.bury_consumers()
    assert await _consumers(world) == {"full", "idle"}  # they asked a moment ago
    await idle.leave()
    await full.leave()
    assert await _consumers(world) == {"full"}
    await full.close()
    await idle.close()


async def test_old_entries_go_unless_somebody_has_not_read_them(world: World):
    hand = await world.hand()
    now = await hand.group.now_ms()
    minute = 60_000
    for age in (50, 40, 20, 10):
        await world.send(message(), id=f"{now - age * minute}-0")
    heir = claims(world, hand, trim=True)
    await world.redis.xgroup_create("node:status:stream", "slow", id="0")
    await hand.take()
    await heir.once()
    assert await world.redis.xlen("node:status:stream") == 4
    await world.redis.xreadgroup("slow", "one", {"node:status:stream": ">"}, count=2)
    await heir.once()
    assert await world.redis.xlen("node:status:stream") == 4  # they are not confirmed
    await world.redis.xack("node:status:stream", "slow", f"{now - 50 * minute}-0")
    await heir.once()
    assert await world.redis.xlen("node:status:stream") == 3
    await world.redis.xgroup_destroy("node:status:stream", "slow")
    await heir.once()
    assert await world.redis.xlen("node:status:stream") == 1
    assert hand.metric("stream_trimmed_entries_total") == 3
    await closed(heir)


async def test_workers_that_share_nodes_end_in_the_newest_row_and_never_in_each_others_way(
    world: World,
):
    hands = [await world.hand(consumer=f"w{number}") for number in range(3)]
    chance = random.Random(3)
    nodes = [f"n{number:02}" for number in range(30)]
    seqs = dict.fromkeys(nodes, 0)
    for _ in range(20):
        for node in chance.sample(nodes, 30):
            seqs[node] += 1
            await world.send(message(node, bootId=f"b-{node}", seq=seqs[node]), node)

    async def work(hand: Hand) -> None:
        mine = random.Random(hand.group.consumer)
        held: list[list] = []
        while entries := await hand.group.read(mine.randrange(3, 25), 0.01):
            held.append(entries)
            if mine.random() < 0.5:  # out of order, and once more
                await hand.worker.reader.take(held.pop(mine.randrange(len(held))))
                await hand.worker.reader.take(entries, again=True)
        for entries in held:
            await hand.worker.reader.take(entries)

    async with asyncio.TaskGroup() as group:
        for hand in hands:
            group.create_task(work(hand))
    rows = await world.statuses()
    assert {node: rows[node]["seq"] for node in nodes} == seqs
    assert await world.pending() == 0
    assert sum(hand.metric("failures_total", peer="postgres") for hand in hands) == 0


async def _consumers(world: World) -> set[str]:
    rows = await world.redis.xinfo_consumers("node:status:stream", "citadel-status-workers")
    return {row["name"].decode() for row in rows}
