"""A look at a Redis server from outside: what it tells its user of itself, and writes nothing."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from redis import exceptions

from citadel_k8s.constants import STATUS_STREAM
from citadel_k8s.stores.connection import ANSWER_TIMEOUT, RedisConnection

OWN_KEYS: Final = "citadel:doctor"
"""A key of the operator's own kind that nobody sets: whether it may be read is what is asked."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a server told.

    Attributes
    ----------
    server_ms : int or None
        Its clock, in milliseconds since the epoch; None if it may not be asked.
    policy : str or None
        What it does when memory is full; None if it may not be asked.
    memory_bytes, limit_bytes : int or None
        Memory in use and allowed (0: without limit).
    stream : bool or None
        Whether the status stream is there; None if it may not be asked.
    last_ms : int or None
        Moment of the stream's last entry by the server's clock.
    length : int or None
        Entries in the stream.
    refused : tuple of str
        Commands that the user may not use, of those that an operator needs.
    """

    server_ms: int | None = None
    policy: str | None = None
    memory_bytes: int | None = None
    limit_bytes: int | None = None
    stream: bool | None = None
    last_ms: int | None = None
    length: int | None = None
    refused: tuple[str, ...] = ()


class Inspection:
    """Looks at one server.

    Parameters
    ----------
    url : str
        As in `citadel_k8s.domain.redisurl`.

    Raises
    ------
    ConfigError
        If the URL is none.
    """

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        answer_timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        self._server = RedisConnection(
            url,
            purpose="redis",
            username=username,
            password=password,
            answer_timeout=answer_timeout,
        )
        self._redis: Any = self._server.redis

    async def look(self) -> Inspected:
        """Ask for all of it.

        Raises
        ------
        StreamError
            If the server is away, or takes no login.
        """
        refused: list[str] = []

        async def asked(command: str, call: Callable[[], Awaitable[Any]]) -> Any:
            try:
                return await call()
            except exceptions.NoPermissionError:
                refused.append(command)
                return None

        async with self._server.edge("asking"):
            await self._redis.ping()
            now = await asked("TIME", lambda: self._server.now_ms(STATUS_STREAM))
            await asked("XREAD", lambda: self._redis.xread({STATUS_STREAM: "$"}, count=1))
            await asked("HGET", lambda: self._redis.hget(OWN_KEYS, "any"))
            stream = await asked("XINFO STREAM", self._stream)
            needed = tuple(refused)
            memory: dict[str, Any] = await asked("INFO", lambda: self._redis.info("memory")) or {}
        return Inspected(
            server_ms=now,
            policy=memory.get("maxmemory_policy"),
            memory_bytes=memory.get("used_memory"),
            limit_bytes=memory.get("maxmemory"),
            stream=None if stream is None else bool(stream),
            last_ms=_moment(stream),
            length=stream.get("length") if stream else None,
            refused=needed,
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._server.close()

    async def _stream(self) -> dict[str, Any]:
        try:
            told: dict[str, Any] = await self._redis.xinfo_stream(STATUS_STREAM)
        except exceptions.NoPermissionError:
            raise
        except exceptions.ResponseError as error:
            if "no such key" in str(error).lower():
                return {}
            raise
        return told


def _moment(stream: dict[str, Any] | None) -> int | None:
    last = (stream or {}).get("last-generated-id")
    text = last.decode(errors="replace") if isinstance(last, bytes) else str(last)
    head = text.partition("-")[0]
    return int(head) if head.isascii() and head.isdigit() and int(head) > 0 else None
