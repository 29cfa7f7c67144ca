"""How far the stream was taken in: one row per partition of the stream."""

from typing import Final

from citadel_k8s.domain.freshness import NOTHING_TAKEN_IN, Ingest
from citadel_k8s.stores.postgres.database import Connection

PARTITION: Final = 0
"""The partition of `constants.STATUS_STREAM`, which has one so far."""


async def read_ingest(connection: Connection, partition: int = PARTITION) -> Ingest:
    """Give how far the stream was taken in; `NOTHING_TAKEN_IN` before any worker looked."""
    cursor = await connection.execute(
        "SELECT frontier_ms, clear_since_ms, stream_epoch FROM fabric_ingest WHERE partition = %s",
        (partition,),
    )
    row = await cursor.fetchone()
    return Ingest(**row) if row else NOTHING_TAKEN_IN
