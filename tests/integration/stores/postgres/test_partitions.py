"""Days of the large tables on a real server: made ahead, dropped in time, writers unharmed."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from citadel_k8s.config.server import Retention
from citadel_k8s.stores.postgres.audit import Audit, AuditEntry
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.partitions import drop_expired, ensure

TODAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW = TODAY.timestamp()
DAY = timedelta(days=1)
TABLES = ("fabric_node_history", "fabric_events", "audit_log")


async def children(database: Database, table: str = "audit_log") -> list[str]:
    async with database.transaction() as connection:
        cursor = await connection.execute(
            "SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
            " WHERE inhparent = CAST(%s AS regclass) ORDER BY 1",
            (table,),
        )
        return [row["relname"] for row in await cursor.fetchall()]


async def add(database: Database, *moments: datetime) -> None:
    """Add a row of each table for each moment."""
    async with database.transaction() as connection:
        for moment in moments:
            await connection.execute(
                "INSERT INTO fabric_node_history (org_id, node_id, bucket, beats)"
                " VALUES ('acme', 'n', %s, 1)",
                (moment,),
            )
            await connection.execute(
                "INSERT INTO fabric_events (org_id, node_id, happened_at, kind, reason, dedup)"
                " VALUES ('acme', 'n', %s, 'state', 'r', 'd')",
                (moment,),
            )
    await Audit(database).append(
        [AuditEntry("acme", "s", "a", happened_at=moment) for moment in moments]
    )


async def count(database: Database, table: str) -> int:
    async with database.transaction() as connection:
        cursor = await connection.execute(
            sql.SQL("SELECT count(*) AS n FROM {}").format(sql.Identifier(table))
        )
        return (await cursor.fetchall())[0]["n"]


async def test_today_and_the_days_ahead_are_made_once(database: Database) -> None:
    done = await ensure(database, NOW, 2)
    assert len(done.changed) == 9
    assert done.postponed == ()
    for table in TABLES:
        assert await children(database, table) == [
            *(f"{table}_202611{day}" for day in (23, 24, 25)),
            f"{table}_default",
        ]
    assert (await ensure(database, NOW, 2)).changed == ()
    assert len((await ensure(database, NOW + 86400, 2)).changed) == 3


async def test_rows_go_to_their_day_by_utc_at_both_ends(database: Database) -> None:
    await ensure(database, NOW, 1)
    midnight = TODAY.replace(hour=0)
    await add(database, midnight, midnight + DAY - timedelta(microseconds=1), midnight + DAY)
    for table in TABLES:
        assert await count(database, f"{table}_20261123") == 2
        assert await count(database, f"{table}_20261124") == 1
        assert await count(database, f"{table}_default") == 0


async def test_rows_that_came_before_their_partition_are_moved_into_it(
    database: Database,
) -> None:
    await add(database, TODAY, TODAY - DAY, TODAY - 2 * DAY)
    before = (await Audit(database).list("acme")).rows
    done = await ensure(database, NOW, 0)
    assert len(done.changed) == 9
    for table in TABLES:
        assert await count(database, table) == 3
        assert await count(database, f"{table}_default") == 0
    assert (await Audit(database).list("acme")).rows == before
    await add(database, TODAY + timedelta(seconds=1))
    assert len((await Audit(database).list("acme")).rows) == 4


async def test_rows_of_a_future_that_is_too_far_stay_where_they_are(database: Database) -> None:
    await add(database, TODAY + 400 * DAY)
    assert len((await ensure(database, NOW, 1)).changed) == 6
    for table in TABLES:
        assert await count(database, f"{table}_default") == 1


async def test_days_go_when_they_have_passed_each_table_in_its_time(database: Database) -> None:
    for back in (20, 14, 3, 0):
        await ensure(database, NOW - back * 86400, 0)
    await add(database, TODAY - 20 * DAY, TODAY - 14 * DAY, TODAY - 3 * DAY, TODAY)
    kept = Retention(history_days=14, events_days=2, audit_days=365)
    done = await drop_expired(database, NOW, kept)
    assert set(done.changed) == {
        "fabric_node_history_20261103",
        "fabric_events_20261103",
        "fabric_events_20261109",
        "fabric_events_20261120",
    }
    assert await count(database, "fabric_node_history") == 3
    assert await count(database, "fabric_events") == 1
    assert await count(database, "audit_log") == 4
    assert (await drop_expired(database, NOW, kept)).changed == ()


async def test_rows_played_back_for_a_dropped_day_are_kept_until_the_next_sweep(
    database: Database,
) -> None:
    await ensure(database, NOW, 0)
    await add(database, TODAY - 100 * DAY, TODAY - 100 * DAY + timedelta(hours=1), TODAY)
    assert await count(database, "fabric_events") == 3
    await ensure(database, NOW, 0)
    done = await drop_expired(database, NOW, Retention(audit_days=10, history_days=10))
    assert done.swept == 6
    for table in TABLES:
        assert await count(database, table) == 1


async def test_a_partition_that_somebody_else_made_by_hand_stays(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            "CREATE TABLE audit_log_archive PARTITION OF audit_log"
            " FOR VALUES FROM ('2020-01-01') TO ('2020-02-01')"
        )
    await drop_expired(database, NOW, Retention())
    assert "audit_log_archive" in await children(database)


async def test_many_leaders_at_once_do_no_harm(database: Database, schema_url: str) -> None:
    await add(database, TODAY, TODAY - DAY)
    await ensure(database, NOW - 30 * 86400, 0)
    pools = [Database(schema_url) for _ in range(6)]
    try:
        async with asyncio.TaskGroup() as group:
            for pool in pools:
                group.create_task(ensure(pool, NOW, 3))
                group.create_task(drop_expired(pool, NOW, Retention(audit_days=5)))
    finally:
        for pool in pools:
            await pool.close()
    await ensure(database, NOW, 3)
    await drop_expired(database, NOW, Retention(audit_days=5))
    for table in TABLES:
        assert await count(database, table) == 2
        assert await count(database, f"{table}_default") == 0
    assert await children(database) == [
        *(f"audit_log_202611{day}" for day in (22, 23, 24, 25, 26)),
        "audit_log_default",
    ]


async def test_a_table_in_use_is_left_to_the_next_run_and_writers_wait_but_shortly(
    database: Database, schema_url: str
) -> None:
    await ensure(database, NOW - 30 * 86400, 0)
    loop = asyncio.get_running_loop()
    longest = 0.0
    stop = asyncio.Event()

    async def write() -> None:
        nonlocal longest
        while not stop.is_set():
            began = loop.time()
            await Audit(database).append([AuditEntry("acme", "s", "a", happened_at=TODAY)])
            longest = max(longest, loop.time() - began)

    reader = await psycopg.AsyncConnection.connect(schema_url)
    try:
        await reader.execute("SELECT count(*) FROM audit_log")  # holds its locks until it ends
        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            dropped = await drop_expired(database, NOW, Retention(audit_days=1))
            made = await ensure(database, NOW, 0)
            stop.set()
    finally:
        await reader.close()
    assert dropped.postponed == ("audit_log_20261024",)
    assert made.postponed == ("audit_log_20261123",)
    assert longest < 2
    again = await ensure(database, NOW, 0)
    assert again.changed == ("audit_log_20261123",)
    assert (await drop_expired(database, NOW, Retention(audit_days=1))).changed == (
        "audit_log_20261024",
    )
    assert await count(database, "audit_log_default") == 0


async def test_nothing_is_lost_while_days_are_made_and_dropped_under_load(
    database: Database,
) -> None:
    stop = asyncio.Event()
    written = 0

    async def write() -> None:
        nonlocal written
        while not stop.is_set():
            moments = [TODAY + day * DAY for day in range(6)]
            await Audit(database).append(
                [AuditEntry("acme", "s", "a", happened_at=moment) for moment in moments]
            )
            written += 6

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(write())
        for day in range(6):
            await ensure(database, NOW + day * 86400, 0)
            await ensure(database, NOW - 40 * 86400, 0)
            await drop_expired(database, NOW, Retention(audit_days=30))
        stop.set()
    assert written > 0
    assert await count(database, "audit_log") == written


@pytest.mark.parametrize("table", TABLES)
async def test_a_new_day_has_all_indexes_and_checks_of_its_table(
    database: Database, table: str
) -> None:
    await ensure(database, NOW, 0)
    async with database.transaction() as connection:
        cursor = await connection.execute(
            "SELECT (SELECT count(*) FROM pg_index WHERE indrelid = c.oid) AS indexes,"
            " (SELECT count(*) FROM pg_constraint WHERE conrelid = c.oid AND contype IN"
            " ('p', 'u', 'c')) AS constraints"
            " FROM pg_class c WHERE relname IN (%s, %s)",
            (table, f"{table}_20261123"),
        )
        parent, day = await cursor.fetchall()
    assert parent == day
