"""Upgrades of the schema on a real server: once, whole or not at all, with clear words."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio
from alembic.config import Config
from alembic.script import ScriptDirectory

from citadel_k8s.errors import DatabaseError
from citadel_k8s.local.postgres import Postgres
from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.migrate import check, script, upgrade
from citadel_k8s.stores.postgres.migrations import REVISIONS

HEAD = REVISIONS[-1]


async def execute(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements as a superuser, each by itself."""
    rows: list[tuple[object, ...]] = []
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = await connection.execute(statement)  # type: ignore[arg-type]
            rows = await cursor.fetchall() if cursor.description else []
    return rows


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Postgres]:
    """A server on which no tenant role was ever made."""
    async with Stack(valkey=False, kube=False, postgres=True) as running:
        yield running.postgres


async def empty(server: Postgres, owner: str | None = None, rights: str = "") -> str:
    """Make a database, owned by a new user with some rights; give the URL of that user."""
    name = f"own_{secrets.token_hex(4)}"
    await server.create_database(name)
    if owner is None:
        return server.url_for(name)
    await execute(server.url, f"CREATE ROLE {owner} LOGIN PASSWORD 'pass' {rights}")
    await execute(server.url, f"ALTER DATABASE {name} OWNER TO {owner}")
    return server.url_for(name, owner, "pass")


async def works(url: str) -> bool:
    """Whether the connecting user can become the tenant and see one org only."""
    database = Database(url)
    try:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO orgs (org_id, name) VALUES ('a', ''), ('b', '')")
        async with database.tenant("a") as connection:
            cursor = await connection.execute("SELECT org_id FROM orgs")
            return await cursor.fetchall() == [{"org_id": "a"}]
    finally:
        await database.close()


async def tables(url: str) -> int:
    ((count,),) = await execute(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    assert isinstance(count, int)
    return count


async def test_ten_replicas_that_start_at_once_upgrade_once(database_url: str) -> None:
    said: list[str] = []
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(upgrade(database_url, said.append)) for _ in range(10)]
    assert all(run.result().ok and run.result().current == HEAD for run in runs)
    steps = [line for line in said if line.startswith("revision 0001: ")]
    assert len(steps) == 1
    assert len([line for line in said if "as needed" in line]) == 9
    assert await works(database_url)


async def test_ten_databases_of_a_new_server_are_upgraded_at_once(server: Postgres) -> None:
    urls = [await empty(server) for _ in range(10)]
    async with asyncio.TaskGroup() as group:
        for url in urls:
            group.create_task(upgrade(url))
    for url in urls:
        assert await works(url)


async def test_checking_writes_nothing(database_url: str) -> None:
    state = await check(database_url)
    assert (state.current, state.head, state.ok) == (None, HEAD, False)
    assert "db upgrade" in (state.problem or "")
    assert await tables(database_url) == 0
    await upgrade(database_url)
    state = await check(database_url)
    assert (state.current, state.problem) == (HEAD, None)


async def test_a_newer_database_is_left_alone(schema_url: str) -> None:
    await execute(schema_url, "UPDATE alembic_version SET version_num = '9999'")
    state = await check(schema_url)
    assert "upgrade the program" in (state.problem or "")
    with pytest.raises(DatabaseError, match=r"9999, newer than .* upgrade the program"):
        await upgrade(schema_url)


async def test_an_upgrade_that_fails_halfway_leaves_nothing(database_url: str) -> None:
    await execute(database_url, "CREATE TABLE fabric_events (x integer)")
    with pytest.raises(DatabaseError, match=r"already exists; nothing was changed"):
        await upgrade(database_url)
    assert await tables(database_url) == 1
    await execute(database_url, "DROP TABLE fabric_events")
    assert (await upgrade(database_url)).ok


async def test_an_owner_who_may_make_roles_needs_nobody(server: Postgres) -> None:
    url = await empty(server, "owner", "CREATEROLE")
    assert (await upgrade(url)).ok
    assert await works(url)


async def follow(server: Postgres, url: str, error: DatabaseError) -> None:
    """Run what the message says an administrator has to run."""
    statements = str(error).partition(" run there: ")[2]
    name = url.rsplit("/", 1)[1]
    await execute(server.url_for(name), *filter(None, statements.split("; ")))


async def test_an_owner_without_rights_is_told_what_to_run_and_that_is_enough(
    server: Postgres,
) -> None:
    url = await empty(server, "owner")
    with pytest.raises(DatabaseError, match=r"CREATE ROLE citadel_tenant .*GRANT") as first:
        await upgrade(url)
    assert await tables(url) == 0
    await follow(server, url, first.value)
    assert (await upgrade(url)).ok
    assert await works(url)


async def test_a_role_that_was_made_without_its_grant_is_asked_for(server: Postgres) -> None:
    await execute(server.url, "CREATE ROLE citadel_tenant NOLOGIN")
    for rights in ("", "CREATEROLE"):  # since PostgreSQL 16 that is no right on others' roles
        url = await empty(server, f"owner{len(rights)}", rights)
        with pytest.raises(DatabaseError, match="GRANT citadel_tenant TO") as asked:
            await upgrade(url)
        await follow(server, url, asked.value)
        assert (await upgrade(url)).ok
        assert await works(url)


async def test_a_user_who_may_not_create_tables_is_told_what_to_run(server: Postgres) -> None:
    url = await empty(server)
    name = url.rsplit("/", 1)[1]
    await execute(server.url, 'CREATE ROLE "odd ""user" LOGIN CREATEROLE PASSWORD \'pass\'')
    url = server.url_for(name, 'odd "user', "pass")
    with pytest.raises(DatabaseError, match="GRANT USAGE, CREATE ON SCHEMA") as asked:
        await upgrade(url)
    await follow(server, url, asked.value)
    assert (await upgrade(url)).ok
    assert await works(url)


async def test_a_tenant_role_that_sees_all_is_refused(server: Postgres) -> None:
    await execute(server.url, "CREATE ROLE citadel_tenant NOLOGIN BYPASSRLS")
    with pytest.raises(DatabaseError, match="ALTER ROLE citadel_tenant NOSUPERUSER NOBYPASSRLS"):
        await upgrade(await empty(server))


async def test_a_database_brought_to_a_server_without_the_role_is_told(server: Postgres) -> None:
    url = await empty(server, "owner", "CREATEROLE")
    await upgrade(url)
    await execute(server.url, "REVOKE citadel_tenant FROM owner GRANTED BY owner")
    state = await check(url)
    assert "GRANT citadel_tenant" in (state.problem or "")
    with pytest.raises(DatabaseError, match="GRANT citadel_tenant"):
        await upgrade(url)


async def test_a_server_that_is_away_or_hangs_costs_bounded_time(server: Postgres) -> None:
    url = await empty(server)
    began = asyncio.get_running_loop().time()
    await server.pause()
    try:
        with pytest.raises(DatabaseError, match=r"longer than 1 s|timeout"):
            await upgrade(url, timeout=1)
    finally:
        await server.resume()
    assert asyncio.get_running_loop().time() - began < 10
    await server.stop()
    with pytest.raises(DatabaseError, match="refused"):
        await upgrade(url)
    with pytest.raises(DatabaseError, match="refused") as error:
        await check(url)
    assert server.password not in str(error.value)


async def test_an_upgrade_that_waits_too_long_for_another_gives_up(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute("SELECT pg_advisory_lock(%s)", (0x6369_7461_0001,))
        with pytest.raises(DatabaseError, match=r"longer than 0\.5 s|statement timeout"):
            await upgrade(database_url, timeout=0.5)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await upgrade(database_url)
        ((waiting,),) = await execute(
            database_url,
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
        )
    assert (await upgrade(database_url)).ok
    assert waiting in {0, 1}


async def test_the_written_script_does_what_an_upgrade_does(database_url: str) -> None:
    await execute(database_url, script())
    assert (await check(database_url)).ok
    assert await works(database_url)


def test_the_known_revisions_are_those_of_alembic() -> None:
    config = Config()
    config.set_main_option("script_location", "citadel_k8s:stores/postgres/migrations")
    config.set_main_option("path_separator", "os")
    folder = ScriptDirectory.from_config(config)
    steps = [step.revision for step in folder.walk_revisions()]
    assert tuple(reversed(steps)) == REVISIONS
    assert folder.get_heads() == [HEAD]
