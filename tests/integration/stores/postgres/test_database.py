"""Transactions on a server that is slow, full, hung, killed and restarted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio

from citadel_k8s.errors import ConfigError, DatabaseError
from citadel_k8s.local.postgres import Postgres
from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.postgres.database import Connection, Database


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Postgres]:
    """A server that the test may pause, kill and restart."""
    async with Stack(valkey=False, kube=False, postgres=True) as running:
        yield running.postgres


@pytest_asyncio.fixture
async def small(database_url: str) -> AsyncIterator[Database]:
    """A pool of two on an empty database."""
    opened = Database(database_url, pool_max=2, answer_timeout=2)
    async with opened.transaction() as connection:
        await connection.execute("CREATE TABLE t (x integer UNIQUE)")
    yield opened
    await opened.close()


async def one(database: Database, query="SELECT 1 AS x") -> object:
    async with database.transaction() as connection:
        return (await (await connection.execute(query)).fetchall())[0]["x"]


async def doing(database: Database, *statements, then: Exception | None = None) -> None:
    """Run statements in one transaction, with an error behind them if one is given."""
    async with database.transaction() as connection:
        for statement in statements:
            await connection.execute(statement)
        if then is not None:
            raise then


async def pid(connection: Connection) -> int:
    return (await (await connection.execute("SELECT pg_backend_pid() AS x")).fetchall())[0]["x"]


async def running(database: Database) -> object:
    return await one(
        database,
        "SELECT count(*) AS x FROM pg_stat_activity WHERE state <> 'idle'"
        " AND pid <> pg_backend_pid() AND datname = current_database()",
    )


async def test_what_is_done_is_kept_and_what_fails_is_taken_back(small: Database) -> None:
    async with small.transaction() as connection:
        await connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(ZeroDivisionError):
        await doing(small, "INSERT INTO t VALUES (2)", then=ZeroDivisionError())
    with pytest.raises(psycopg.errors.UniqueViolation):
        await doing(small, "INSERT INTO t VALUES (3)", "INSERT INTO t VALUES (1)")
    assert await one(small, "SELECT sum(x) AS x FROM t") == 1


async def test_a_failure_that_was_swallowed_is_no_success(small: Database) -> None:
    async def swallowing() -> None:
        async with small.transaction() as connection:
            await connection.execute("INSERT INTO t VALUES (1)")
            with contextlib.suppress(psycopg.Error):
                await connection.execute("SELECT 1/0")

    with pytest.raises(DatabaseError, match="nothing was kept"):
        await swallowing()
    assert await one(small, "SELECT count(*) AS x FROM t") == 0


async def test_a_part_can_fail_by_itself_within_a_transaction(small: Database) -> None:
    async with small.transaction() as connection:
        await connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            async with connection.transaction():
                await connection.execute("INSERT INTO t VALUES (1)")
        await connection.execute("INSERT INTO t VALUES (2)")
    assert await one(small, "SELECT sum(x) AS x FROM t") == 3


async def test_a_slow_statement_is_ended_on_the_server_too(small: Database) -> None:
    with pytest.raises(DatabaseError, match=r"took longer than 0\.3 s|statement timeout"):
        async with small.transaction(timeout=0.3) as connection:
            await connection.execute("SELECT pg_sleep(30)")
    assert await running(small) == 0
    assert await one(small) == 1


async def test_a_cancelled_caller_leaves_nothing_running_and_no_locks(small: Database) -> None:
    began = asyncio.get_running_loop().time()
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await doing(small, "INSERT INTO t VALUES (7)", "SELECT pg_sleep(30)")
    assert await running(small) == 0
    assert await one(small, "SELECT count(*) AS x FROM t") == 0
    async with small.transaction() as connection:
        await connection.execute("INSERT INTO t VALUES (7)")
    assert asyncio.get_running_loop().time() - began < 10


async def test_a_caller_cancelled_outside_of_a_statement_is_rolled_back(small: Database) -> None:
    async def idling() -> None:
        async with small.transaction() as connection:
            await connection.execute("INSERT INTO t VALUES (7)")
            await asyncio.sleep(30)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await idling()
    assert await one(small, "SELECT count(*) AS x FROM t") == 0


async def test_a_timeout_within_is_told_as_it_is(small: Database) -> None:
    with pytest.raises(TimeoutError, match="of something else"):
        async with small.transaction():
            raise TimeoutError("of something else")
    assert await one(small) == 1


async def test_who_finds_all_connections_busy_waits_and_is_told(small: Database) -> None:
    async with small.transaction(), small.transaction():
        with pytest.raises(DatabaseError, match=r"all 2 connections were busy for 0\.2 s"):
            async with small.transaction(timeout=0.2):
                pass
    async with asyncio.TaskGroup() as group:
        all_ = [group.create_task(one(small, "SELECT 1 AS x, pg_sleep(0.01)")) for _ in range(50)]
    assert {task.result() for task in all_} == {1}
    async with small.transaction() as connection:
        cursor = await connection.execute(
            "SELECT count(*) AS n FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend'"
        )
        assert await cursor.fetchone() == {"n": 2}


async def test_those_that_give_up_waiting_leave_the_line(small: Database) -> None:
    async with small.transaction(), small.transaction():
        for _ in range(20):
            with pytest.raises(DatabaseError):
                async with small.transaction(timeout=0.01):
                    pass
    async with asyncio.timeout(5), small.transaction(), small.transaction():
        pass


async def test_connections_that_the_server_ended_while_idle_cost_no_attempt(
    small: Database, database_url: str
) -> None:
    async with small.transaction() as first, small.transaction() as second:
        pids = [await pid(first), await pid(second)]
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as admin:
        for number in pids:
            await admin.execute("SELECT pg_terminate_backend(%s, 5000)", (number,))
    async with small.transaction() as first, small.transaction() as second:
        assert not {await pid(first), await pid(second)} & set(pids)


async def test_a_restart_costs_those_in_the_middle_and_nobody_else(server: Postgres) -> None:
    database = Database(server.url, pool_max=4)

    async def interrupted() -> None:
        async with database.transaction() as connection:
            await connection.execute("SELECT 1")
            await server.restart()
            await connection.execute("SELECT 1")

    try:
        async with database.transaction(), database.transaction():
            pass
        await server.restart()
        assert await one(database) == 1
        with pytest.raises(DatabaseError):
            await interrupted()
        assert await one(database) == 1
    finally:
        await database.close()


async def test_a_server_that_is_killed_under_load_is_used_again_as_soon_as_it_is_there(
    server: Postgres,
) -> None:
    database = Database(server.url, pool_max=4, answer_timeout=3)
    async with database.transaction() as connection:
        await connection.execute("CREATE TABLE t (x integer)")
    kept, failures, wanted, stop = 0, 0, 0, asyncio.Event()
    reached = asyncio.Event()

    async def write() -> None:
        nonlocal kept, failures
        while not stop.is_set():
            if kept >= wanted:
                reached.set()
            try:
                async with database.transaction() as connection:
                    await connection.execute("INSERT INTO t VALUES (1)")
            except DatabaseError:
                failures += 1
                await asyncio.sleep(0.01)
            else:
                kept += 1

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(write())
            for _ in range(3):
                await asyncio.sleep(0.3)
                await server.kill()
                await asyncio.sleep(0.2)
                await server.start()
                wanted = kept + 10
                reached.clear()
                async with asyncio.timeout(5):
                    await reached.wait()
            stop.set()
        assert failures > 0
        count = await one(database, "SELECT count(*) AS x FROM t")
        assert isinstance(count, int)
        assert kept <= count <= kept + 3 * 4  # a commit whose answer was lost may count
    finally:
        await database.close()


async def test_a_hung_server_costs_the_time_that_was_given_and_a_little(server: Postgres) -> None:
    database = Database(server.url, answer_timeout=1)
    loop = asyncio.get_running_loop()
    try:
        assert await one(database) == 1
        await server.pause()
        began = loop.time()
        for _ in range(2):
            with pytest.raises(DatabaseError, match=r"no answer in 1 s|longer than 1 s"):
                await one(database)
        assert loop.time() - began < 8
        await server.resume()
        assert await one(database) == 1
    finally:
        await server.resume()
        await database.close()


async def test_a_server_that_is_away_is_told_at_once_and_without_the_password(
    server: Postgres,
) -> None:
    await server.stop()
    database = Database(server.url)
    began = asyncio.get_running_loop().time()
    with pytest.raises(DatabaseError, match=f"127.0.0.1:{server.port}.*refused") as error:
        await one(database)
    assert asyncio.get_running_loop().time() - began < 1
    assert server.password not in str(error.value)


async def test_a_wrong_password_is_told_without_it(postgres_server: Postgres) -> None:
    database = Database(postgres_server.url_for("postgres", password="wr0ng-secret"))
    with pytest.raises(DatabaseError, match="password authentication failed") as error:
        await one(database)
    assert "wr0ng-secret" not in str(error.value)


async def test_a_password_apart_from_the_url_is_used(postgres_server: Postgres) -> None:
    bare = f"postgresql://citadel@127.0.0.1:{postgres_server.port}/postgres"
    database = Database(bare, password=postgres_server.password)
    assert await one(database) == 1
    await database.close()


async def test_a_client_that_stops_in_the_middle_does_not_hold_its_locks_for_ever(
    small: Database,
) -> None:
    async with small.transaction(timeout=3) as connection:
        cursor = await connection.execute(
            "SELECT current_setting('idle_in_transaction_session_timeout') AS idle,"
            " current_setting('statement_timeout') AS statement"
        )
        assert await cursor.fetchone() == {"idle": "8s", "statement": "3s"}
    async with small.transaction() as connection:
        cursor = await connection.execute("SELECT count(*) AS n FROM pg_prepared_statements")
        assert await cursor.fetchone() == {"n": 0}


async def test_nothing_is_done_after_the_end(small: Database) -> None:
    await small.close()
    with pytest.raises(DatabaseError, match="closed"):
        await one(small)


async def test_a_tenant_without_the_role_is_told_what_to_do(server: Postgres) -> None:
    database = Database(server.url)
    with pytest.raises(DatabaseError, match=r"citadel_tenant.*db upgrade"):
        async with database.tenant("acme"):
            pass
    assert await one(database) == 1
    await database.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:geheim@[::1",
        "postgresql://u:geheim@h/db?nonsense=1",
        "postgresql://u:geheim/x@h/db",
        "postgresql://u:x/geheim@h/db",
        "postgresql://u:x@geheim@h/db",
    ],
)
def test_an_unusable_url_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ConfigError) as error:
        Database(url)
    assert "geheim" not in str(error.value)
    assert error.value.__cause__ is None
