"""How far the stream was taken in: one row per partition of the stream."""

from typing import Final, LiteralString

from citadel_k8s.domain.freshness import NOTHING_TAKEN_IN, Ingest
from citadel_k8s.domain.frontier import Progress, View, advanced
from citadel_k8s.stores.postgres.database import Connection, Database

PARTITION: Final = 0
"""The partition of `constants.STATUS_STREAM`, which has one so far."""

LOOK_TIMEOUT: Final = 3.0
"""Seconds to write down a look: less than `domain.frontier.GAP_SECONDS`, so that none that is older
than the gap it would seem to end is written."""

_READ: Final[LiteralString] = (
    "SELECT stream_epoch, last_ms, last_seq, frontier_ms, clear_since_ms, looked_ms"
    " FROM fabric_ingest WHERE partition = %s"
)

_WRITE: Final = """
INSERT INTO fabric_ingest (
    partition, stream_epoch, last_ms, last_seq, frontier_ms, clear_since_ms, looked_ms, updated_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, clock_timestamp())
ON CONFLICT (partition) DO UPDATE SET
    stream_epoch = excluded.stream_epoch, last_ms = excluded.last_ms,
    last_seq = excluded.last_seq, frontier_ms = excluded.frontier_ms,
    clear_since_ms = excluded.clear_since_ms, looked_ms = excluded.looked_ms,
    updated_at = clock_timestamp()
"""


async def read_ingest(connection: Connection, partition: int = PARTITION) -> Ingest:
    """Give how far the stream was taken in; `NOTHING_TAKEN_IN` before any worker looked."""
    kept = await _read(connection, _READ, partition)
    return NOTHING_TAKEN_IN if kept is None else kept.ingest


class Ingests:
    """Keeps how far a partition was taken in."""

    def __init__(self, database: Database, partition: int = PARTITION) -> None:
        self._database = database
        self._partition = partition

    async def read(self) -> Progress | None:
        """Give what is kept; None before any worker looked. DatabaseError if it is away."""
        async with self._database.transaction(timeout=LOOK_TIMEOUT) as connection:
            return await _read(connection, _READ, self._partition)

    async def looked(self, view: View, *, before: Progress | None, lost: bool) -> Progress:
        """Write down a look, and give what is kept then.

        Parameters
        ----------
        view : View
            What was seen.
        before : Progress or None
            What was kept before the look, as `advanced` needs it.
        lost : bool
            Whether entries were lost unread since the last look.

        Raises
        ------
        DatabaseError
            If the database is away.
        """
        async with self._database.transaction(timeout=LOOK_TIMEOUT) as connection:
            kept = await _read(connection, _READ + " FOR UPDATE", self._partition)
            now = advanced(kept, view, before=before, lost=lost)
            values = (now.epoch, *now.last, now.frontier_ms, now.clear_since_ms, now.looked_ms)
            await connection.execute(_WRITE, (self._partition, *values))
        return now


async def _read(connection: Connection, query: LiteralString, partition: int) -> Progress | None:
    cursor = await connection.execute(query, (partition,))
    row = await cursor.fetchone()
    if row is None:
        return None
    return Progress(
        epoch=row["stream_epoch"],
        last=(row["last_ms"], row["last_seq"]),
        frontier_ms=row["frontier_ms"],
        clear_since_ms=row["clear_since_ms"],
        looked_ms=row["looked_ms"],
    )
