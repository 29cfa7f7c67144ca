"""Connections that are lent out one transaction at a time, and kept in between.

A connection is made by the one who needs it, who is told at once why it cannot be: nothing goes on
behind the scenes. One that the server has closed meanwhile is known by what lies on its socket.
"""

import asyncio
import select
from collections import deque
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from typing_extensions import override

IDLE_MAX: Final = 60.0
"""Seconds that an unused connection is kept: a burst's connections go back to the server."""

AGE_MAX: Final = 1800.0
"""Seconds that a connection is kept at all, so that a moved server or a new password is noticed."""

CANCEL_TIMEOUT: Final = 1.0
"""Seconds to ask the server to stop a statement; after that the connection is given up."""


class Connection(psycopg.AsyncConnection[DictRow]):
    """What a transaction is done on; rows come as dicts.

    ``born`` and ``idle_since`` are by the event loop's clock, in seconds.
    """

    born: float = 0.0
    idle_since: float = 0.0

    @override
    async def cancel_safe(self, *, timeout: float = CANCEL_TIMEOUT) -> None:
        try:
            await super().cancel_safe(timeout=min(timeout, CANCEL_TIMEOUT))
        except psycopg.Error:
            # A server that takes no cancellation will not answer the statement either.
            self.pgconn.finish()
            raise


class Pool:
    """Connections up to a number; whoever needs one more waits in line.

    Parameters
    ----------
    conninfo : str
        What to connect to.
    size : int
        Connections at most.
    """

    def __init__(self, conninfo: str, size: int) -> None:
        self._conninfo = conninfo
        self._free = asyncio.Semaphore(size)
        self._idle: deque[Connection] = deque()
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether the next one has to wait."""
        return self._free.locked()

    async def take(self, *, fresh: bool = False) -> tuple[Connection, bool]:
        """Give a connection and whether it was used before; unused ones only if ``fresh``.

        Raises
        ------
        psycopg.Error
            If none can be made.
        """
        await self._free.acquire()
        try:
            used = None if fresh else await self._pick()
            return (used, True) if used else (await self._connect(), False)
        except BaseException:
            self._free.release()
            raise

    async def give(self, connection: Connection) -> None:
        """Take a connection back; what is not idle and sound is closed."""
        self._free.release()
        now = asyncio.get_running_loop().time()
        if self._closed or now - connection.born > AGE_MAX or not _sound(connection):
            await connection.close()
        else:
            connection.idle_since = now
            self._idle.append(connection)
        while self._idle and now - self._idle[0].idle_since > IDLE_MAX:
            await self._idle.popleft().close()

    async def clear(self) -> None:
        """Close all that are idle."""
        while self._idle:
            await self._idle.pop().close()

    async def close(self) -> None:
        """Close all that are idle, for good; those lent out are closed when they come back."""
        self._closed = True
        await self.clear()

    async def _pick(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if _sound(connection) and not _has_news(connection):
                return connection
            await connection.close()
        return None

    async def _connect(self) -> Connection:
        if self._closed:
            raise psycopg.InterfaceError("the connections were closed")
        kwargs: dict[str, Any] = {"row_factory": dict_row, "prepare_threshold": None}
        connection = await Connection.connect(self._conninfo, autocommit=True, **kwargs)
        connection.born = asyncio.get_running_loop().time()
        return connection


def _sound(connection: Connection) -> bool:
    return not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE


def _has_news(connection: Connection) -> bool:
    """Whether an idle connection has something to read: the server said goodbye, or is gone."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
