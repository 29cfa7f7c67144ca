"""The fence between orgs: whatever a tenant tries, rows of another org are not there for it.

Tables are taken from the catalogue, so that a new one without a fence fails here.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from citadel_k8s.errors import DatabaseError
from citadel_k8s.stores.postgres.database import Connection, Database
from citadel_k8s.stores.postgres.partitions import ensure

SHARED = {"alembic_version": "", "fabric_ingest": "SELECT"}
"""Tables that belong to no org, and what a tenant may do with them."""

OTHERS = ("acme", "other")

MOMENT = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Table:
    """A table as the catalogue describes it."""

    def __init__(self, name: str, columns: list[dict[str, Any]]) -> None:
        self.name = name
        self.columns = {column["column_name"]: column for column in columns}

    def row(self, org_id: str, number: int, user_id: str) -> dict[str, Any]:
        """Make a row that all constraints allow."""
        made = {
            name: self._value(name, column["data_type"], number)
            for name, column in self.columns.items()
            if column["is_identity"] == "NO"
        }
        known = {
            "org_id": org_id,
            "node_id": f"node-{org_id}",
            "user_id": user_id,
            "role": "viewer",
            "source": "report",
            "method": "link",
            "outcome": "done",
            "disabled_at": None,
        }
        made |= {name: value for name, value in known.items() if name in made}
        if self.name == "device_auths":
            made["state"] = "pending"
        return made

    @staticmethod
    def _value(name: str, kind: str, number: int) -> Any:
        if kind in {"integer", "bigint", "real", "double precision", "smallint"}:
            return number + 1
        return {
            "text": f"{name[:20]}-{number}",
            "bytea": uuid4().bytes,
            "uuid": str(uuid4()),
            "jsonb": "{}",
            "boolean": True,
            "ARRAY": [],
        }.get(kind, MOMENT)


async def catalogue(database: Database) -> list[Table]:
    """Give all tables of the schema but partitions."""
    async with database.transaction() as connection:
        cursor = await connection.execute(
            "SELECT c.table_name, c.column_name, c.data_type, c.is_identity"
            " FROM information_schema.columns c JOIN pg_class p"
            " ON p.oid = to_regclass(quote_ident(c.table_name))"
            " WHERE c.table_schema = 'public' AND NOT p.relispartition AND p.relkind IN ('r', 'p')"
            " ORDER BY c.table_name, c.ordinal_position"
        )
        rows = await cursor.fetchall()
    names = dict.fromkeys(row["table_name"] for row in rows)
    return [Table(name, [row for row in rows if row["table_name"] == name]) for name in names]


async def insert(connection: Connection, table: Table, row: dict[str, Any]) -> int:
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table.name),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() for _ in row),
    )
    return (await connection.execute(statement, list(row.values()))).rowcount


async def contents(database: Database, table: Table, org_id: str) -> str:
    """Give an org's rows as the owner sees them."""
    async with database.transaction() as connection:
        cursor = await connection.execute(
            sql.SQL("SELECT * FROM {} WHERE org_id = %s ORDER BY 1, 2").format(
                sql.Identifier(table.name)
            ),
            (org_id,),
        )
        return json.dumps(await cursor.fetchall(), default=repr, sort_keys=True)


class World:
    """Rows of two orgs in every table."""

    def __init__(self, database: Database, tables: list[Table], users: dict[str, str]) -> None:
        self.database = database
        self.tables = tables
        self.users = users

    def row(self, table: Table, org_id: str, number: int) -> dict[str, Any]:
        return table.row(org_id, number, self.users[org_id])


@pytest_asyncio.fixture
async def world(database: Database) -> AsyncIterator[World]:
    await ensure(database, MOMENT.timestamp(), 0)
    users = {org_id: str(uuid4()) for org_id in OTHERS}
    tables = [t for t in await catalogue(database) if t.name not in SHARED]
    made = World(database, tables, users)
    parents = {"users": 0, "nodes": 0}
    async with database.transaction() as connection:
        for table in sorted(tables, key=lambda t: parents.get(t.name, 1)):
            for number, org_id in enumerate(OTHERS):
                if table.name != "orgs":
                    assert await insert(connection, table, made.row(table, org_id, number)) == 1
    yield made


async def test_every_table_of_an_org_has_the_fence(database: Database) -> None:
    async with database.transaction() as connection:
        cursor = await connection.execute(
            "SELECT c.relname, c.relrowsecurity, c.relispartition,"
            " (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) AS policies,"
            " (SELECT coalesce(string_agg(privilege_type, ', ' ORDER BY privilege_type), '')"
            "  FROM information_schema.role_table_grants g"
            "  WHERE g.table_name = c.relname AND g.grantee IN ('citadel_tenant', 'PUBLIC'))"
            "  AS rights FROM pg_class c"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')"
        )
        rows = await cursor.fetchall()
    assert len(rows) > 15
    for row in rows:
        if row["relispartition"]:
            assert row["rights"] == "", row  # rows are read through the parent, which has the fence
        elif row["relname"] in SHARED:
            assert row["rights"] == SHARED[row["relname"]], row
        else:
            assert row["relrowsecurity"], row
            assert row["policies"] == 1, row


async def test_a_tenant_sees_its_rows_of_every_table_and_no_others(world: World) -> None:
    for org_id in OTHERS:
        async with world.database.tenant(org_id) as connection:
            for table in world.tables:
                cursor = await connection.execute(
                    sql.SQL("SELECT org_id FROM {}").format(sql.Identifier(table.name))
                )
                assert {row["org_id"] for row in await cursor.fetchall()} == {org_id}, table.name


@pytest.mark.parametrize("org_id", ["", "nobody", "ACME", "acme\0", "' OR true --", "%", "a" * 200])
async def test_a_tenant_of_no_org_sees_nothing(world: World, org_id: str) -> None:
    async with world.database.tenant(org_id) as connection:
        for table in world.tables:
            cursor = await connection.execute(
                sql.SQL("SELECT * FROM {}").format(sql.Identifier(table.name))
            )
            assert await cursor.fetchall() == [], table.name


async def refused(world: World, org_id: str, statement: sql.Composable, *values: Any) -> bool:
    """Whether a tenant's statement changed nothing, or was refused."""
    try:
        async with world.database.tenant(org_id) as connection:
            return (await connection.execute(statement, values)).rowcount == 0
    except (DatabaseError, psycopg.IntegrityError):
        return True


async def test_a_tenant_changes_and_deletes_no_row_of_another_org(world: World) -> None:
    for table in world.tables:
        name = sql.Identifier(table.name)
        before = await contents(world.database, table, "other")
        assert before != "[]"
        for statement in (
            sql.SQL("UPDATE {} SET org_id = org_id WHERE org_id = 'other'"),
            sql.SQL("UPDATE {} SET org_id = 'acme' WHERE org_id <> 'acme'"),
            sql.SQL("DELETE FROM {} WHERE org_id = 'other'"),
            sql.SQL("DELETE FROM {} WHERE org_id <> 'acme' OR org_id IS NULL"),
        ):
            assert await refused(world, "acme", statement.format(name)), table.name
        assert await contents(world.database, table, "other") == before, table.name


async def test_a_tenant_gives_no_row_to_another_org(world: World) -> None:
    for table in world.tables:
        name = sql.Identifier(table.name)
        before = await contents(world.database, table, "other")
        for statement in ("UPDATE {} SET org_id = 'other'", "UPDATE {} SET org_id = NULL"):
            assert await refused(world, "acme", sql.SQL(statement).format(name)), table.name
        with pytest.raises((DatabaseError, psycopg.IntegrityError)):
            async with world.database.tenant("acme") as connection:
                await insert(connection, table, world.row(table, "other", 100))
        assert await contents(world.database, table, "other") == before, table.name


async def test_a_tenant_adds_rows_of_its_own_through_the_parent(world: World) -> None:
    for table in world.tables:
        if table.name in {"orgs", "device_auths"}:
            continue
        row = world.row(table, "acme", 50)
        own = {"nodes": {"node_id": "node-50"}, "users": {"user_id": str(uuid4())}}
        row |= own.get(table.name, {})
        if table.name in {"node_configs", "fabric_node_status", "fabric_node_detail"}:
            async with world.database.transaction() as connection:
                await connection.execute(
                    sql.SQL("DELETE FROM {} WHERE org_id = 'acme'").format(
                        sql.Identifier(table.name)
                    )
                )
        if "bucket" in row:
            row["bucket"] = MOMENT.replace(minute=5)
        async with world.database.tenant("acme") as connection:
            assert await insert(connection, table, row) == 1, table.name


async def test_no_way_leads_back_to_the_owner_within_a_request(world: World) -> None:
    """A tenant cannot name another org's partition, nor read the owner's tables."""
    for statement in (
        "SELECT * FROM fabric_events_default",
        "SELECT * FROM fabric_events_20261123",
        "SELECT * FROM alembic_version",
        "TRUNCATE users",
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        "CREATE TABLE mine (x integer)",
        "UPDATE orgs SET daily_quota = 1000000000",
        "DELETE FROM audit_log",
        "UPDATE audit_log SET subject = 'somebody else'",
    ):
        with pytest.raises(DatabaseError, match=r"permission denied|must be owner"):
            async with world.database.tenant("acme") as connection:
                await connection.execute(statement)


async def test_the_role_and_the_org_end_with_the_transaction(world: World) -> None:
    database = Database(world.database.conninfo, pool_max=1)
    try:
        async with database.tenant("acme"):
            pass
        with pytest.raises(ZeroDivisionError):
            async with database.tenant("acme"):
                raise ZeroDivisionError
        async with database.transaction() as connection:
            cursor = await connection.execute(
                "SELECT current_user::text AS me, current_setting('citadel.org', true) AS org"
            )
            row = await cursor.fetchone()
        assert row is not None
        assert row["me"] != "citadel_tenant"
        assert not row["org"]
    finally:
        await database.close()


CONDITIONS = st.recursive(
    st.sampled_from(
        [
            "true",
            "org_id = 'other'",
            "org_id <> 'acme'",
            "org_id IS NULL",
            "org_id LIKE '%'",
            "EXISTS (SELECT FROM orgs WHERE org_id = 'other')",
            "org_id IN (SELECT org_id FROM users)",
            "current_setting('citadel.org') = 'acme'",
        ]
    ),
    lambda below: st.one_of(
        below.map(lambda a: f"NOT ({a})"),
        st.tuples(below, st.sampled_from(["AND", "OR"]), below).map(
            lambda t: f"({t[0]}) {t[1]} ({t[2]})"
        ),
    ),
    max_leaves=6,
)


async def test_no_condition_finds_rows_of_another_org(world: World) -> None:
    conditions: list[str] = []

    @settings(max_examples=60, database=None, suppress_health_check=list(HealthCheck))
    @given(CONDITIONS)
    def collect(condition: str) -> None:
        conditions.append(condition)

    collect()
    async with world.database.tenant("acme") as connection:
        for number, condition in enumerate(conditions):
            table = world.tables[number % len(world.tables)]
            text = f'SELECT org_id FROM "{table.name}" WHERE {condition}'.replace("%", "%%")
            cursor = await connection.execute(text, ())
            assert {row["org_id"] for row in await cursor.fetchall()} <= {"acme"}, text
