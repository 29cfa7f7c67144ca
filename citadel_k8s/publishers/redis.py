"""Heartbeats into a Redis stream. The stream decides; the channel is a courtesy.

A publisher that gave up on a failed PUBLISH once kept healthy nodes out of routing for half a
day, so the durable write goes first and alone makes the heartbeat a success.
"""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from citadel_k8s.constants import STATUS_STREAM, STATUS_STREAM_MAXLEN
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.keys import status_channel
from citadel_k8s.errors import ConfigError, PublishError
from citadel_k8s.models.codec import encode
from citadel_k8s.models.wire import StatusMessage

SOCKET_TIMEOUT: Final = 3.0
"""Seconds that a connect or one command may take. A node on a mesh across an ocean answers in
0.3 s; with the library's own retries a dead server would hold a heartbeat for 57 s."""

ERROR_MAX: Final = 512
"""Characters kept of what a server says is wrong: one line of a log."""


class RedisPublisher:
    """Writes to the status stream, then announces on the node's channel.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``; TLS files as the URL's query parameters.
    username, password : str or None
        ACL user; those in the URL if None.
    stream_max_length : int
        Approximate length at which the stream is trimmed.
    org_id : str or None
        Stamped on each entry; a server that knows better overwrites it.
    on_channel : callable
        Told how each announcement on the channel went: an error's text, or None.

    Raises
    ------
    ConfigError
        If the URL cannot be understood.
    """

    transport = "redis"

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        stream_max_length: int = STATUS_STREAM_MAXLEN,
        org_id: str | None = None,
        socket_timeout: float = SOCKET_TIMEOUT,
        on_channel: Callable[[str | None], None] = lambda _error: None,
    ) -> None:
        self._on_channel = on_channel
        self._max_length = stream_max_length
        self._org_id = org_id
        try:
            self._redis: Redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
                url, max_connections=2
            )
            # An option that no connection knows must not wait for the first heartbeat.
            self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        except (ValueError, TypeError, RedisError) as error:
            raise ConfigError(f"redisUrl {masked(url)}: {error}") from error
        options: dict[str, Any] = self._redis.connection_pool.connection_kwargs
        # After the URL and not before it: these are not for a query string to change.
        options |= {
            "protocol": 2,  # understood by servers of every age
            # The outbox retries. A retry in here would write an entry twice and hold the next
            # heartbeat up.
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": socket_timeout,
            "socket_connect_timeout": socket_timeout,
        }
        given = {"username": username, "password": password}
        # Only what is given: a None would win over the URL's own user and password.
        options |= {key: value for key, value in given.items() if value is not None}

    async def publish(self, message: StatusMessage) -> None:
        """Append to the stream, then announce; only the first can fail."""
        payload = encode(message)
        try:
            await self._redis.xadd(
                STATUS_STREAM, self._fields(message, payload), maxlen=self._max_length
            )
        except Exception as error:  # noqa: BLE001 - nonsense makes the library raise anything
            raise PublishError(f"XADD {STATUS_STREAM}: {self._text(error)}") from None
        try:
            await self._redis.publish(  # pyright: ignore[reportUnknownMemberType]
                status_channel(message.node_id), payload
            )
        except Exception as error:  # noqa: BLE001 - the heartbeat is kept, whatever this was
            self._on_channel(self._text(error))
        else:
            self._on_channel(None)

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    def _fields(self, message: StatusMessage, payload: bytes) -> dict[Any, Any]:
        fields: dict[Any, Any] = {
            "nodeId": message.node_id,
            "timestamp": message.timestamp,
            "payload": payload,
        }
        if self._org_id is not None:
            fields["orgId"] = self._org_id
        return fields

    def _text(self, error: Exception) -> str:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        # A server that does not know AUTH quotes its arguments.
        secret = self._redis.connection_pool.connection_kwargs.get("password")
        return clip(text.replace(str(secret), "***") if secret else text, ERROR_MAX)


def masked(url: str) -> str:
    """Give a URL without what could be a secret: scheme, host and path only."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
