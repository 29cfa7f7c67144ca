"""How people come in: links that work once, and the sessions that follow."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from psycopg.rows import class_row

from citadel_k8s.models.identity import Role
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.refused import refusing
from citadel_k8s.stores.postgres.secret import new_secret, secret_hash
from citadel_k8s.stores.postgres.users import COLUMNS, User, user_row

LINK_LIFE: Final = timedelta(minutes=15)
"""How long a login link works: long enough to be sent and opened, and no longer."""

SEEN_EVERY: Final = timedelta(minutes=1)
"""How exactly it is kept when a session was last used: a write a minute, not one a request."""

LINK_PREFIX: Final = "cl_"
SESSION_PREFIX: Final = "cs_"

Method = Literal["link", "oidc"]
"""How somebody signed in."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session that counts, of a person and an org that do.

    ``idle`` says that it is time to call `Logins.touch`.
    """

    session_hash: bytes
    org_id: str
    user_id: UUID
    role: Role
    name: str
    email: str | None
    method: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    idle: bool


@dataclass(frozen=True, slots=True)
class OpenSession:
    """What is told of a person's session; ``name`` is the start of its hash."""

    name: str
    method: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


class Logins:
    """Links and sessions of all people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_link(
        self, org_id: str, user_id: UUID, *, life: timedelta = LINK_LIFE
    ) -> tuple[str, datetime]:
        """Make a link's secret, which works once; give it and when it ends.

        Raises
        ------
        RefusedError
            If the org has no such user.
        """
        raw = new_secret(LINK_PREFIX)
        with refusing("the login link"):
            async with self._database.tenant(org_id) as connection:
                await connection.execute(
                    "DELETE FROM login_links WHERE expires_at < now() - interval '1 day'"
                )
                cursor = await connection.execute(
                    "INSERT INTO login_links (token_hash, org_id, user_id, expires_at)"
                    " VALUES (%s, %s, %s, now() + %s) RETURNING expires_at",
                    (secret_hash(raw), org_id, user_id, life),
                )
                (row,) = await cursor.fetchall()
        return raw, row["expires_at"]

    async def redeem_link(self, raw: str) -> User | None:
        """Use a link up, and give whose it is; None if it was used, has ended or is no link.

        Of several that redeem at once, one gets the user.
        """
        async with self._database.transaction() as connection:
            cursor = connection.cursor(row_factory=user_row)
            await cursor.execute(
                "WITH used AS (UPDATE login_links SET used_at = now() WHERE token_hash = %s"
                " AND used_at IS NULL AND expires_at > now() RETURNING org_id, user_id)"
                f" SELECT {COLUMNS} FROM used JOIN users USING (org_id, user_id)"
                " JOIN orgs USING (org_id)"
                " WHERE users.disabled_at IS NULL AND orgs.disabled_at IS NULL",
                (secret_hash(raw),),
            )
            return await cursor.fetchone()

    async def open(
        self, org_id: str, user_id: UUID, *, method: Method, life: timedelta
    ) -> tuple[str, datetime]:
        """Begin a session; give its secret, for the cookie, and when it ends at the latest.

        Raises
        ------
        RefusedError
            If the org has no such user.
        """
        raw = new_secret(SESSION_PREFIX)
        with refusing("the session"):
            async with self._database.tenant(org_id) as connection:
                await connection.execute(
                    "DELETE FROM sessions WHERE org_id = %s AND user_id = %s"
                    " AND expires_at < now() - interval '1 day'",
                    (org_id, user_id),
                )
                cursor = await connection.execute(
                    "INSERT INTO sessions (session_hash, org_id, user_id, method, expires_at)"
                    " VALUES (%s, %s, %s, %s, now() + %s) RETURNING expires_at",
                    (secret_hash(raw), org_id, user_id, method, life),
                )
                (row,) = await cursor.fetchall()
        return raw, row["expires_at"]

    async def find(self, session_hash: bytes) -> Session | None:
        """Give a session that counts, with the person's role of this moment."""
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                "SELECT s.session_hash, s.org_id, s.user_id, u.role, u.name, u.email, s.method,"
                " s.created_at, s.seen_at, s.expires_at, s.seen_at < now() - %s AS idle"
                " FROM sessions s JOIN users u USING (org_id, user_id) JOIN orgs o USING (org_id)"
                " WHERE s.session_hash = %s AND s.revoked_at IS NULL AND s.expires_at > now()"
                " AND u.disabled_at IS NULL AND o.disabled_at IS NULL",
                (SEEN_EVERY, session_hash),
            )
            row = await cursor.fetchone()
        if row is None:
            return None
        columns: dict[str, Any] = {**row, "role": Role(row["role"])}
        return Session(**columns)

    async def touch(self, session_hash: bytes) -> None:
        """Note that a session is used, at most once in `SEEN_EVERY`."""
        async with self._database.transaction() as connection:
            await connection.execute(
                "UPDATE sessions SET seen_at = now()"
                " WHERE session_hash = %s AND seen_at < now() - %s",
                (session_hash, SEEN_EVERY),
            )

    async def list(self, org_id: str, user_id: UUID) -> tuple[OpenSession, ...]:
        """Give a person's sessions that count, the latest used first."""
        async with self._database.tenant(org_id) as connection:
            cursor = connection.cursor(row_factory=class_row(OpenSession))
            await cursor.execute(
                "SELECT left(encode(session_hash, 'hex'), 12) AS name, method, created_at,"
                " seen_at, expires_at FROM sessions WHERE org_id = %s AND user_id = %s"
                " AND revoked_at IS NULL AND expires_at > now() ORDER BY seen_at DESC LIMIT 100",
                (org_id, user_id),
            )
            return tuple(await cursor.fetchall())

    async def revoke(self, org_id: str, session_hash: bytes) -> bool:
        """End a session at once. False if there is none that lasts."""
        async with self._database.tenant(org_id) as connection:
            cursor = await connection.execute(
                "UPDATE sessions SET revoked_at = now()"
                " WHERE org_id = %s AND session_hash = %s AND revoked_at IS NULL",
                (org_id, session_hash),
            )
            return cursor.rowcount > 0

    async def revoke_all(self, org_id: str, user_id: UUID) -> int:
        """End all sessions and links of a person; give how many sessions."""
        async with self._database.tenant(org_id) as connection:
            await connection.execute(
                "UPDATE login_links SET used_at = now()"
                " WHERE org_id = %s AND user_id = %s AND used_at IS NULL",
                (org_id, user_id),
            )
            cursor = await connection.execute(
                "UPDATE sessions SET revoked_at = now()"
                " WHERE org_id = %s AND user_id = %s AND revoked_at IS NULL",
                (org_id, user_id),
            )
            return cursor.rowcount

    async def sweep(self) -> int:
        """Delete sessions and links that were over a day ago; give how many."""
        async with self._database.transaction() as connection:
            links = await connection.execute(
                "DELETE FROM login_links WHERE expires_at < now() - interval '1 day'"
            )
            sessions = await connection.execute(
                "DELETE FROM sessions WHERE least(expires_at, revoked_at) < now()"
                " - interval '1 day'"
            )
            return links.rowcount + sessions.rowcount
