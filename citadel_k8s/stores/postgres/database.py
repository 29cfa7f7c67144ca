"""Transactions on PostgreSQL: bounded in time, and safe behind PgBouncer in transaction mode.

Nothing lives longer than a transaction: no prepared statements, no session settings, no LISTEN, no
session locks. Rows of one org are read and written as a role that sees no others (`tenant`).
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, Final

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from citadel_k8s.errors import ConfigError, DatabaseError, SchemaError
from citadel_k8s.stores.postgres.pool import Connection, Pool

__all__ = ["Connection", "Database"]

BAD_VALUES: Final = (psycopg.DataError, psycopg.IntegrityError)
"""Errors of values that no table takes, for those who have no other way to name them."""

ANSWER_TIMEOUT: Final = 10.0
"""Seconds for a transaction, waiting for a connection among them: a page waits no longer."""

CONNECT_TIMEOUT: Final = 5
"""Seconds for a new connection."""

ROLLBACK_TIMEOUT: Final = 1.0
"""Seconds to take a transaction back; then its connection is closed, which does it too."""

HUNG_SECONDS: Final = 5.0
"""Seconds beyond its time after which the server ends a transaction whose client says nothing: one
that was stopped in the middle holds locks that others wait for."""

_MOVED: Final = (errors.ReadOnlySqlTransaction, errors.AdminShutdown, errors.CrashShutdown)
_NO_SCHEMA: Final = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName)
_UPGRADE: Final = "run citadel-k8s db upgrade"
_ORG_ID: Final = re.compile(r"[a-zA-Z0-9._-]{1,128}")
_BEGIN: Final = sql.SQL(
    "BEGIN; SET LOCAL statement_timeout = {timeout};"
    " SET LOCAL idle_in_transaction_session_timeout = {idle}"
)
_TENANT: Final = sql.SQL(
    "; SET LOCAL ROLE citadel_tenant; SELECT set_config('citadel.org', {org}, true)"
)


class Database:
    """Connects when first needed, and again after each failure.

    Parameters
    ----------
    url : str
        ``postgresql://user@host/database``.
    password : str or None
        Used unless the URL has one.
    pool_max : int
        Connections at most.
    purpose : str
        Who asks, shown in ``pg_stat_activity``.
    answer_timeout : float
        Seconds for a transaction that names no other.

    Raises
    ------
    ConfigError
        If the URL is none; it is not quoted.
    """

    def __init__(
        self,
        url: str,
        *,
        password: str | None = None,
        pool_max: int = 10,
        purpose: str = "citadel-k8s",
        answer_timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        try:
            given = conninfo_to_dict(url)
            if any("@" in str(given.get(part, "")) for part in ("host", "port", "dbname")):
                raise ConfigError(
                    "a password with / or @ in the database's URL must be percent-encoded, or"
                    " given as databasePassword"
                )
            secret = {"password": password} if password and not given.get("password") else {}
            self._conninfo = make_conninfo(
                url, application_name=purpose, connect_timeout=CONNECT_TIMEOUT, **secret
            )
        except psycopg.ProgrammingError:
            # What libpq says quotes the URL, and so does an error's cause.
            raise ConfigError("the database's URL cannot be used; see databaseUrl") from None
        self._where = place_of(self._conninfo)
        self._answer_timeout = answer_timeout
        self._pool_max = pool_max
        self._pool = Pool(self._conninfo, pool_max)

    @asynccontextmanager
    async def transaction(self, *, timeout: float | None = None) -> AsyncGenerator[Connection]:
        """Do something in one transaction as the connecting user, who sees all orgs.

        The server stops a statement that outlasts the time too, so that nothing runs on for a
        client that has gone. What is inside must not wait for anything but this database.

        Raises
        ------
        DatabaseError
            When the server is away, silent or refuses, or the transaction took too long. Errors
            of data (`psycopg.DataError`, `psycopg.IntegrityError`) come through as they are.
        SchemaError
            When it lacks a table, a column or our role.
        """
        async with self._within(timeout, None) as connection:
            yield connection

    @asynccontextmanager
    async def tenant(
        self, org_id: str, *, timeout: float | None = None
    ) -> AsyncGenerator[Connection]:
        """Do something in one transaction as a role that sees the rows of one org only.

        Raises
        ------
        DatabaseError
            As `transaction`.
        """
        async with self._within(timeout, org_id) as connection:
            yield connection

    @property
    def conninfo(self) -> str:
        """What libpq connects with; it holds the password."""
        return self._conninfo

    async def close(self) -> None:
        """Let go of the connections."""
        await self._pool.close()

    @asynccontextmanager
    async def _within(
        self, timeout: float | None, org_id: str | None
    ) -> AsyncGenerator[Connection]:
        limit = self._answer_timeout if timeout is None else timeout
        deadline = asyncio.timeout(limit)
        busy = f"all {self._pool_max} connections were busy for {limit:g} s"
        said = busy if self._pool.busy else f"no answer in {limit:g} s"
        try:
            async with deadline:
                connection = await self._begun(_begin(limit, org_id))
                said = f"the transaction took longer than {limit:g} s"
                async with self._ending(connection):
                    yield connection
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise DatabaseError(f"PostgreSQL at {self._where}: {said}") from error
        except (psycopg.DataError, psycopg.IntegrityError):
            raise
        except _NO_SCHEMA as error:
            said = f"{first_line(error)}; {_UPGRADE}"
            raise SchemaError(f"PostgreSQL at {self._where}: {said}") from error
        except psycopg.Error as error:
            raise DatabaseError(f"PostgreSQL at {self._where}: {first_line(error)}") from error

    async def _begun(self, begin: bytes) -> Connection:
        """Give a connection on which the transaction has begun.

        A connection that was used before may have died unnoticed, behind a PgBouncer for one. As
        nothing has been done yet, a new one is tried, once.
        """
        connection, used = await self._pool.take()
        try:
            await self._execute(connection, begin)
        except psycopg.OperationalError:
            if not used:
                raise
            connection, _ = await self._pool.take(fresh=True)
            await self._execute(connection, begin)
        return connection

    async def _execute(self, connection: Connection, begin: bytes) -> None:
        try:
            await connection.execute(begin)
        except psycopg.DataError as error:
            await self._abandon(connection)
            # The role that all tenants' statements begin with is made with the tables.
            raise errors.InvalidSchemaName(first_line(error)) from error
        except BaseException:
            await self._abandon(connection)
            raise

    @asynccontextmanager
    async def _ending(self, connection: Connection) -> AsyncGenerator[None]:
        try:
            yield
            await _commit(connection)
        except _MOVED:
            await self._abandon(connection)
            await self._pool.clear()
            raise
        except BaseException:
            await self._roll_back(connection)
            raise
        await self._pool.give(connection)

    async def _roll_back(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(ROLLBACK_TIMEOUT):
                await connection.rollback()
        except (TimeoutError, psycopg.Error):
            await self._abandon(connection)
        except BaseException:
            await self._abandon(connection)
            raise
        else:
            await self._pool.give(connection)

    async def _abandon(self, connection: Connection) -> None:
        await connection.close()
        await self._pool.give(connection)


def ports_of(conninfo: str) -> frozenset[int]:
    """Give the ports of a connection string that libpq takes; it may name several hosts."""
    given = str(conninfo_to_dict(conninfo).get("port") or "")
    return frozenset(int(port) if port.isdecimal() else 5432 for port in given.split(","))


def place_of(conninfo: str) -> str:
    """Give host and port of a connection string that libpq takes, without its secrets."""
    given = conninfo_to_dict(conninfo)
    return f"{given.get('host') or 'a socket'}:{given.get('port') or 5432}"


def password_of(conninfo: str) -> str | None:
    """Give the password in a connection string that libpq takes; None if it has none.

    Raises
    ------
    ConfigError
        If it is no connection string; it is not quoted.
    """
    try:
        password = conninfo_to_dict(conninfo).get("password")
    except psycopg.ProgrammingError:
        raise ConfigError("the database's URL cannot be used; see databaseUrl") from None
    return str(password) if password else None


def first_line(error: Any) -> str:
    """Give what a server said, without the statement and its values."""
    diagnosis = getattr(error, "diag", None)
    text = getattr(diagnosis, "message_primary", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]


async def _commit(connection: Connection) -> None:
    if connection.info.transaction_status == TransactionStatus.INERROR:
        # COMMIT would take everything back and call that a success.
        raise psycopg.OperationalError("a statement failed, so nothing was kept")
    await connection.commit()


@lru_cache(maxsize=1024)  # a few hundred orgs ask again and again
def _begin(limit: float, org_id: str | None) -> bytes:
    begin = _BEGIN.format(
        timeout=sql.Literal(max(1, round(limit * 1000))),
        idle=sql.Literal(round((limit + HUNG_SECONDS) * 1000)),
    )
    if org_id is None:
        return begin.as_bytes()
    # What cannot be an org's id owns nothing, and some of it cannot be quoted.
    known = org_id if _ORG_ID.fullmatch(org_id) else ""
    return (begin + _TENANT.format(org=sql.Literal(known))).as_bytes()
