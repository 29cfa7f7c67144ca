"""What happened to an org's nodes, and how they fared: events and five-minute figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from psycopg.rows import tuple_row

from citadel_k8s.stores.postgres.database import Database

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_US: Final = 253_402_300_799_000_000


class EventRow(NamedTuple):
    """Something that happened; ``at_us`` is in microseconds since the epoch, exactly."""

    event_id: int
    at_us: int
    node_id: str
    kind: str
    state: str | None
    state_before: str | None
    reason: str
    message: str
    times: int


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; None is any. Moments: ``since`` is included, ``until`` is not."""

    node_id: str | None = None
    kinds: tuple[str, ...] | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class BucketRow(NamedTuple):
    """Means over one bucket; None where nothing was known. Units as in `models.views`."""

    bucket_ms: int
    beats: int
    cpu: float | None
    memory: float | None
    util: float | None
    util_max: float | None
    vram: float | None
    power: float | None
    running: float | None


class TrendRow(NamedTuple):
    """Means of one node over one stored bucket, ratios of 0 to 1; None where nothing was known."""

    node_id: str
    bucket_ms: int
    util: float | None
    vram: float | None


_EVENTS: Final = """
    SELECT event_id, (extract(epoch FROM happened_at) * 1000000)::bigint, node_id, kind, state,
           state_before, reason, message, count
    FROM fabric_events
    WHERE org_id = %(org)s
      AND (%(node)s::text IS NULL OR node_id = %(node)s)
      AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s))
      AND (%(reason)s::text IS NULL OR reason = %(reason)s)
      AND (%(since)s::timestamptz IS NULL OR happened_at >= %(since)s)
      AND (%(until)s::timestamptz IS NULL OR happened_at < %(until)s)
      AND (%(before)s::timestamptz IS NULL
           OR (happened_at, event_id) < (%(before)s, %(before_id)s::bigint))
    ORDER BY happened_at DESC, event_id DESC LIMIT %(limit)s
"""

# A mean of means would weigh a bucket with one heartbeat like one with ten.
_HISTORY: Final = """
    SELECT (floor(extract(epoch FROM bucket) / %(step)s) * %(step)s * 1000)::bigint AS at,
           sum(beats)::bigint,
           sum(cpu_sum) / nullif(sum(cpu_count), 0),
           sum(memory_sum) / nullif(sum(memory_count), 0),
           sum(util_sum) / nullif(sum(util_count), 0),
           max(util_max)::float8,
           sum(vram_sum) / nullif(sum(vram_count), 0),
           sum(power_sum) / nullif(sum(power_count), 0),
           sum(running_sum) / nullif(sum(running_count), 0)
    FROM fabric_node_history
    WHERE org_id = %(org)s AND node_id = %(node)s
      AND bucket >= to_timestamp(%(first)s) AND bucket < to_timestamp(%(end)s)
    GROUP BY at ORDER BY at
"""

TRENDS: Final = """
    SELECT node_id, (extract(epoch FROM bucket) * 1000)::bigint,
           util_sum / nullif(util_count, 0), vram_sum / nullif(vram_count, 0)
    FROM fabric_node_history
    WHERE org_id = %(org)s AND node_id = ANY(%(nodes)s)
      AND bucket >= to_timestamp(%(first)s) AND bucket < to_timestamp(%(end)s)
"""
"""Buckets of some nodes as they are stored."""


class Past:
    """Reads what is over.

    Parameters
    ----------
    database : Database
        Where it is. Every call raises `DatabaseError` when it is away.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def events(
        self, org_id: str, which: EventFilter, *, before: tuple[int, int] | None, limit: int
    ) -> list[EventRow]:
        """Give events, the newest first, at most ``limit``.

        Parameters
        ----------
        before : tuple of int or None
            Microseconds and id of the event after which to go on.
        """
        given: dict[str, Any] = {
            "org": org_id,
            "node": which.node_id,
            "kinds": None if which.kinds is None else list(which.kinds),
            "reason": which.reason,
            "since": which.since,
            "until": which.until,
            "before": None if before is None else _moment(before[0]),
            "before_id": None if before is None else before[1],
            "limit": limit,
        }
        async with self._database.tenant(org_id) as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(_EVENTS, given)
            return [EventRow._make(row) for row in await cursor.fetchall()]

    async def history(
        self, org_id: str, node_id: str, *, first: int, end: int, step: int
    ) -> list[BucketRow]:
        """Give the buckets of ``step`` seconds that hold anything, the oldest first.

        ``first`` and ``end`` are seconds since the epoch; ``end`` is not included.
        """
        given = {"org": org_id, "node": node_id, "first": first, "end": end, "step": step}
        async with self._database.tenant(org_id) as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(_HISTORY, given)
            return [BucketRow._make(row) for row in await cursor.fetchall()]

    async def trends(
        self, org_id: str, node_ids: Sequence[str], *, first: int, end: int
    ) -> list[TrendRow]:
        """Give the stored buckets of some nodes, in no order; moments as in `history`."""
        given = {"org": org_id, "nodes": list(node_ids), "first": first, "end": end}
        async with self._database.tenant(org_id) as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(TRENDS, given)
            return [TrendRow._make(row) for row in await cursor.fetchall()]


def _moment(microseconds: int) -> datetime:
    """Give a moment; what no calendar has is its first or last one."""
    return _EPOCH + timedelta(microseconds=min(max(0, microseconds), _LAST_US))
