"""A way to one Redis or Valkey server: bounded, never retried in here, and silent on secrets."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import redis.asyncio as redis_asyncio
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from citadel_k8s.errors import CitadelError, ConfigError, StreamError

ANSWER_TIMEOUT: Final = 3.0
"""Seconds for connecting, logging in and an answer, on top of the time that a read may block. A
server on the same continent answers in 0.2 s; 5 s without one is when readers count as down."""


class RedisConnection:
    """Connects on the first call and again after each failure.

    Nothing is tried twice in here: a repeated XADD would be a second entry, and the caller has
    to know how long the server was away.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``; a user and a password in it are used unless
        given beside it.
    purpose : str
        What the server is used for, such as a stream's name; each error begins with it.
    answer_timeout : float
        Seconds for an answer.

    Raises
    ------
    ConfigError
        If the URL is none.
    """

    def __init__(
        self,
        url: str,
        *,
        purpose: str,
        username: str | None = None,
        password: str | None = None,
        answer_timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        self._purpose = purpose
        self._answer_timeout = answer_timeout
        self._pool = _pool(url, username, password)
        self.redis: redis_asyncio.Redis = redis_asyncio.Redis(connection_pool=self._pool)

    @asynccontextmanager
    async def edge(self, doing: str, extra: float = 0.0) -> AsyncGenerator[None]:
        """Bound what is done to the server, and turn what goes wrong into a `StreamError`.

        Parameters
        ----------
        doing : str
            What is being done, for the error.
        extra : float
            Seconds on top of the answer's own, for a read that blocks.
        """
        limit = extra + self._answer_timeout
        try:
            async with asyncio.timeout(limit):
                yield
        except TimeoutError as error:
            raise self._error(doing, f"no answer within {limit:g} s") from error
        except CitadelError:
            raise
        except Exception as error:
            # A server that speaks nonsense makes the library raise whatever it stumbles over.
            raise self._error(doing, str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Let go of the connections."""
        async with self.edge("closing"):
            await self._pool.disconnect()

    def _error(self, doing: str, detail: str) -> StreamError:
        options = self._pool.connection_kwargs
        where = (
            options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
        )
        # A server that does not know AUTH quotes its arguments.
        for secret in filter(None, (options.get("password"),)):
            detail = detail.replace(str(secret), "***")
        return StreamError(f"{self._purpose} at {where}: {doing}: {detail}")


def _pool(url: str, username: str | None, password: str | None) -> redis_asyncio.ConnectionPool:
    try:
        pool: redis_asyncio.ConnectionPool = redis_asyncio.ConnectionPool.from_url(url)  # pyright: ignore[reportUnknownMemberType] - its keyword arguments are untyped
        # An option that no connection knows must not wait for the first read.
        pool.make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, exceptions.RedisError) as error:
        # The URL is not quoted: a password may be in it.
        raise ConfigError(f"the Redis URL cannot be used: {error}") from error
    # After the URL and not before it: these are not for a query string to change.
    pool.connection_kwargs |= {
        "decode_responses": False,
        "protocol": 2,  # one shape of answers from servers of every age
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": None,  # each call has its own limit; a blocking read needs more
        "socket_connect_timeout": None,
    }
    given = {"username": username, "password": password}
    pool.connection_kwargs |= {key: value for key, value in given.items() if value is not None}
    return pool
