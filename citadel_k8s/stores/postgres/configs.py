"""What people ask of each node, and under which revision."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from citadel_k8s.stores.postgres.database import Database


@dataclass(frozen=True, slots=True)
class StoredConfig:
    """A configuration as it was asked for; ``changed_ms``: milliseconds since the epoch."""

    revision: str
    config: dict[str, Any]
    changed_ms: int
    changed_by: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A change that was not made: somebody else was first. ``revision`` is what there is now."""

    revision: str | None


Allowed = Callable[[str | None], bool]
"""Says of the revision that there is, None if there is none, whether it may be replaced."""

Effect = Callable[[StoredConfig | None], Awaitable[None]]
"""Does what belongs to a change, given what was before it; if it raises, nothing is changed."""

_READ: Final = """
    SELECT revision, config, (extract(epoch FROM changed_at) * 1000)::bigint, changed_by
    FROM node_configs WHERE org_id = %s AND node_id = %s
"""

# The node's row is there even before its first configuration is.
_LOCK: Final = "SELECT 1 FROM nodes WHERE org_id = %s AND node_id = %s FOR NO KEY UPDATE"

_WRITE: Final = """
    INSERT INTO node_configs (org_id, node_id, revision, config, changed_at, changed_by)
    VALUES (%(org)s, %(node)s, %(revision)s, %(config)s,
            to_timestamp(%(changed_ms)s / 1000.0), %(by)s)
    ON CONFLICT (org_id, node_id) DO UPDATE SET
        revision = excluded.revision, config = excluded.config,
        changed_at = excluded.changed_at, changed_by = excluded.changed_by
"""


class Configs:
    """Reads and replaces configurations.

    Parameters
    ----------
    database : Database
        Where they are. Every call raises `DatabaseError` when it is away.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, org_id: str, node_id: str) -> StoredConfig | None:
        """Give a node's configuration; None if nobody ever asked anything of it."""
        async with self._database.tenant(org_id) as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(_READ, (org_id, node_id))
            found = await cursor.fetchone()
        return None if found is None else StoredConfig(*found)

    async def replace(
        self, org_id: str, node_id: str, config: StoredConfig, *, allowed: Allowed, effect: Effect
    ) -> Refused | None:
        """Replace a node's configuration, one at a time, together with what belongs to it.

        The effect comes before the end of the transaction: what could not be sent is not stored
        either, and who asks again finds what they saw.
        """
        async with self._database.tenant(org_id) as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(_LOCK, (org_id, node_id))
            await cursor.execute(_READ, (org_id, node_id))
            found = await cursor.fetchone()
            before = None if found is None else StoredConfig(*found)
            revision = None if before is None else before.revision
            if not allowed(revision):
                return Refused(revision)
            given = {
                "org": org_id,
                "node": node_id,
                "revision": config.revision,
                "config": Jsonb(config.config),
                "changed_ms": config.changed_ms,
                "by": config.changed_by,
            }
            await cursor.execute(_WRITE, given)
            await effect(before)
        return None
