"""How the schema in a database stands to this program, and what rights its steps need."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.migrations import REVISIONS

TENANT: Final = "citadel_tenant"
"""The role that sees the rows of one org only."""

OLDEST: Final = 130000
"""Oldest PostgreSQL, as its number: 13 has ``gen_random_uuid`` without an extension."""

SETS_APART: Final = 160000
"""First PostgreSQL, as its number, where a member of a role may lack the right to become it."""

RIGHTS: Final = """
SELECT current_user AS me,
    current_database() AS database,
    current_schema() AS schema,
    current_setting('server_version_num')::integer AS version,
    pg_is_in_recovery() AS standby,
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS creates,
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
    (SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user) AS makes_roles,
    (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = 'citadel_tenant') AS sees_all,
    (SELECT pg_has_role(current_user, oid, CASE
        WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET'
        ELSE 'MEMBER' END) FROM pg_roles WHERE rolname = 'citadel_tenant') AS becomes,
    (SELECT pg_has_role(current_user, oid, 'MEMBER WITH ADMIN OPTION')
        FROM pg_roles WHERE rolname = 'citadel_tenant') AS administers
"""
"""What the connecting user may do. Of the tenant role all is null where it does not exist."""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Which step a database is at, None if at none, and which one this program needs.

    ``problem`` says what to do; None if the schema fits and its role can be used.
    """

    current: str | None
    head: str
    problem: str | None

    @property
    def ok(self) -> bool:
        """Whether the program can work with it."""
        return self.problem is None


async def state_of(database: Database) -> SchemaState:
    """Look at the schema; nothing is written.

    Raises
    ------
    DatabaseError
        If the database cannot be asked.
    """
    async with database.transaction() as connection:
        await connection.execute("SET TRANSACTION READ ONLY")
        found = await connection.execute("SELECT to_regclass('alembic_version') AS name")
        (row,) = await found.fetchall()
        current = None
        if row["name"] is not None:
            found = await connection.execute("SELECT max(version_num) AS at FROM alembic_version")
            (row,) = await found.fetchall()
            current = row["at"]
        (rights,) = await (await connection.execute(RIGHTS)).fetchall()
    problem = revision_problem(current) or (tenant_problem(rights) if current else None)
    return SchemaState(current, REVISIONS[-1], problem)


def revision_problem(current: str | None) -> str | None:
    """Say what to do about a schema at a revision; None if it is the newest known."""
    if current is None:
        return "the database has no schema; run citadel-k8s db upgrade"
    if current not in REVISIONS:
        return (
            f"the database's schema is at revision {current}, newer than {REVISIONS[-1]} of this"
            " program; upgrade the program"
        )
    if current != REVISIONS[-1]:
        return (
            f"the database's schema is at revision {current}, this program needs {REVISIONS[-1]};"
            " run citadel-k8s db upgrade"
        )
    return None


def upgrade_problem(rights: Mapping[str, Any]) -> str | None:
    """Say what stands in the way of an upgrade, with the statement that mends it."""
    if rights["version"] < OLDEST:
        return f"PostgreSQL {rights['version'] // 10000} is too old; 13 or newer is needed"
    if rights["standby"]:
        return "the server is a standby, which takes no changes; connect to the primary"
    me = quoted(rights["me"])
    if rights["schema"] is None or not rights["creates"]:
        schema = quoted(rights["schema"] or "public")
        return _ask(rights, f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {me};")
    if rights["sees_all"] is None and not (rights["superuser"] or rights["makes_roles"]):
        return _ask(rights, f"CREATE ROLE {TENANT} NOLOGIN; {_grant(rights)}")
    if rights["sees_all"] is None or may_grant(rights):
        return _unsafe(rights)
    return tenant_problem(rights)


def tenant_problem(rights: Mapping[str, Any]) -> str | None:
    """Say what is wrong with the tenant role; None if it can be used."""
    if rights["sees_all"] is None:
        return _ask(rights, f"CREATE ROLE {TENANT} NOLOGIN; {_grant(rights)}")
    if not rights["becomes"]:
        return _ask(rights, _grant(rights))
    return _unsafe(rights)


def may_grant(rights: Mapping[str, Any]) -> bool:
    """Whether the connecting user may make itself a member of a tenant role that exists."""
    before = rights["version"] < SETS_APART and rights["makes_roles"]
    return bool(rights["superuser"] or rights["administers"] or before)


def quoted(name: str) -> str:
    """Quote a name for a statement."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _unsafe(rights: Mapping[str, Any]) -> str | None:
    if not rights["sees_all"]:
        return None
    return (
        f"the role {TENANT} may see the rows of all orgs;"
        f" an administrator has to run: ALTER ROLE {TENANT} NOSUPERUSER NOBYPASSRLS;"
    )


def _grant(rights: Mapping[str, Any]) -> str:
    how = " WITH INHERIT FALSE, SET TRUE" if rights["version"] >= SETS_APART else ""
    return f"GRANT {TENANT} TO {quoted(rights['me'])}{how};"


def _ask(rights: Mapping[str, Any], statements: str) -> str:
    return (
        f"user {rights['me']} lacks rights in database {rights['database']};"
        f" an administrator has to run there: {statements}"
    )
