"""Where five-minute sums go: `fabric_node_history`, by addition."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, LiteralString

from citadel_k8s.domain.buckets import FIGURES, BucketKey, Sums
from citadel_k8s.stores.postgres.database import Database

_ADD: Final[LiteralString] = """
    INSERT INTO fabric_node_history AS h (
        org_id, node_id, bucket, beats, util_max,
        cpu_sum, cpu_count, memory_sum, memory_count, util_sum, util_count,
        vram_sum, vram_count, power_sum, power_count, running_sum, running_count)
    SELECT * FROM unnest(
        %s::text[], %s::text[], %s::timestamptz[], %s::int[], %s::real[],
        %s::float8[], %s::int[], %s::float8[], %s::int[], %s::float8[], %s::int[],
        %s::float8[], %s::int[], %s::float8[], %s::int[], %s::float8[], %s::int[])
    ON CONFLICT (org_id, node_id, bucket) DO UPDATE SET
        beats = h.beats + excluded.beats,
        util_max = greatest(h.util_max, excluded.util_max),
        cpu_sum = coalesce(h.cpu_sum, 0) + coalesce(excluded.cpu_sum, 0),
        cpu_count = h.cpu_count + excluded.cpu_count,
        memory_sum = coalesce(h.memory_sum, 0) + coalesce(excluded.memory_sum, 0),
        memory_count = h.memory_count + excluded.memory_count,
        util_sum = coalesce(h.util_sum, 0) + coalesce(excluded.util_sum, 0),
        util_count = h.util_count + excluded.util_count,
        vram_sum = coalesce(h.vram_sum, 0) + coalesce(excluded.vram_sum, 0),
        vram_count = h.vram_count + excluded.vram_count,
        power_sum = coalesce(h.power_sum, 0) + coalesce(excluded.power_sum, 0),
        power_count = h.power_count + excluded.power_count,
        running_sum = coalesce(h.running_sum, 0) + coalesce(excluded.running_sum, 0),
        running_count = h.running_count + excluded.running_count
"""


class HistoryTable:
    """Adds sums to what is stored.

    Parameters
    ----------
    database : Database
        Where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, sums: Mapping[BucketKey, Sums]) -> None:
        """Add them all, or none.

        Raises
        ------
        DatabaseError
            None was added.
        """
        ordered = sorted(sums.items())  # one order for all workers: no deadlocks
        columns: list[list[Any]] = [
            [key.org_id for key, _ in ordered],
            [key.node_id for key, _ in ordered],
            [datetime.fromtimestamp(key.bucket_ms / 1000, UTC) for key, _ in ordered],
            [value.beats for _, value in ordered],
            [value.util_max for _, value in ordered],
        ]
        for name in FIGURES:
            columns.append([value.sums.get(name) for _, value in ordered])
            columns.append([value.counts.get(name, 0) for _, value in ordered])
        async with self._database.transaction() as connection:
            await connection.execute(_ADD, columns)
