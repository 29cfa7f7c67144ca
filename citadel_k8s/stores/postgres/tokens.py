"""Device tokens: what nodes show to the proxy. Kept as hashes; the token itself is shown once."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from citadel_k8s.domain.keys import check_node_id
from citadel_k8s.errors import WireError
from citadel_k8s.models.identity import DEVICE_SCOPES, Scope
from citadel_k8s.stores.postgres.database import Connection, Database
from citadel_k8s.stores.postgres.refused import RefusedError, refusing
from citadel_k8s.stores.postgres.secret import new_secret, secret_hash, storable

TOKEN_PREFIX: Final = "act_"  # noqa: S105 - what tokens begin with, no token
"""How a device token begins. Source: the wire contract."""

GRACE: Final = timedelta(hours=24)
"""How long a token works on after it was replaced: a day to bring the new one to its node."""

TEXT_LIMIT: Final = 200
"""Characters kept of a token's name or of who made it."""

LIST_LIMIT: Final = 1000
"""Tokens given at once."""

USED_EVERY: Final = timedelta(minutes=1)
"""How exactly it is kept when a token was last used."""

_SCOPES: Final = frozenset(str(scope) for scope in Scope)
_COLUMNS: Final = (
    "t.token_id, t.org_id, t.name, t.scopes, t.node_id, t.created_at, t.created_by,"
    " t.expires_at, t.used_at, t.revoked_at, t.replaced_by"
)


@dataclass(frozen=True, slots=True)
class TokenRow:
    """What is known of a token, which itself is not.

    ``node_id`` is the one node that it may speak for. ``daily_quota`` is the org's, filled by
    `DeviceTokens.find` alone.
    """

    token_id: UUID
    org_id: str
    name: str
    scopes: frozenset[Scope]
    node_id: str | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None
    replaced_by: UUID | None
    daily_quota: int | None = None


class DeviceTokens:
    """The device tokens of all orgs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        org_id: str,
        name: str,
        *,
        created_by: str,
        scopes: Collection[str] = DEVICE_SCOPES,
        node_id: str | None = None,
        life: timedelta | None = None,
    ) -> tuple[TokenRow, str]:
        """Make a token; give its row and the token, which nobody can give again.

        Raises
        ------
        RefusedError
            If a scope is unknown or there is none, the node id is none, the life is not positive,
            or there is no such org.
        """
        with refusing("the token"):
            async with self._database.tenant(org_id) as connection:
                return await insert_token(
                    connection,
                    org_id,
                    name,
                    created_by=created_by,
                    scopes=scopes,
                    node_id=node_id,
                    life=life,
                )

    async def list(
        self, org_id: str, *, after: UUID | None = None, limit: int = LIST_LIMIT
    ) -> tuple[TokenRow, ...]:
        """Give an org's tokens behind one of them, the oldest first, revoked ones too."""
        async with self._database.tenant(org_id) as connection:
            cursor = await connection.execute(
                f"SELECT {_COLUMNS} FROM device_tokens t WHERE org_id = %(org)s"
                " AND (%(after)s::uuid IS NULL OR (created_at, token_id) >"
                " (SELECT created_at, token_id FROM device_tokens WHERE token_id = %(after)s))"
                " ORDER BY created_at, token_id LIMIT %(limit)s",
                {"org": org_id, "after": after, "limit": min(limit, LIST_LIMIT)},
            )
            return tuple(_token(row) for row in await cursor.fetchall())

    async def rotate(
        self, org_id: str, token_id: UUID, *, created_by: str, grace: timedelta = GRACE
    ) -> tuple[TokenRow, str]:
        """Replace a token by one with the same rights and life; the old works on for a grace.

        The grace never outlasts the old token's own end.

        Raises
        ------
        RefusedError
            ``missing`` if the org has no such token that works, ``exists`` if it was replaced
            before.
        """
        async with self._database.tenant(org_id) as connection:
            cursor = await connection.execute(
                f"SELECT {_COLUMNS} FROM device_tokens t WHERE org_id = %s AND token_id = %s"
                " AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
                " FOR UPDATE",
                (org_id, token_id),
            )
            row = await cursor.fetchone()
            if row is None:
                raise RefusedError("missing", "there is no such token, or it works no more")
            old = _token(row)
            if old.replaced_by is not None:
                raise RefusedError("exists", "the token was replaced before; rotate the newer one")
            new, raw = await insert_token(
                connection,
                org_id,
                old.name,
                created_by=created_by,
                scopes=old.scopes,
                node_id=old.node_id,
                life=old.expires_at - old.created_at if old.expires_at else None,
            )
            await connection.execute(
                "UPDATE device_tokens SET replaced_by = %s,"
                " expires_at = least(expires_at, now() + %s) WHERE token_id = %s",
                (new.token_id, grace, token_id),
            )
        return new, raw

    async def revoke(self, org_id: str, token_id: UUID) -> bool:
        """End a token at once. False if the org has none that lasts."""
        async with self._database.tenant(org_id) as connection:
            cursor = await connection.execute(
                "UPDATE device_tokens SET revoked_at = now()"
                " WHERE org_id = %s AND token_id = %s AND revoked_at IS NULL",
                (org_id, token_id),
            )
            return cursor.rowcount > 0

    async def find(self, token_hash: bytes) -> TokenRow | None:
        """Give the token with a hash, if it works: not revoked, not ended, its org not disabled."""
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                f"SELECT {_COLUMNS}, o.daily_quota FROM device_tokens t JOIN orgs o USING (org_id)"
                " WHERE token_hash = %s AND t.revoked_at IS NULL AND o.disabled_at IS NULL"
                " AND (t.expires_at IS NULL OR t.expires_at > now())",
                (token_hash,),
            )
            row = await cursor.fetchone()
        return None if row is None else _token(row)

    async def touch(self, token_ids: Collection[UUID]) -> None:
        """Note that tokens are used: for many at once, now and then, never for each request.

        Rows that somebody else is changing are passed over, so that replicas never wait for each
        other; the next call notes them.
        """
        async with self._database.transaction() as connection:
            await connection.execute(
                "WITH due AS (SELECT token_id FROM device_tokens WHERE token_id = ANY(%s)"
                " AND (used_at IS NULL OR used_at < now() - %s)"
                " ORDER BY token_id FOR UPDATE SKIP LOCKED)"
                " UPDATE device_tokens t SET used_at = now() FROM due"
                " WHERE t.token_id = due.token_id",
                (list(token_ids), USED_EVERY),
            )


async def insert_token(
    connection: Connection,
    org_id: str,
    name: str,
    *,
    created_by: str,
    scopes: Collection[str],
    node_id: str | None,
    life: timedelta | None,
) -> tuple[TokenRow, str]:
    """Make a token in a transaction that is under way.

    Raises
    ------
    RefusedError
        As `DeviceTokens.create`.
    """
    known = _known(scopes)
    _check(node_id, life)
    raw = new_secret(TOKEN_PREFIX)
    cursor = await connection.execute(
        "INSERT INTO device_tokens AS t"
        " (org_id, token_hash, name, scopes, node_id, created_by, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, now() + %s)"
        f" RETURNING {_COLUMNS}",
        (
            *(org_id, secret_hash(raw), storable(name, TEXT_LIMIT), known),
            *(node_id, storable(created_by, TEXT_LIMIT), life),
        ),
    )
    (row,) = await cursor.fetchall()
    return _token(row), raw


def _known(scopes: Collection[str]) -> list[str]:
    unknown = sorted(set(scopes) - _SCOPES)
    if unknown or not scopes:
        said = f"unknown scope {unknown[0][:80]!r}" if unknown else "a token needs a scope"
        raise RefusedError("invalid", f"{said}; there are {', '.join(Scope)}")
    return sorted(str(scope) for scope in set(scopes))


def _check(node_id: str | None, life: timedelta | None) -> None:
    if life is not None and life <= timedelta(0):
        raise RefusedError("invalid", "a token's life must be longer than nothing")
    if node_id is None:
        return
    try:
        check_node_id(node_id)
    except WireError as error:
        raise RefusedError("invalid", str(error)) from error


def _token(row: dict[str, Any]) -> TokenRow:
    # A newer version of this program may have given scopes that this one does not know.
    scopes = frozenset(Scope(scope) for scope in row["scopes"] if scope in _SCOPES)
    columns: dict[str, Any] = {**row, "scopes": scopes}
    return TokenRow(**columns)
