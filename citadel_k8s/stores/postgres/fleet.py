"""What is stored of an org's nodes, to be read: many rows at once and one in full.

Nothing is judged in here. JSON comes as the text that PostgreSQL makes of it, so that whoever
passes it on need not read it; moments come as milliseconds since the epoch. How far ingest is gets
read before the rows: a row that is newer than that was heard of in time, the other way round a
node would seem silent that is not.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

from psycopg.rows import tuple_row

from citadel_k8s.stores.postgres.database import Connection, Database

ROW_BATCH: Final = 500
"""Rows taken over at once; between two batches the loop serves others."""


class FleetRow(NamedTuple):
    """One node as the list needs it.

    ``labels``, ``pulse`` and ``profile`` are JSON text; all after ``decommissioned_ms`` is None
    for a node that never reported. Intervals in seconds, moments in milliseconds.
    """

    node_id: str
    name: str | None
    headscale_id: str | None
    addresses: list[str]
    labels: str | None
    mesh_online: bool | None
    mesh_seen_ms: int | None
    decommissioned_ms: int | None
    boot_id: str | None
    stream_epoch: int | None
    stream_ms: int | None
    interval_seconds: float | None
    verdict: str | None
    reason: str | None
    message: str | None
    draining_until_ms: int | None
    state: str | None
    state_reason: str | None
    state_since_ms: int | None
    pulse: str | None
    profile: str | None


class IngestRow(NamedTuple):
    """How far one partition of the stream is ingested; ``lag_seconds``: since that was written."""

    partition: int
    stream_epoch: int
    frontier_ms: int
    clear_since_ms: int
    lag_seconds: float


@dataclass(frozen=True, slots=True)
class Ingested:
    """How far ingest is, by partition, and the database's own clock."""

    partitions: tuple[IngestRow, ...]
    now_ms: int


@dataclass(frozen=True, slots=True)
class FleetRows:
    """All nodes of an org, in no order."""

    rows: list[FleetRow]
    ingested: Ingested


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node; ``status`` is the last status at the time when its slow parts last changed."""

    row: FleetRow
    ingested: Ingested
    status: dict[str, Any] | None
    config: dict[str, Any] | None


class ServicesRow(NamedTuple):
    """What one node runs and can: ``services`` and ``tags`` are lists as they travelled."""

    node_id: str
    services: Any
    tags: Any


_COLUMNS: Final = """
    n.node_id, n.name, n.headscale_id, n.addresses,
    CASE WHEN n.labels = '{}' THEN NULL ELSE n.labels::text END,
    n.mesh_online,
    (extract(epoch FROM n.mesh_seen_at) * 1000)::bigint,
    (extract(epoch FROM n.decommissioned_at) * 1000)::bigint,
    s.boot_id, s.stream_epoch, s.stream_ms, s.interval_seconds, s.verdict, s.reason, s.message,
    s.draining_until_ms, s.state, s.state_reason,
    (extract(epoch FROM s.state_since) * 1000)::bigint,
    s.pulse::text, d.profile::text
"""

_TABLES: Final = """
    nodes n
    LEFT JOIN fabric_node_status s ON s.org_id = n.org_id AND s.node_id = n.node_id
    LEFT JOIN fabric_node_detail d ON d.org_id = n.org_id AND d.node_id = n.node_id
"""

_ALL: Final = f"SELECT {_COLUMNS} FROM {_TABLES} WHERE n.org_id = %s"

_ONE: Final = (
    f"SELECT {_COLUMNS}, d.status, c.config"
    f" FROM {_TABLES}"
    " LEFT JOIN node_configs c ON c.org_id = n.org_id AND c.node_id = n.node_id"
    " WHERE n.org_id = %s AND (n.node_id = %s OR n.headscale_id = %s)"
    " ORDER BY (n.node_id = %s) DESC, n.node_id LIMIT 1"
)

_INGESTED: Final = """
    SELECT partition, stream_epoch, frontier_ms, clear_since_ms,
           greatest(0, extract(epoch FROM clock_timestamp() - updated_at))::float8
    FROM fabric_ingest ORDER BY partition
"""

_CLOCK: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"

# A status lies there wrapped or bare, as it came.
_SERVICES: Final = """
    SELECT node_id,
           coalesce(status #> '{status,services}', status -> 'services'),
           coalesce(status #> '{status,capabilities,tags}', status #> '{capabilities,tags}')
    FROM fabric_node_detail WHERE org_id = %s
"""

_DECOMMISSION: Final = """
    UPDATE nodes SET decommissioned_at = now()
    WHERE org_id = %s AND node_id = %s AND decommissioned_at IS NULL
"""

# Of nodes that were given up, too: the machine may answer on, and the mesh takes addresses back.
_ELSEWHERE: Final = """
    SELECT DISTINCT unnest(addresses) FROM nodes WHERE addresses && %s AND org_id <> %s
"""

_CLAIMED: Final = """
    SELECT DISTINCT profile ->> 'address' FROM fabric_node_detail
    WHERE profile ->> 'address' = ANY(%s) AND org_id <> %s
"""


class Fleet:
    """Reads an org's nodes as a role that sees no others.

    Parameters
    ----------
    database : Database
        Where they are. Every call raises `DatabaseError` when it is away.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rows(self, org_id: str) -> FleetRows:
        """Give all nodes of an org."""
        async with self._database.tenant(org_id) as connection:
            ingested = await _ingested(connection)
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(_ALL, (org_id,))
            rows: list[FleetRow] = []
            while batch := await cursor.fetchmany(ROW_BATCH):
                rows.extend(map(FleetRow._make, batch))
                await asyncio.sleep(0)
        return FleetRows(rows, ingested)

    async def node(self, org_id: str, name: str) -> NodeRow | None:
        """Give the node of an id, or of an id in the mesh; None if the org has none of either."""
        async with self._database.tenant(org_id) as connection:
            ingested = await _ingested(connection)
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(_ONE, (org_id, name, name, name))
            found = await cursor.fetchone()
        if found is None:
            return None
        *columns, status, config = found
        return NodeRow(FleetRow._make(columns), ingested, status, config)

    async def services(self, org_id: str) -> list[ServicesRow]:
        """Give what the nodes run and can, of those that ever said so."""
        async with self._database.tenant(org_id) as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(_SERVICES, (org_id,))
            return [ServicesRow._make(row) for row in await cursor.fetchall()]

    async def decommission(self, org_id: str, node_id: str) -> bool:
        """Give a node up; False if it was given up before, or is none of the org's."""
        async with self._database.tenant(org_id) as connection:
            cursor = await connection.execute(_DECOMMISSION, (org_id, node_id))
            return cursor.rowcount > 0

    async def others_at(
        self, org_id: str, addresses: Collection[str], *, claimed: bool = False
    ) -> frozenset[str]:
        """Give those of some addresses under which the mesh knows a node of another org.

        It tells nothing of whose they are: it is the fence between orgs for a node that claims
        the address of another one's. Within an org one machine may have two names.

        Parameters
        ----------
        claimed : bool
            Whether those count, too, that another org's node merely says it has.
        """
        if not addresses:
            return frozenset()
        wanted = list(addresses)
        async with self._database.transaction() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(_ELSEWHERE, (wanted, org_id))
            rows = await cursor.fetchall()
            if claimed:
                await cursor.execute(_CLAIMED, (wanted, org_id))
                rows += await cursor.fetchall()
        found = {cast("str", row[0]) for row in rows}
        return frozenset(found.intersection(wanted))


async def _ingested(connection: Connection) -> Ingested:
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(_INGESTED)
    partitions = tuple(IngestRow._make(row) for row in await cursor.fetchall())
    await cursor.execute(_CLOCK)
    clock = await cursor.fetchone()
    return Ingested(partitions, int(clock[0]) if clock else 0)
