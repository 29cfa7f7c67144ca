"""What happened to nodes: `fabric_events`, each thing once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from citadel_k8s.domain.happenings import Happening
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.stores.postgres.database import Connection

_GIVEN: Final = """
unnest(
    %(org)s::text[], %(node)s::text[], %(at)s::timestamptz[], %(kind)s::text[], %(state)s::text[],
    %(before)s::text[], %(reason)s::text[], %(message)s::text[], %(count)s::int[],
    %(dedup)s::text[]
) AS g (org_id, node_id, happened_at, kind, state, state_before, reason, message, count, dedup)
"""

_KEEP: Final = f"""
INSERT INTO fabric_events (
    org_id, node_id, happened_at, kind, state, state_before, reason, message, count, dedup)
SELECT g.* FROM {_GIVEN}
WHERE NOT EXISTS (
    SELECT FROM fabric_events e
    WHERE e.org_id = g.org_id AND e.node_id = g.node_id AND e.dedup = g.dedup)
ORDER BY g.org_id, g.node_id, g.dedup, g.happened_at
ON CONFLICT DO NOTHING
RETURNING event_id, org_id, node_id, dedup
"""

_THERE: Final = f"""
SELECT e.event_id, e.org_id, e.node_id, e.dedup, e.reason, e.state_before
FROM fabric_events e JOIN {_GIVEN}
    ON e.org_id = g.org_id AND e.node_id = g.node_id AND e.dedup = g.dedup
    AND e.happened_at = g.happened_at
"""


class Kept(NamedTuple):
    """An event, and the number under which it is kept."""

    event_id: int
    happening: Happening


async def keep(connection: Connection, happenings: Sequence[Happening]) -> list[Kept]:
    """Insert what is not there yet, and give that with its number."""
    if not happenings:
        return []
    cursor = await connection.execute(_KEEP, _values(happenings))
    known = {(h.org_id, h.node_id, h.dedup): h for h in happenings}
    found = [
        Kept(row["event_id"], known[row["org_id"], row["node_id"], row["dedup"]])
        for row in await cursor.fetchall()
    ]
    return sorted(found, key=lambda kept: kept.event_id)


async def recall(connection: Connection, happenings: Sequence[Happening]) -> list[Kept]:
    """Give those that are there already, as they are kept."""
    if not happenings:
        return []
    cursor = await connection.execute(_THERE, _values(happenings))
    known = {(h.org_id, h.node_id, h.dedup): h for h in happenings}
    found: list[Kept] = []
    for row in await cursor.fetchall():
        happening = known[row["org_id"], row["node_id"], row["dedup"]]
        before = row["state_before"]
        happening = happening._replace(
            reason=row["reason"], before=None if before is None else NodeState(before)
        )
        found.append(Kept(row["event_id"], happening))
    return sorted(found, key=lambda kept: kept.event_id)


def _values(happenings: Sequence[Happening]) -> dict[str, Any]:
    return {
        "org": [h.org_id for h in happenings],
        "node": [h.node_id for h in happenings],
        "at": [datetime.fromtimestamp(h.at_ms / 1000, tz=UTC) for h in happenings],
        "kind": [h.kind for h in happenings],
        "state": [None if h.state is None else str(h.state) for h in happenings],
        "before": [None if h.before is None else str(h.before) for h in happenings],
        "reason": [h.reason for h in happenings],
        "message": [h.message for h in happenings],
        "count": [h.times for h in happenings],
        "dedup": [h.dedup for h in happenings],
    }
