"""A way to one Redis or Valkey server: bounded, never retried in here, and silent on secrets."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import redis.asyncio as redis_asyncio
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from citadel_k8s.domain.redisurl import SCHEMES, RedisPlace, several
from citadel_k8s.errors import CitadelError, ConfigError, StreamError

ANSWER_TIMEOUT: Final = 3.0
"""Seconds for connecting, logging in and an answer, on top of the time that a read may block. A
server on the same continent answers in 0.2 s; 5 s without one is when readers count as down."""

SENTINEL_TIMEOUT: Final = 1.0
"""Seconds for a sentinel's answer: a dead one must not use up the call's own time."""


class RedisConnection:
    """Connects on the first call and again after each failure.

    Nothing is tried twice in here: a repeated XADD would be a second entry, and the caller has
    to know how long the server was away.

    Parameters
    ----------
    url : str
        As in `citadel_k8s.domain.redisurl`; a user and a password in it are used unless given
        beside it.
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
        place = several(url)
        self.cluster = place is not None and place.kind == "cluster"
        given = {"username": username, "password": password}
        own = {key: value for key, value in given.items() if value is not None}
        self._asked: list[Any] = []
        if place is None:
            client, self._where, secrets = _single(url, own)
        else:
            login = {"username": place.username, "password": place.password} | own
            self._where, secrets = place.where, [login["password"], place.sentinel_password]
            if self.cluster:
                client = _of_cluster(place, login)
            else:
                client, self._asked = _of_sentinels(place, login)
        self._secrets = [str(secret) for secret in secrets if secret]
        self.redis: redis_asyncio.Redis = client

    @asynccontextmanager
    async def edge(
        self, doing: str, extra: float = 0.0, *, begin: bool = True
    ) -> AsyncGenerator[None]:
        """Bound what is done to the server, and turn what goes wrong into a `StreamError`.

        Parameters
        ----------
        doing : str
            What is being done, for the error.
        extra : float
            Seconds on top of the answer's own, for a read that blocks.
        begin : bool
            Whether a cluster has to be known before.
        """
        limit = extra + self._answer_timeout
        try:
            async with asyncio.timeout(limit):
                if self.cluster and begin:
                    _ = await self.redis.initialize()  # before it, no slot has a server
                yield
        except TimeoutError as error:
            raise self._error(doing, f"no answer within {limit:g} s") from error
        except CitadelError:
            raise
        except Exception as error:
            # A server that speaks nonsense makes the library raise whatever it stumbles over.
            raise self._error(doing, str(error) or type(error).__name__) from error

    async def now_ms(self, key: str) -> int:
        """Give the clock, in milliseconds, of the server that has a key.

        Only within an `edge`.
        """
        client: Any = self.redis
        where = {"target_nodes": client.get_node_from_key(key)} if self.cluster else {}
        seconds, micros = await client.time(**where)
        return int(seconds) * 1000 + int(micros) // 1000

    async def close(self) -> None:
        """Let go of the connections."""
        async with self.edge("closing", begin=False):
            await self.redis.aclose()
            for asked in self._asked:
                await asked.aclose()

    def _error(self, doing: str, detail: str) -> StreamError:
        # A server that does not know AUTH quotes its arguments.
        for secret in self._secrets:
            detail = detail.replace(secret, "***")
        return StreamError(f"{self._purpose} at {self._where}: {doing}: {detail}")


_PLAIN: Final[dict[str, Any]] = {
    "decode_responses": False,
    "protocol": 2,  # one shape of answers from servers of every age
    "retry": Retry(NoBackoff(), 0),
    "socket_timeout": None,  # each call has its own limit; a blocking read needs more
    "socket_connect_timeout": None,
}
"""What every connection is like; not for an address's query string to change."""


def _single(url: str, own: dict[str, str]) -> tuple[Any, str, list[Any]]:
    try:
        pool: redis_asyncio.ConnectionPool = redis_asyncio.ConnectionPool.from_url(url)  # pyright: ignore[reportUnknownMemberType] - its keyword arguments are untyped
        # An option that no connection knows must not wait for the first read.
        pool.make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, exceptions.RedisError) as error:
        # The URL is not quoted: a password may be in it.
        known = ", ".join(SCHEMES)
        raise ConfigError(f"the Redis URL cannot be used: {error} (known: {known})") from error
    pool.connection_kwargs |= _PLAIN | own
    options = pool.connection_kwargs
    where = options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
    return redis_asyncio.Redis.from_pool(pool), str(where), [options.get("password")]


def _of_sentinels(place: RedisPlace, login: dict[str, str | None]) -> tuple[Any, list[Any]]:
    from redis.asyncio.sentinel import Sentinel  # noqa: PLC0415 - an agent has no room for it

    asking: dict[str, Any] = {
        "username": place.sentinel_username,
        "password": place.sentinel_password,
        "ssl": place.tls,
        "socket_timeout": SENTINEL_TIMEOUT,
        "socket_connect_timeout": SENTINEL_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    sentinels: Any = Sentinel(list(place.hosts), sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
    client = sentinels.master_for(
        place.service, db=place.database, ssl=place.tls, **login, **_PLAIN
    )
    return client, sentinels.sentinels


def _of_cluster(place: RedisPlace, login: dict[str, str | None]) -> Any:
    from redis.asyncio.cluster import ClusterNode, RedisCluster  # noqa: PLC0415 - as above

    nodes = [ClusterNode(host, port) for host, port in place.hosts]
    # A slot that moved is asked for where it went; beyond that nothing is tried twice.
    options: dict[str, Any] = {**login, **_PLAIN}
    return RedisCluster(startup_nodes=nodes, ssl=place.tls, **options)
