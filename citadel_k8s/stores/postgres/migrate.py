"""Upgrades of the schema: all steps that are missing, in one transaction, once.

However many replicas start at the same time, one upgrades and the others wait for it. alembic is
blocking, so it runs in a thread; when its time is up, the thread's connection is cut.
"""

import asyncio
import io
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from psycopg import errors
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from citadel_k8s.errors import DatabaseError
from citadel_k8s.stores.postgres import migrations
from citadel_k8s.stores.postgres.database import Database, first_line, place_of
from citadel_k8s.stores.postgres.migrations import REVISIONS
from citadel_k8s.stores.postgres.schema import (
    RIGHTS,
    SchemaState,
    revision_problem,
    state_of,
    tenant_problem,
    upgrade_problem,
)

UPGRADE_TIMEOUT: Final = 300.0
"""Seconds for an upgrade, waiting for that of another replica among them."""

LOCK_SECONDS: Final = 10
"""Seconds that a step waits for a table in use: while it waits, writers wait behind it."""

TRIES: Final = 3
"""Attempts when an upgrade of another database of the same server touched the shared role."""

CUT_SECONDS: Final = 10.0
"""Seconds for the thread to end after its connection was cut; it may be just connecting."""

_LOCK: Final = 0x6369_7461_0001
_WATCH: Final = """
SELECT set_config(name, '2s', true) FROM pg_settings WHERE name = 'client_connection_check_interval'
"""  # since PostgreSQL 14: a statement ends when its client has gone
_ALEMBIC: Final = threading.Lock()
_RACES: Final = (errors.UniqueViolation, errors.DuplicateObject, errors.InternalError_)

Report = Callable[[str], None]
"""Is told what was done, a line each; called from the upgrade's thread."""


def quiet(_: str) -> None:
    """Tell nobody."""


async def upgrade(
    conninfo: str, report: Report = quiet, *, timeout: float = UPGRADE_TIMEOUT
) -> SchemaState:
    """Bring the schema to this program's revision; it does nothing where that is done.

    All steps are one transaction: one that fails leaves nothing behind.

    Raises
    ------
    DatabaseError
        If the server is away or refuses, a right is missing (the message has the statement that
        gives it), the database is newer than this program, or the time is up.
    """
    run = _Upgrade(conninfo, report, timeout)
    worker = asyncio.get_running_loop().run_in_executor(None, run)
    done, _ = await _settled(worker, run, timeout)
    if not done:
        raise DatabaseError(
            f"PostgreSQL at {place_of(conninfo)}: the upgrade took longer than {timeout:g} s;"
            " nothing was changed"
        )
    worker.result()
    return await check(conninfo)


async def check(conninfo: str) -> SchemaState:
    """Say where the schema stands; nothing is written.

    Raises
    ------
    DatabaseError
        If the database cannot be asked.
    """
    database = Database(conninfo, pool_max=1, purpose="citadel-k8s db check")
    try:
        return await state_of(database)
    finally:
        await database.close()


def script() -> str:
    """Give the statements of all steps, for an administrator who runs them by hand."""
    written = io.StringIO()
    config = _config(output=written)
    with _ALEMBIC:
        command.upgrade(config, "head", sql=True)
    return written.getvalue()


async def _settled(
    worker: "asyncio.Future[None]", run: "_Upgrade", timeout: float
) -> tuple[set["asyncio.Future[None]"], Any]:
    """Wait for the thread; one that is late, or no longer wanted, is cut and then waited for."""
    done: set[asyncio.Future[None]] = set()
    try:
        done, _ = await asyncio.wait({worker}, timeout=timeout)
    finally:
        if not done:
            run.cut()
            await asyncio.wait({worker}, timeout=CUT_SECONDS)
            if worker.done():
                worker.exception()
    return done, None


class _Upgrade:
    """One upgrade, called in a thread."""

    def __init__(self, conninfo: str, report: Report, timeout: float) -> None:
        self._conninfo = conninfo
        self._report = report
        self._milliseconds = max(1, round(timeout * 1000))
        self._raw: psycopg.Connection[Any] | None = None
        self._cut = False

    def __call__(self) -> None:
        where = f"PostgreSQL at {place_of(self._conninfo)}"
        for left in reversed(range(TRIES)):
            try:
                self._try()
            except (DBAPIError, psycopg.Error) as error:
                orig = error.orig if isinstance(error, DBAPIError) else error
                if isinstance(orig, _RACES) and left:
                    continue
                raise DatabaseError(f"{where}: {_explained(orig)}; nothing was changed") from error
            except DatabaseError as error:
                raise DatabaseError(f"{where}: {error}") from error
            return

    def cut(self) -> None:
        """End the connection, from another thread: what waits on it fails at once."""
        self._cut = True
        raw = self._raw
        if raw is not None and not raw.closed:
            with socket.socket(fileno=os.dup(raw.fileno())) as ours:
                ours.shutdown(socket.SHUT_RDWR)

    def _connect(self) -> psycopg.Connection[Any]:
        raw = psycopg.connect(
            self._conninfo, connect_timeout=5, prepare_threshold=None, autocommit=False
        )
        self._raw = raw
        if self._cut:
            raw.close()
            raise psycopg.OperationalError("the upgrade was given up")
        return raw

    def _try(self) -> None:
        engine = sqlalchemy.create_engine(
            "postgresql+psycopg://", creator=self._connect, poolclass=NullPool
        )
        with engine.begin() as connection:
            self._run(connection)

    def _run(self, connection: sqlalchemy.Connection) -> None:
        run = connection.exec_driver_sql
        run(f"SET LOCAL statement_timeout = {self._milliseconds}")
        run(_WATCH)
        run(f"SELECT pg_advisory_xact_lock({_LOCK})")
        run(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        rights = run(RIGHTS).mappings().one()
        there = run("SELECT to_regclass('alembic_version')").scalar()
        current = run("SELECT max(version_num) FROM alembic_version").scalar() if there else None
        if current is not None and current not in REVISIONS:
            raise DatabaseError(revision_problem(current) or "")
        if current == REVISIONS[-1]:
            problem = tenant_problem(dict(rights))
            if problem:
                raise DatabaseError(problem)
            self._report(f"the schema is at revision {current}, as needed")
            return
        problem = upgrade_problem(dict(rights))
        if problem:
            raise DatabaseError(problem)
        config = _config(connection=connection, on_version_apply=self._told)
        with _ALEMBIC:
            command.upgrade(config, "head")

    def _told(self, *, step: Any, **_: Any) -> None:
        self._report(f"revision {step.up_revision_id}: {step.up_revision.doc}")


def _config(**attributes: Any) -> Config:
    config = Config(attributes=attributes)
    folder = Path(migrations.__file__).parent
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _explained(error: BaseException | None) -> str:
    if isinstance(error, errors.LockNotAvailable):
        return f"a table was in use for {LOCK_SECONDS} s; try again when less is going on"
    if isinstance(error, errors.InsufficientPrivilege):
        return (
            f"{first_line(error)}; let the tables' owner run the upgrade, or give this user the"
            " right"
        )
    return first_line(error)
