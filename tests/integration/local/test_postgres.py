import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import pytest_asyncio

from citadel_k8s.errors import StackError
from citadel_k8s.local.pgprograms import find_programs
from citadel_k8s.local.postgres import Postgres
from citadel_k8s.local.stack import Stack

SEGMENTS = Path("/proc/sysvipc/shm")

OWNER = """
import asyncio, json, sys
from pathlib import Path
from citadel_k8s.local.postgres import Postgres

async def main():
    postgres = await Postgres(Path(sys.argv[1])).start()
    if sys.argv[2] == "paused":
        await postgres.pause()
    print(json.dumps([postgres.url, str(postgres.data.parent)]), flush=True)
    await asyncio.sleep(300)

asyncio.run(main())
"""

BUSY = "select count(i) from (select generate_series(1, 10000000000) as i) as s"
"""Computes for minutes and looks at nothing meanwhile."""


@pytest_asyncio.fixture
async def own_postgres(tmp_path: Path) -> AsyncIterator[Postgres]:
    """A PostgreSQL that the test may pause, kill and restart."""
    postgres = Postgres(tmp_path / "own")
    try:
        yield await postgres.start()
    finally:
        await postgres.close()


@pytest.fixture
def no_segment_left() -> Iterator[None]:
    """Count the System V segments of who runs the server, before and after."""
    before = _segments()
    yield
    assert _segments() <= before


def _segments() -> set[str]:
    """Small ones that nobody has open: those of a server that was killed."""
    rows = [line.split() for line in SEGMENTS.read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[3] == "56" and row[6] == "0"}


async def one(url: str, query: str) -> object:
    """Give the first value that a query answers."""
    async with await psycopg.AsyncConnection.connect(url, connect_timeout=5) as connection:
        row = await (await connection.execute(query)).fetchone()
        assert row is not None
        return row[0]


def running(pids: list[int]) -> list[int]:
    """Those that still run; a zombie waits only for its parent to look."""
    found = []
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except psutil.NoSuchProcess:
            continue
    return found


def supplementary_groups(pid: int) -> list[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line for line in lines if line.startswith("Groups:")).split()[1:]


def program(pid: int) -> Path:
    return Path(f"/proc/{pid}/exe").readlink()


def family(pid: int) -> list[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


async def test_the_url_lets_a_client_in_and_the_server_keeps_utc_and_utf8(
    postgres_server: Postgres,
) -> None:
    url = postgres_server.url
    assert await one(url, "select current_setting('server_version_num')::int / 10000") == 18
    assert await one(url, "select current_setting('timezone')") == "UTC"
    assert await one(url, "show fsync") == "off"
    assert await one(url, "show synchronous_commit") == "on"
    assert await one(url, "show full_page_writes") == "on"
    assert await one(url, "select current_setting('server_encoding')") == "UTF8"


async def test_without_the_password_nobody_is_let_in(postgres_server: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await one(postgres_server.url_for("postgres", password="guessed"), "select 1")
    assert postgres_server.password not in " ".join(psutil.Process(postgres_server.pid).cmdline())


async def test_a_database_is_empty_its_own_and_dropped_under_its_clients(
    postgres_server: Postgres,
) -> None:
    name = 'a "quoted" name; drop'
    url = await postgres_server.create_database(name)
    assert await one(url, "select count(*) from pg_stat_user_tables") == 0
    with pytest.raises(StackError, match="already exists"):
        await postgres_server.create_database(name)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await postgres_server.drop_database(name)
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("select 1")
    await postgres_server.drop_database(name)


async def test_a_role_of_a_test_logs_in_by_its_own_url(
    postgres_server: Postgres, database_url: str
) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("create role reader login password 'p@ss/:#'")
    database = database_url.rpartition("/")[2]
    url = postgres_server.url_for(database, "reader", "p@ss/:#")
    assert await one(url, "select current_user") == "reader"
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("drop role reader")


async def test_the_server_has_no_rights_of_root(postgres_server: Postgres) -> None:
    process = psutil.Process(postgres_server.pid)
    assert 0 not in (*process.uids(), *process.gids())
    assert os.geteuid() or not supplementary_groups(process.pid)


@pytest.mark.usefixtures("no_segment_left")
async def test_committed_rows_survive_kills_and_nothing_of_the_killed_runs_on(
    own_postgres: Postgres,
) -> None:
    url, port = own_postgres.url, own_postgres.port
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("create table a (i int)")
    for paused in (False, True):
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("insert into a values (1)")
            async with asyncio.TaskGroup() as group:
                group.create_task(_fails(url, BUSY))
                await _seen(connection, "active", 2)
                await connection.execute("begin")
                await connection.execute("insert into a values (99)")
                if paused:
                    await own_postgres.pause()
                pids = family(own_postgres.pid)
                await own_postgres.kill()
                assert not running(pids)
            assert own_postgres.pid == 0
            with pytest.raises(psycopg.OperationalError):
                await connection.execute("select 1")
        await own_postgres.start()
    assert own_postgres.port == port
    assert await one(url, "select array_agg(i) from a") == [1, 1]
    await own_postgres.kill()


async def _fails(url: str, query: str) -> None:
    with pytest.raises(psycopg.OperationalError):
        await one(url, query)


async def _seen(connection: psycopg.AsyncConnection, state: str, least: int) -> None:
    """Wait until so many clients are in a state."""
    query = "select count(*) from pg_stat_activity where backend_type = 'client backend' and state="
    async with asyncio.timeout(10):
        while True:
            row = await (await connection.execute(query + "%s", [state])).fetchone()
            if row and row[0] >= least:
                return
            await asyncio.sleep(0.01)


async def test_an_orderly_stop_cuts_clients_off_and_keeps_the_data(own_postgres: Postgres) -> None:
    async with await psycopg.AsyncConnection.connect(own_postgres.url) as connection:
        await connection.execute("create table a as select 1 as i")
        await connection.commit()
        await own_postgres.restart()
        assert await one(own_postgres.url, "select i from a") == 1
    assert "not properly shut down" not in own_postgres.log_path.read_text()


async def test_a_paused_server_answers_nobody_and_goes_on_when_resumed(
    own_postgres: Postgres,
) -> None:
    async with await psycopg.AsyncConnection.connect(own_postgres.url) as connection:
        await own_postgres.pause()
        cursor = connection.cursor()
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(cursor.execute("select 1"))
            done, _ = await asyncio.wait([asked], timeout=0.3)
            assert not done
            await own_postgres.resume()
        assert await cursor.fetchone() == (1,)


async def test_it_is_gone_with_its_folders_after_its_end(tmp_path: Path) -> None:
    async with Stack(valkey=False, kube=False, postgres=True) as stack:
        assert stack.database_url == stack.postgres.url
        data, folder, pids = stack.postgres.data, stack.folder, family(stack.postgres.pid)
        assert data.parent.stat().st_mode & 0o077 == 0
        with pytest.raises(StackError, match="without Valkey"):
            _ = stack.redis_url
    assert not running(pids)
    assert not data.parents[1].exists()
    assert not folder.exists()
    with pytest.raises(StackError, match="without PostgreSQL"):
        _ = Stack().database_url


@pytest.mark.usefixtures("no_segment_left")
@pytest.mark.parametrize("state", ["busy", "paused"])
async def test_nothing_is_left_two_seconds_after_the_owner_was_killed(
    tmp_path: Path, state: str
) -> None:
    folder = tmp_path / "stack" / "postgres"
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, folder, state, stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    url, home = json.loads(await owner.stdout.readline())
    async with asyncio.TaskGroup() as group:
        if state == "busy":
            group.create_task(_fails(url, BUSY))
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                await _seen(connection, "active", 2)
        pids = family(owner.pid)
        assert len(running(pids)) > 4
        owner.kill()
        await owner.communicate()
        places = [folder.parent, Path(home)]
        async with asyncio.timeout(2):  # no event tells of processes that are not ours
            while running(pids) or any(map(Path.exists, places)):  # noqa: ASYNC110 - as it says
                await asyncio.sleep(0.02)


async def test_a_server_that_does_not_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path / "own")
    postgres._settings += ("shared_buffers=none",)
    try:
        with pytest.raises(StackError, match="invalid value for parameter"):
            await postgres.start()
    finally:
        await postgres.close()
    with pytest.raises(StackError, match="does not run"):
        await postgres.pause()


async def test_a_folder_may_have_any_name_and_durable_data_are_flushed_to_the_disk(
    tmp_path: Path,
) -> None:
    postgres = Postgres(tmp_path / "a, \"b\" 'c'" / ("d" * 100), durable=True)
    try:
        await postgres.start()
        assert await one(postgres.url, "show fsync") == "on"
    finally:
        await postgres.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands its server to another user")
async def test_programs_in_a_folder_of_roots_own_are_copied_for_the_server(tmp_path: Path) -> None:
    private = tmp_path / "private"
    programs = find_programs()
    package = programs.parents[1]
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.is_dir():
            ignored = shutil.ignore_patterns("include", "pginstall", "*.a")
            shutil.copytree(source, private / source.name, copy_function=os.link, ignore=ignored)
    private.chmod(0o700)
    postgres = Postgres(
        tmp_path / "own", programs=private / package.name / programs.parent.name / "bin"
    )
    try:
        await postgres.start()
        assert await one(postgres.url, "select 1") == 1
        assert not program(postgres.pid).is_relative_to(private)
    finally:
        await postgres.close()
