"""People: who they are, what they may do. How they come in is `logins`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from psycopg.rows import BaseRowFactory, kwargs_row

from citadel_k8s.models.identity import Role
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.refused import refusing
from citadel_k8s.stores.postgres.secret import storable

TEXT_LIMIT: Final = 320
"""Characters kept of a name, an e-mail address (RFC 5321's longest) or a subject."""

LIST_LIMIT: Final = 1000
"""People given at once."""

COLUMNS: Final = (
    "users.user_id, users.org_id, users.name, users.email, users.subject, users.role,"
    " users.created_at, users.disabled_at"
)
"""What makes a `User`."""


@dataclass(frozen=True, slots=True)
class User:
    """A person of one org; ``subject`` is what a provider of identities calls them."""

    user_id: UUID
    org_id: str
    name: str
    email: str | None
    subject: str | None
    role: Role
    created_at: datetime
    disabled_at: datetime | None


def _user(**columns: object) -> User:
    role = Role(str(columns.pop("role")))
    return User(role=role, **columns)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


user_row: BaseRowFactory[User] = kwargs_row(_user)
"""Makes a `User` of each row of `COLUMNS`."""


class Users:
    """The people of all orgs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        org_id: str,
        name: str,
        *,
        role: Role,
        email: str | None = None,
        subject: str | None = None,
    ) -> User:
        """Add a person.

        Raises
        ------
        RefusedError
            If the org has somebody with this e-mail address, any org somebody with this subject,
            or there is no such org.
        """
        texts = [storable(name, TEXT_LIMIT), _optional(email), _optional(subject)]
        with refusing(f"user {name[:80]!r}"):
            async with self._database.tenant(org_id) as connection:
                cursor = connection.cursor(row_factory=user_row)
                await cursor.execute(
                    "INSERT INTO users (org_id, role, name, email, subject)"
                    f" VALUES (%s, %s, %s, %s, %s) RETURNING {COLUMNS}",
                    (org_id, role.value, *texts),
                )
                (user,) = await cursor.fetchall()
        return user

    async def get(self, org_id: str, user_id: UUID) -> User | None:
        """Give a person of an org, disabled ones too."""
        async with self._database.tenant(org_id) as connection:
            cursor = connection.cursor(row_factory=user_row)
            await cursor.execute(
                f"SELECT {COLUMNS} FROM users WHERE org_id = %s AND user_id = %s", (org_id, user_id)
            )
            return await cursor.fetchone()

    async def named(self, org_id: str, email: str) -> User | None:
        """Give whom an org knows by an e-mail address, disabled ones too."""
        async with self._database.tenant(org_id) as connection:
            cursor = connection.cursor(row_factory=user_row)
            await cursor.execute(
                f"SELECT {COLUMNS} FROM users WHERE org_id = %s AND lower(email) = lower(%s)",
                (org_id, storable(email, TEXT_LIMIT)),
            )
            return await cursor.fetchone()

    async def list(
        self, org_id: str, *, after: UUID | None = None, limit: int = LIST_LIMIT
    ) -> tuple[User, ...]:
        """Give the people of an org behind one of them, the longest known first."""
        async with self._database.tenant(org_id) as connection:
            cursor = connection.cursor(row_factory=user_row)
            await cursor.execute(
                f"SELECT {COLUMNS} FROM users WHERE org_id = %(org)s"
                " AND (%(after)s::uuid IS NULL OR (created_at, user_id) >"
                " (SELECT created_at, user_id FROM users WHERE user_id = %(after)s))"
                " ORDER BY created_at, user_id LIMIT %(limit)s",
                {"org": org_id, "after": after, "limit": min(limit, LIST_LIMIT)},
            )
            return tuple(await cursor.fetchall())

    async def set_role(self, org_id: str, user_id: UUID, role: Role) -> bool:
        """Let a person do more or less, from their next request. False if there is none."""
        return await self._set(
            "UPDATE users SET role = %s WHERE org_id = %s AND user_id = %s", role, org_id, user_id
        )

    async def bind(self, org_id: str, user_id: UUID, subject: str) -> bool:
        """Note what a provider of identities calls a person. False if there is none.

        Raises
        ------
        RefusedError
            If somebody else is called so.
        """
        with refusing("a user with this subject"):
            return await self._set(
                "UPDATE users SET subject = %s WHERE org_id = %s AND user_id = %s",
                *(storable(subject, TEXT_LIMIT), org_id, user_id),
            )

    async def disable(self, org_id: str, user_id: UUID) -> bool:
        """Lock a person out, at once: no session or link of theirs counts."""
        return await self._set(
            "UPDATE users SET disabled_at = coalesce(disabled_at, now())"
            " WHERE org_id = %s AND user_id = %s",
            *(org_id, user_id),
        )

    async def enable(self, org_id: str, user_id: UUID) -> bool:
        """Let a person in again."""
        return await self._set(
            "UPDATE users SET disabled_at = NULL WHERE org_id = %s AND user_id = %s",
            *(org_id, user_id),
        )

    async def by_subject(self, subject: str) -> User | None:
        """Give whom a provider calls so, if neither they nor their org are disabled."""
        found = await self._enabled("users.subject = %s", storable(subject, TEXT_LIMIT))
        return found[0] if found else None

    async def by_email(self, email: str) -> tuple[User, ...]:
        """Give those with an e-mail address who are not disabled: at most one of each org."""
        return await self._enabled("lower(users.email) = lower(%s)", storable(email, TEXT_LIMIT))

    async def _enabled(self, which: LiteralString, value: str) -> tuple[User, ...]:
        async with self._database.transaction() as connection:
            cursor = connection.cursor(row_factory=user_row)
            await cursor.execute(
                f"SELECT {COLUMNS} FROM users JOIN orgs USING (org_id) WHERE {which}"
                " AND users.disabled_at IS NULL AND orgs.disabled_at IS NULL"
                " ORDER BY users.org_id LIMIT %s",
                (value, LIST_LIMIT),
            )
            return tuple(await cursor.fetchall())

    async def _set(self, query: LiteralString, *values: object) -> bool:
        org_id = str(values[-2])
        async with self._database.tenant(org_id) as connection:
            return (await connection.execute(query, values)).rowcount > 0


def _optional(text: str | None) -> str | None:
    return storable(text, TEXT_LIMIT) if text else None
