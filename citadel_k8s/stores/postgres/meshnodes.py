"""What the mesh says of nodes, in `nodes`: one worker at a time writes it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, LiteralString

from citadel_k8s.domain.mesh import Machine, MeshNode, MeshPlan, StoredNode, plan
from citadel_k8s.stores.postgres.database import Connection, Database

LOCK: Final = 0x6D657368
"""Number of the lock that one worker holds while it writes; ``mesh`` in ASCII."""

WRITE_SECONDS: Final = 30.0
"""Seconds for one round: ten thousand rows take two."""

_STORED: Final[LiteralString] = """
    SELECT n.org_id, n.node_id, n.headscale_id, n.source, s.node_id IS NOT NULL AS reported
    FROM nodes n LEFT JOIN fabric_node_status s USING (org_id, node_id)
    WHERE n.decommissioned_at IS NULL OR n.headscale_id IS NOT NULL
"""

_WRITE: Final[LiteralString] = """
    INSERT INTO nodes (org_id, node_id, name, headscale_id, addresses, source, owner,
                       mesh_online, mesh_seen_at)
    VALUES (%s, %s, %s, %s, %s, 'mesh', %s, %s, %s)
    ON CONFLICT (org_id, node_id) DO UPDATE SET
        name = coalesce(nodes.name, excluded.name), headscale_id = excluded.headscale_id,
        addresses = excluded.addresses, owner = excluded.owner,
        mesh_online = excluded.mesh_online, mesh_seen_at = excluded.mesh_seen_at
    WHERE (nodes.headscale_id, nodes.addresses, nodes.owner, nodes.mesh_online,
           nodes.mesh_seen_at) IS DISTINCT FROM
          (excluded.headscale_id, excluded.addresses, excluded.owner, excluded.mesh_online,
           excluded.mesh_seen_at)
"""

_LEFT: Final[LiteralString] = """
    UPDATE nodes SET addresses = '{}', mesh_online = NULL, headscale_id = NULL
    WHERE org_id = %s AND node_id = %s AND headscale_id = %s
"""

_DELETE: Final[LiteralString] = """
    DELETE FROM nodes n WHERE org_id = %s AND node_id = %s AND source = 'mesh'
    AND NOT EXISTS (SELECT FROM fabric_node_status s
                    WHERE s.org_id = n.org_id AND s.node_id = n.node_id)
"""


class MeshNodes:
    """Writes what the mesh says.

    Parameters
    ----------
    database : Database
        Where it goes.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, seen: Sequence[tuple[str, Machine]]) -> MeshPlan | None:
        """Make the stored nodes agree with the machines that were seen, each with its org.

        Machines of orgs that do not exist are left out.

        Returns
        -------
        MeshPlan or None
            What was changed; None if another worker is at it.

        Raises
        ------
        DatabaseError
            Nothing was changed.
        """
        async with self._database.transaction(timeout=WRITE_SECONDS) as connection:
            cursor = await connection.execute(
                "SELECT pg_try_advisory_xact_lock(%s) AS ours", (LOCK,)
            )
            (row,) = await cursor.fetchall()
            if not row["ours"]:
                return None
            orgs = {r["org_id"] for r in await _rows(connection, "SELECT org_id FROM orgs")}
            stored = [StoredNode(**row) for row in await _rows(connection, _STORED)]
            changes = plan(stored, [(org, machine) for org, machine in seen if org in orgs])
            await _apply(connection, changes)
            return changes


async def _rows(connection: Connection, query: LiteralString) -> list[dict[str, Any]]:
    return await (await connection.execute(query)).fetchall()


async def _apply(connection: Connection, changes: MeshPlan) -> None:
    gone = [(node.org_id, node.node_id) for node in changes.delete]
    left = [(node.org_id, node.node_id, node.headscale_id) for node in changes.left]
    written = sorted(changes.write, key=lambda node: (node.org_id, node.node_id))
    async with connection.cursor() as cursor:
        if gone:
            await cursor.executemany(_DELETE, gone)
        if left:
            await cursor.executemany(_LEFT, left)
        if written:
            await cursor.executemany(_WRITE, [_row(node) for node in written])


def _row(node: MeshNode) -> tuple[Any, ...]:
    machine = node.machine
    seen = None if machine.seen_at is None else datetime.fromtimestamp(machine.seen_at, UTC)
    return (
        node.org_id,
        node.node_id,
        machine.name,
        machine.headscale_id,
        list(machine.addresses),
        machine.owner,
        machine.online,
        seen,
    )
