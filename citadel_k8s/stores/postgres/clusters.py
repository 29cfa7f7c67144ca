"""Clusters whose service accounts are believed, and the keys that sign their tokens."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.refused import RefusedError, refusing
from citadel_k8s.stores.postgres.secret import storable

URL_LIMIT: Final = 2048
"""Characters of an issuer or an audience."""

KEYS_MAX: Final = 64 * 1024
"""Bytes of a cluster's keys: it has two or three, of 400 bytes each."""

LIST_LIMIT: Final = 1000
"""Clusters given at once."""

_COLUMNS: Final = (
    "c.cluster_id, c.org_id, c.issuer, c.audience, c.jwks, c.service_accounts, c.created_at"
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster; ``service_accounts`` are those believed, as ``namespace/name``."""

    cluster_id: str
    org_id: str
    issuer: str
    audience: str
    jwks: dict[str, Any]
    service_accounts: tuple[str, ...]
    created_at: datetime


class Clusters:
    """The clusters of all orgs, each with ids of its own.

    An issuer's tokens for one audience belong to one org: keys are public, and whoever could name
    another's would get its nodes.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        org_id: str,
        cluster_id: str,
        *,
        issuer: str,
        audience: str,
        jwks: Mapping[str, Any],
        service_accounts: Collection[str],
    ) -> Cluster:
        """Believe a cluster.

        Raises
        ------
        RefusedError
            If the org has a cluster of this id, or any org the issuer with this audience; there is
            no such org; or a value does not fit.
        """
        names = _checked(issuer, audience, service_accounts)
        with refusing(f"cluster {cluster_id[:80]!r}, or its issuer for this audience,"):
            async with self._database.tenant(org_id) as connection:
                cursor = await connection.execute(
                    "INSERT INTO clusters AS c"
                    " (cluster_id, org_id, issuer, audience, jwks, service_accounts)"
                    f" VALUES (%s, %s, %s, %s, %s::jsonb, %s) RETURNING {_COLUMNS}",
                    (cluster_id, org_id, issuer, audience, _keys(jwks), names),
                )
                (row,) = await cursor.fetchall()
        return _cluster(row)

    async def list(self, org_id: str | None = None) -> tuple[Cluster, ...]:
        """Give the clusters of an org, or of all."""
        query = f"SELECT {_COLUMNS} FROM clusters c ORDER BY org_id, cluster_id LIMIT %s"
        within = self._database.transaction() if org_id is None else self._database.tenant(org_id)
        async with within as connection:
            cursor = await connection.execute(query, (LIST_LIMIT,))
            return tuple(_cluster(row) for row in await cursor.fetchall())

    async def set_jwks(self, org_id: str, cluster_id: str, jwks: Mapping[str, Any]) -> bool:
        """Put new keys in the place of all former ones. False if the org has no such cluster."""
        keys = _keys(jwks)
        with refusing("the keys"):
            async with self._database.tenant(org_id) as connection:
                cursor = await connection.execute(
                    "UPDATE clusters SET jwks = %s::jsonb WHERE org_id = %s AND cluster_id = %s",
                    (keys, org_id, cluster_id),
                )
                return cursor.rowcount > 0

    async def remove(self, org_id: str, cluster_id: str) -> bool:
        """Believe a cluster no more. False if the org has no such cluster."""
        async with self._database.tenant(org_id) as connection:
            cursor = await connection.execute(
                "DELETE FROM clusters WHERE org_id = %s AND cluster_id = %s", (org_id, cluster_id)
            )
            return cursor.rowcount > 0

    async def by_issuer(self, issuer: str) -> tuple[Cluster, ...]:
        """Give the clusters with an issuer, one for each audience, whose orgs are not disabled."""
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                f"SELECT {_COLUMNS} FROM clusters c JOIN orgs o USING (org_id)"
                " WHERE c.issuer = %s AND o.disabled_at IS NULL"
                " ORDER BY c.audience LIMIT %s",
                (storable(issuer, URL_LIMIT), LIST_LIMIT),
            )
            return tuple(_cluster(row) for row in await cursor.fetchall())

    async def find(self, issuer: str, audience: str) -> Cluster | None:
        """Give the cluster with an issuer and an audience, if its org is not disabled."""
        found = await self.by_issuer(issuer)
        return next((cluster for cluster in found if cluster.audience == audience), None)


def _checked(issuer: str, audience: str, service_accounts: Collection[str]) -> list[str]:
    if not 0 < len(issuer) <= URL_LIMIT or not 0 < len(audience) <= URL_LIMIT:
        raise RefusedError("invalid", f"issuer and audience need 1 to {URL_LIMIT} characters")
    names = sorted(set(service_accounts))
    if not names or any(len(name.split("/")) != 2 or not all(name.split("/")) for name in names):  # noqa: PLR2004 - a namespace and a name
        raise RefusedError("invalid", "service accounts are named as namespace/name, one at least")
    return names


def _keys(jwks: Mapping[str, Any]) -> str:
    if not isinstance(jwks.get("keys"), list) or not jwks["keys"]:
        raise RefusedError("invalid", 'the keys are no JWKS: {"keys": [...]} with one at least')
    text = json.dumps(jwks)
    if len(text) > KEYS_MAX:
        raise RefusedError("invalid", f"the keys are {len(text)} bytes; at most {KEYS_MAX}")
    return text


def _cluster(row: dict[str, Any]) -> Cluster:
    columns: dict[str, Any] = {**row, "service_accounts": tuple(row["service_accounts"])}
    return Cluster(**columns)
