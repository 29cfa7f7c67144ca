"""Orgs: whom everything belongs to."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from psycopg.rows import class_row

from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.refused import refusing
from citadel_k8s.stores.postgres.secret import storable

NAME_LIMIT: Final = 200
"""Characters kept of an org's name."""

LIST_LIMIT: Final = 1000
"""Orgs given at once."""

_COLUMNS: Final = "org_id, name, daily_quota, created_at, disabled_at"


Owners = dict[str, list[str]]
"""Ids of orgs for each id asked."""


@dataclass(frozen=True, slots=True)
class Org:
    """An org; ``daily_quota`` in requests, None for the usual one."""

    org_id: str
    name: str
    daily_quota: int | None
    created_at: datetime
    disabled_at: datetime | None


class Orgs:
    """The orgs of a platform. Only the platform's own commands and the worker ask here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, org_id: str, name: str, *, daily_quota: int | None = None) -> Org:
        """Make an org.

        Raises
        ------
        RefusedError
            If it exists, or its id is not 1 to 128 of A-Z a-z 0-9 . _ -
        """
        with refusing(f"org {org_id[:128]!r}"):
            async with self._database.transaction() as connection:
                cursor = connection.cursor(row_factory=class_row(Org))
                await cursor.execute(
                    "INSERT INTO orgs (org_id, name, daily_quota) VALUES (%s, %s, %s)"
                    f" RETURNING {_COLUMNS}",
                    (org_id, storable(name, NAME_LIMIT), daily_quota),
                )
                (org,) = await cursor.fetchall()
        return org

    async def get(self, org_id: str) -> Org | None:
        """Give an org, disabled ones too; None if there is none."""
        async with self._database.tenant(org_id) as connection:
            cursor = connection.cursor(row_factory=class_row(Org))
            await cursor.execute(
                f"SELECT {_COLUMNS} FROM orgs WHERE org_id = %s", (storable(org_id, 129),)
            )
            return await cursor.fetchone()

    async def list(self, *, after: str = "", limit: int = LIST_LIMIT) -> tuple[Org, ...]:
        """Give the orgs behind an id, in the order of their ids."""
        async with self._database.transaction() as connection:
            cursor = connection.cursor(row_factory=class_row(Org))
            await cursor.execute(
                f"SELECT {_COLUMNS} FROM orgs WHERE org_id > %s ORDER BY org_id LIMIT %s",
                (after, min(limit, LIST_LIMIT)),
            )
            return tuple(await cursor.fetchall())

    async def disable(self, org_id: str) -> bool:
        """Lock an org out, at once: no credential of it counts. False if there is none."""
        return await self._set(
            "UPDATE orgs SET disabled_at = coalesce(disabled_at, now()) WHERE org_id = %s",
            (org_id,),
        )

    async def enable(self, org_id: str) -> bool:
        """Let an org in again. False if there is none."""
        return await self._set("UPDATE orgs SET disabled_at = NULL WHERE org_id = %s", (org_id,))

    async def set_quota(self, org_id: str, daily_quota: int | None) -> bool:
        """Set how many requests a day a credential of the org has; None for the usual number.

        Raises
        ------
        RefusedError
            If it is not positive.
        """
        with refusing("the quota"):
            return await self._set(
                "UPDATE orgs SET daily_quota = %s WHERE org_id = %s", (daily_quota, org_id)
            )

    async def org_of_node(self, node_ids: Collection[str]) -> Owners:
        """Give the orgs that have a node of such an id, most have one; unknown ids are left out.

        Neither disabled orgs nor decommissioned nodes count.
        """
        return await self._owners(
            "SELECT node_id AS id, array_agg(org_id ORDER BY org_id) AS orgs"
            " FROM nodes JOIN orgs USING (org_id) WHERE node_id = ANY(%s)"
            " AND decommissioned_at IS NULL AND disabled_at IS NULL GROUP BY node_id",
            node_ids,
        )

    async def org_of_headscale(self, headscale_ids: Collection[str]) -> Owners:
        """Give the orgs that have a node with such an id in the mesh, as `org_of_node`."""
        return await self._owners(
            "SELECT headscale_id AS id, array_agg(DISTINCT org_id ORDER BY org_id) AS orgs"
            " FROM nodes JOIN orgs USING (org_id) WHERE headscale_id = ANY(%s)"
            " AND decommissioned_at IS NULL AND disabled_at IS NULL GROUP BY headscale_id",
            headscale_ids,
        )

    async def _owners(self, query: LiteralString, ids: Collection[str]) -> Owners:
        if not ids:
            return {}
        async with self._database.transaction() as connection:
            cursor = await connection.execute(query, ([storable(name, 128) for name in ids],))
            return {str(row["id"]): list(row["orgs"]) for row in await cursor.fetchall()}

    async def _set(self, query: LiteralString, values: tuple[object, ...]) -> bool:
        async with self._database.transaction() as connection:
            return (await connection.execute(query, values)).rowcount > 0
