"""What silence makes of nodes, written down by one worker at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from citadel_k8s.constants import STALE_INTERVALS
from citadel_k8s.domain.freshness import Ingest, Judged, StatusRow, judged
from citadel_k8s.domain.happenings import Happening
from citadel_k8s.domain.life import Policy
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.stores.postgres import statuswriting as sql
from citadel_k8s.stores.postgres.database import Connection, Database
from citadel_k8s.stores.postgres.events import Kept, keep
from citadel_k8s.stores.postgres.ingests import PARTITION, read_ingest
from citadel_k8s.stores.postgres.statuses import STATUS_COLUMNS, status_row

LOCK: Final = (0x63697461, 1)
"""Number of the advisory lock: the letters "cita", and the sweep of nodes."""

AT_ONCE: Final = 1000
"""Rows written in one transaction: workers wait for it 50 ms at most."""


@dataclass(frozen=True, slots=True)
class Restated:
    """A node of which something else is said now."""

    row: StatusRow
    now: Judged
    since: datetime


@dataclass(frozen=True, slots=True)
class Swept:
    """What was written; ``more`` if there was more than is written at once."""

    restated: list[Restated]
    events: list[Kept]
    more: bool


class Sweeps:
    """Judges all nodes.

    Parameters
    ----------
    database : Database
        Where they are.
    policy : Policy
        Of nodes that name no interval.
    partition : int
        The partition of the stream.
    """

    def __init__(self, database: Database, policy: Policy, partition: int = PARTITION) -> None:
        self._database = database
        self._policy = policy
        self._partition = partition

    async def sweep(self) -> Swept | None:
        """Judge and write; None if another worker is at it. DatabaseError if it is away."""
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                "SELECT pg_try_advisory_xact_lock(%s, %s) AS mine", LOCK
            )
            turn = await cursor.fetchone()
            if turn is None or not turn["mine"]:
                return None
            ingest = await read_ingest(connection, self._partition)
            changes = self._changes(await self._candidates(connection, ingest), ingest)
            kept = await _restate(connection, changes[:AT_ONCE])
            events = await keep(connection, [h for one in kept for h in _happened(one)])
        return Swept(kept, events, len(changes) > AT_ONCE)

    async def _candidates(self, connection: Connection, ingest: Ingest) -> list[StatusRow]:
        cursor = await connection.execute(
            sql.CANDIDATES.replace("{columns}", STATUS_COLUMNS),
            {
                "epoch": ingest.stream_epoch,
                "frontier": ingest.frontier_ms,
                "stale": STALE_INTERVALS,
                "default": self._policy.interval,
            },
        )
        return [status_row(row) for row in await cursor.fetchall()]

    def _changes(self, rows: Sequence[StatusRow], ingest: Ingest) -> list[Restated]:
        found: list[Restated] = []
        for row in rows:
            now = judged(row, ingest, self._policy)
            if (now.state, now.reason) != (row.state, row.state_reason):
                at_ms = ingest.frontier_ms if now.since_ms is None else now.since_ms
                moment = datetime.fromtimestamp(at_ms / 1000, tz=UTC)
                since = moment if now.state is not row.state else row.state_since
                found.append(Restated(row, now, since))
        return sorted(found, key=lambda one: (one.row.org_id, one.row.node_id))


async def _restate(connection: Connection, changes: Sequence[Restated]) -> list[Restated]:
    """Write other states; a row that spoke meanwhile is left as it is."""
    if not changes:
        return []
    cursor = await connection.execute(sql.LOCK, _keys(changes))
    now = {
        (row["org_id"], row["node_id"]): (row["stream_epoch"], row["stream_ms"], row["state"])
        for row in await cursor.fetchall()
    }
    kept = [
        one
        for one in changes
        if now.get((one.row.org_id, one.row.node_id))
        == (one.row.stream_epoch, one.row.stream_ms, one.row.state)
    ]
    columns = {
        "state": [str(one.now.state) for one in kept],
        "reason": [one.now.reason for one in kept],
        "since": [one.since for one in kept],
    }
    await connection.execute(sql.RESTATE, _keys(kept) | columns)
    return kept


def _happened(one: Restated) -> list[Happening]:
    row, now = one.row, one.now
    if now.state is row.state:
        return []
    at_ms = round(one.since.timestamp() * 1000)
    key = f"state:{row.stream_epoch}:{row.stream_ms}:{now.state}:{at_ms}"
    return [
        Happening(
            row.org_id, row.node_id, at_ms, "state", key, now.reason, now.message, 1,
            now.state, NodeState(row.state),
        )
    ]  # fmt: skip


def _keys(changes: Sequence[Restated]) -> dict[str, list[str] | list[datetime]]:
    return {
        "org": [one.row.org_id for one in changes],
        "node": [one.row.node_id for one in changes],
    }
