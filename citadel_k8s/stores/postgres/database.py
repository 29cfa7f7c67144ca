"""A pool of connections to PostgreSQL, bounded, and safe behind PgBouncer in transaction mode.

Nothing lives longer than a transaction: no prepared statements, no session settings, no LISTEN, no
session locks. Rows of one org are read and written as a role that sees no others (`tenant`).
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from citadel_k8s.errors import ConfigError, DatabaseError

Connection = psycopg.AsyncConnection[DictRow]
"""What a transaction is done on; rows come as dicts."""

ANSWER_TIMEOUT: Final = 10.0
"""Seconds for a transaction, waiting for a connection among them: a page waits no longer."""

CONNECT_TIMEOUT: Final = 5
"""Seconds for a new connection."""


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
            secret = {"password": password} if password and not given.get("password") else {}
            self._conninfo = make_conninfo(
                url, application_name=purpose, connect_timeout=CONNECT_TIMEOUT, **secret
            )
        except psycopg.ProgrammingError as error:
            raise ConfigError("the database's URL cannot be used; see databaseUrl") from error
        self._where = f"{given.get('host') or 'a socket'}:{given.get('port') or 5432}"
        self._answer_timeout = answer_timeout
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            self._conninfo,
            connection_class=psycopg.AsyncConnection[DictRow],
            kwargs={"row_factory": dict_row, "prepare_threshold": None, "autocommit": True},
            min_size=0,
            max_size=pool_max,
            open=False,
            timeout=answer_timeout,
            max_idle=60,
            reconnect_timeout=0,
        )
        self._opening = asyncio.Lock()
        self._opened = False

    @asynccontextmanager
    async def transaction(self, *, timeout: float | None = None) -> AsyncGenerator[Connection]:
        """Do something in one transaction as the connecting user, who sees all orgs.

        Raises
        ------
        DatabaseError
            When the server is away, silent or refuses, or the transaction took too long. Errors
            of data (`psycopg.DataError`, `psycopg.IntegrityError`) come through as they are.
        """
        limit = self._answer_timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(limit):
                await self._open()
                async with self._pool.connection(limit) as connection, connection.transaction():
                    yield connection
        except (TimeoutError, PoolTimeout) as error:
            raise DatabaseError(f"PostgreSQL at {self._where}: no answer in {limit:g} s") from error
        except (psycopg.DataError, psycopg.IntegrityError):
            raise
        except psycopg.Error as error:
            raise DatabaseError(f"PostgreSQL at {self._where}: {_first_line(error)}") from error

    @asynccontextmanager
    async def tenant(
        self, org_id: str, *, timeout: float | None = None
    ) -> AsyncGenerator[Connection]:
        """Do something in one transaction as a role that sees the rows of one org only."""
        async with self.transaction(timeout=timeout) as connection:
            await connection.execute("SET LOCAL ROLE citadel_tenant")
            await connection.execute("SELECT set_config('citadel.org', %s, true)", (org_id,))
            yield connection

    @property
    def conninfo(self) -> str:
        """What libpq connects with; it holds the password."""
        return self._conninfo

    async def close(self) -> None:
        """Let go of the connections."""
        if self._opened:
            await self._pool.close()

    async def _open(self) -> None:
        async with self._opening:
            if not self._opened:
                await self._pool.open()
                self._opened = True


def _first_line(error: Any) -> str:
    diagnosis = getattr(error, "diag", None)
    text = getattr(diagnosis, "message_primary", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]
