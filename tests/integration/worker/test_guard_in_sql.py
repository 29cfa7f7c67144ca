"""The guard in the database and the rule in the domain are one: held together by chance."""

import random

from citadel_k8s.domain.ingest import Course, Verdict, Word
from citadel_k8s.domain.life import Policy
from citadel_k8s.domain.position import Position, Standing, followed, wins
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.stores.postgres.statuses import Statuses
from tests.integration.worker.conftest import World

BOOTS = (None, "a", "b", "c")


def word(node_id: str, position: Position, interval: float | None) -> Word:
    return Word(
        "acme", node_id, position, None, interval, Verdict(NodeState.ONLINE),
        {}, '{"name":"n"}', b"d", b"{}",
    )  # fmt: skip


async def test_random_courses_of_messages_end_in_the_same_row_by_sql_and_by_the_rule(
    world: World,
):
    chance = random.Random(7)
    statuses = Statuses(world.database, Policy())
    await world.do(
        "INSERT INTO fabric_ingest (partition, stream_epoch, last_ms, last_seq, frontier_ms,"
        " clear_since_ms, looked_ms) VALUES (0, 9, 0, 0, 0, 0, 0)"
    )
    nodes = [f"n{number:03}" for number in range(150)]
    known: dict[str, Standing] = {}
    for step in range(25):
        words: list[Word] = []
        for node in nodes:
            boot = chance.choice(BOOTS)
            position = Position(
                9,
                chance.choice((1000, 2000, 40_000, 90_000)) + chance.randrange(3) * step,
                chance.randrange(2),
                boot,
                None if boot is None or chance.random() < 0.1 else chance.randrange(1, 6),
            )
            words.append(word(node, position, chance.choice((None, 5.0, 30.0))))
        written = await statuses.write(
            [Course([one]) for one in words], adopt=[one.key for one in words], epoch=9
        )
        won = {one.word.node_id for one in written.won}
        for one in words:
            old = known.get(one.node_id)
            expected = old is None or wins(one.position, old)
            assert (one.node_id in won) is expected, (one.position, old)
            if expected:
                known[one.node_id] = (
                    followed(one.position, old, interval=one.interval)
                    if old
                    else Standing(one.position, one.interval)
                )
    rows = await world.statuses()
    for node, standing in known.items():
        row = rows[node]
        assert (row["boot_id"], row["seq"]) == (standing.last.boot_id, standing.last.seq)
        assert (row["stream_ms"], row["stream_seq"]) == standing.last.place
        assert tuple(row["former_boots"]) == standing.former
