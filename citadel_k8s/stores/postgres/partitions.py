"""Days of history, events and the audit log: made ahead, and dropped whole when they have passed.

Any number of replicas may do this at once: each step is a short transaction under a lock that only
one of them gets; the others pass it over. Rows of a day that has no partition are kept in the
default one until theirs is made, or they have passed too.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, LiteralString

from psycopg import errors, sql

from citadel_k8s.config.server import Retention
from citadel_k8s.errors import DatabaseError
from citadel_k8s.stores.postgres.database import Connection, Database

DAYS_AHEAD: Final = 3
"""Days that are made ahead: housekeeping may be down over a weekend."""

DAYS_BACK: Final = 7
"""Days before today that rows are moved out of the default partition for: older ones, of entries
that are played back, are few and wait there until they have passed."""

LOCK_MILLISECONDS: Final = 500
"""How long a step waits for a table: whoever writes waits behind it, so no longer than this."""

STEP_TIMEOUT: Final = 60.0
"""Seconds for a step: a day of 10,000 nodes' history is 3 million rows to move, if it has to be."""

SWEEP_ROWS: Final = 10_000
"""Rows deleted from a default partition in one statement."""

_LOCK: Final = 0x6369_7461_0003


@dataclass(frozen=True, slots=True)
class Parted:
    """A table with a partition for each day; ``moment`` is the column that says of which."""

    name: LiteralString
    moment: LiteralString


HISTORY: Final = Parted("fabric_node_history", "bucket")
EVENTS: Final = Parted("fabric_events", "happened_at")
AUDIT: Final = Parted("audit_log", "happened_at")
PARTED: Final = (HISTORY, EVENTS, AUDIT)


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did.

    Attributes
    ----------
    changed
        Partitions that were made or dropped, be it by another that was at it too.
    postponed
        Those that were in use; the next run tries again.
    swept
        Rows that had passed without ever having had a partition of their day.
    """

    changed: tuple[str, ...] = ()
    postponed: tuple[str, ...] = ()
    swept: int = 0


async def ensure(database: Database, now: float, days_ahead: int = DAYS_AHEAD) -> Done:
    """Make the partitions of today and the days ahead; move rows that are already there into them.

    Parameters
    ----------
    database : Database
        Where.
    now : float
        Seconds since the epoch.
    days_ahead : int
        Days after today.

    Raises
    ------
    DatabaseError
        If the database cannot be asked.
    """
    today = _day(now)
    changed: list[str] = []
    postponed: list[str] = []
    for table in PARTED:
        days = {today + timedelta(days=ahead) for ahead in range(days_ahead + 1)}
        there = await _partitions(database, table)
        days |= await _strays(database, table, today, today + timedelta(days=days_ahead))
        for day in sorted(days):
            name = partition_name(table, day)
            if name not in there:
                done = await _step(database, name, _making(table, day), there=False)
                (changed if done else postponed).append(name)
    return Done(tuple(changed), tuple(postponed))


async def drop_expired(database: Database, now: float, retention: Retention) -> Done:
    """Drop the days that have passed, and delete as old rows from the default partitions.

    Raises
    ------
    DatabaseError
        If the database cannot be asked.
    """
    kept = {
        HISTORY.name: retention.history_days,
        EVENTS.name: retention.events_days,
        AUDIT.name: retention.audit_days,
    }
    changed: list[str] = []
    postponed: list[str] = []
    swept = 0
    for table in PARTED:
        first = _day(now) - timedelta(days=kept[table.name])
        for name in await _partitions(database, table):
            day = partition_day(table, name)
            if day is not None and day < first:
                done = await _step(database, name, _dropping(name), there=True)
                (changed if done else postponed).append(name)
        swept += await _sweep(database, table, first)
    return Done(tuple(changed), tuple(postponed), swept)


def partition_name(table: Parted, day: date) -> str:
    """Give the name of a day's partition."""
    return f"{table.name}_{day:%Y%m%d}"


def partition_day(table: Parted, name: str) -> date | None:
    """Give the day of a partition; None if its name is none of ours."""
    text = name.removeprefix(f"{table.name}_")
    if not (len(text) == 8 and text.isascii() and text.isdigit()):  # noqa: PLR2004 - yyyymmdd
        return None
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def _day(now: float) -> date:
    return datetime.fromtimestamp(now, UTC).date()


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


async def _partitions(database: Database, table: Parted) -> frozenset[str]:
    async with database.transaction() as connection:
        cursor = await connection.execute(
            "SELECT relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
            " WHERE inhparent = CAST(%s AS regclass)",
            (table.name,),
        )
        return frozenset(str(row["relname"]) for row in await cursor.fetchall())


async def _strays(database: Database, table: Parted, today: date, last: date) -> set[date]:
    """Give the days that have rows in the default partition and should not."""
    query = sql.SQL(
        "SELECT DISTINCT ({moment} AT TIME ZONE 'UTC')::date AS day FROM {default}"
        " WHERE {moment} >= {first} AND {moment} < {end}"
    ).format(
        moment=sql.Identifier(table.moment),
        default=_default(table),
        first=sql.Literal(_start(today - timedelta(days=DAYS_BACK))),
        end=sql.Literal(_start(last + timedelta(days=1))),
    )
    async with database.transaction(timeout=STEP_TIMEOUT) as connection:
        return {row["day"] for row in await (await connection.execute(query)).fetchall()}


async def _sweep(database: Database, table: Parted, first: date) -> int:
    query = sql.SQL(
        "DELETE FROM {default} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {default}"
        " WHERE {moment} < {first} LIMIT {rows}))"
    ).format(
        default=_default(table),
        moment=sql.Identifier(table.moment),
        first=sql.Literal(_start(first)),
        rows=sql.Literal(SWEEP_ROWS),
    )
    swept = 0
    while True:
        async with database.transaction(timeout=STEP_TIMEOUT) as connection:
            count = (await connection.execute(query)).rowcount
        swept += count
        if count < SWEEP_ROWS:
            return swept


async def _step(database: Database, name: str, statements: sql.Composed, *, there: bool) -> bool:
    """Do something to a partition that is there, or is not, unless somebody else has or is at it.

    False if a table was in use.
    """
    try:
        async with database.transaction(timeout=STEP_TIMEOUT) as connection:
            cursor = await connection.execute(
                "SELECT set_config('lock_timeout', %s, true),"
                " pg_try_advisory_xact_lock(%s) AS mine",
                (str(LOCK_MILLISECONDS), _LOCK),
            )
            (row,) = await cursor.fetchall()
            if row["mine"] and await _is_there(connection, name) == there:
                await connection.execute(statements)
    except DatabaseError as error:
        if isinstance(error.__cause__, (errors.LockNotAvailable, errors.DeadlockDetected)):
            return False
        raise
    return True


async def _is_there(connection: Connection, name: str) -> bool:
    cursor = await connection.execute("SELECT to_regclass(%s) IS NOT NULL AS there", (name,))
    (row,) = await cursor.fetchall()
    return bool(row["there"])


def _making(table: Parted, day: date) -> sql.Composed:
    # CREATE TABLE … PARTITION OF would lock out readers too. Writers have to wait: one that has
    # already chosen the default partition for its row would be refused there afterwards.
    return sql.SQL(
        "LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE;"
        " LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE;"
        " CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);"
        " WITH moved AS (DELETE FROM {default} WHERE {moment} >= {first} AND {moment} < {end}"
        " RETURNING *) INSERT INTO {name} SELECT * FROM moved;"
        " ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({end})"
    ).format(
        default=_default(table),
        name=sql.Identifier(partition_name(table, day)),
        table=sql.Identifier(table.name),
        moment=sql.Identifier(table.moment),
        first=sql.Literal(_start(day)),
        end=sql.Literal(_start(day + timedelta(days=1))),
    )


def _dropping(name: str) -> sql.Composed:
    return sql.SQL("DROP TABLE {name}").format(name=sql.Identifier(name))


def _default(table: Parted) -> sql.Identifier:
    return sql.Identifier(f"{table.name}_default")
