"""The whole store behind a real PgBouncer in transaction mode, with fewer servers than clients."""

import asyncio
import os
import random
import secrets
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from citadel_k8s.config.server import Retention
from citadel_k8s.local.postgres import SUPERUSER, Postgres
from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.postgres.audit import Audit, AuditEntry
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.deviceauths import DeviceAuths
from citadel_k8s.stores.postgres.migrate import check, upgrade
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.partitions import drop_expired, ensure
from citadel_k8s.stores.postgres.secret import secret_hash
from citadel_k8s.stores.postgres.tokens import DeviceTokens

SERVERS = 3
"""Connections to PostgreSQL that all clients share."""

NOW = 1_795_420_800.0

PROGRAM = os.environ.get("PGBOUNCER") or shutil.which(
    "pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
)

pytestmark = pytest.mark.skipif(
    PROGRAM is None,
    reason="NOT TESTED BEHIND PGBOUNCER: there is none (Debian: apt-get install pgbouncer, or name"
    " the program in the environment variable PGBOUNCER)",
)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Postgres]:
    """A server that the test may restart."""
    async with Stack(valkey=False, kube=False, postgres=True) as running:
        yield running.postgres


@pytest_asyncio.fixture
async def url(server: Postgres, tmp_path: Path) -> AsyncIterator[str]:
    """URL of an empty database behind PgBouncer."""
    name = f"behind_{secrets.token_hex(4)}"
    await server.create_database(name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port} user={SUPERUSER}"
        f" password={server.password}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = transaction\ndefault_pool_size = {SERVERS}\n"
        "max_client_conn = 200\nserver_login_retry = 0.1\n"
    )
    config.chmod(0o644)
    program = str(PROGRAM)
    words = ["-u", "nobody"] if os.geteuid() == 0 else []
    with (tmp_path / "pgbouncer.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, *words, str(config), stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(10):
            await _listening(port)
        yield f"postgresql://{SUPERUSER}@127.0.0.1:{port}/{name}"
    finally:
        process.kill()
        await process.wait()


async def _listening(port: int) -> None:
    connected = False
    while not connected:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            connected = True
            writer.close()
            await writer.wait_closed()


@pytest_asyncio.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """Thirty clients on three servers."""
    await upgrade(url)
    opened = Database(url, pool_max=30)
    for org_id in ("acme", "other", "third"):
        await Orgs(opened).create(org_id, org_id)
    yield opened
    await opened.close()


async def test_ten_upgrades_at_once_do_it_once(url: str) -> None:
    said: list[str] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(upgrade(url, said.append))
    assert len([line for line in said if line.startswith("revision 0001")]) == 1
    assert (await check(url)).ok


async def test_no_client_ever_gets_the_role_org_or_limits_of_another(database: Database) -> None:
    choice = random.Random(7)
    servers: set[int] = set()

    async def look(org_id: str) -> None:
        async with database.tenant(org_id, timeout=20) as connection:
            cursor = await connection.execute(
                "SELECT org_id, pg_backend_pid() AS pid, current_user::text AS me,"
                " current_setting('statement_timeout') AS limit FROM orgs"
            )
            rows = await cursor.fetchall()
        assert [(r["org_id"], r["me"], r["limit"]) for r in rows] == [
            (org_id, "citadel_tenant", "20s")
        ]
        servers.update(row["pid"] for row in rows)

    async def look_at_all() -> None:
        async with database.transaction(timeout=30) as connection:
            cursor = await connection.execute(
                "SELECT count(*) AS n, current_user::text AS me,"
                " current_setting('citadel.org', true) AS org,"
                " current_setting('statement_timeout') AS limit FROM orgs"
            )
            (row,) = await cursor.fetchall()
        assert (row["n"], row["me"], row["org"] or "", row["limit"]) == (3, SUPERUSER, "", "30s")

    async def client() -> None:
        for _ in range(20):
            org_id = choice.choice(["acme", "other", "third", ""])
            await (look(org_id) if org_id else look_at_all())

    async with asyncio.TaskGroup() as group:
        for _ in range(30):
            group.create_task(client())
    assert 1 < len(servers) <= SERVERS


async def test_cancelled_clients_leave_the_shared_servers_clean(database: Database) -> None:
    async def cancelled() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await _sleep(database)

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(cancelled())
    async with asyncio.timeout(8):
        for _ in range(10):
            assert len(await Orgs(database).list()) == 3
            org = await Orgs(database).get("acme")
            assert org is not None


async def _sleep(database: Database) -> None:
    async with database.tenant("acme") as connection:
        await connection.execute("SELECT pg_sleep(30)")


async def test_a_restart_of_the_server_behind_it_is_survived(
    database: Database, server: Postgres
) -> None:
    assert len(await Orgs(database).list()) == 3
    await server.restart()
    assert len(await Orgs(database).list()) == 3


async def test_stores_and_partitions_work(database: Database) -> None:
    await ensure(database, NOW)
    await Audit(database).append([AuditEntry("acme", "s", "a")])
    assert len((await Audit(database).list("acme")).rows) == 1
    tokens = DeviceTokens(database)
    row, raw = await tokens.create("acme", "n", created_by="cli")
    await tokens.touch([row.token_id])
    assert await tokens.find(secret_hash(raw)) is not None
    auths = DeviceAuths(database)
    started = await auths.start(client_id="c")
    await auths.approve(started.user_code, org_id="acme", node_id=None, decided_by="u")
    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(auths.consume(started.device_code)) for _ in range(10)]
    assert sum(task.result() is not None for task in tries) == 1
    assert (await drop_expired(database, NOW + 400 * 86400, Retention())).postponed == ()
