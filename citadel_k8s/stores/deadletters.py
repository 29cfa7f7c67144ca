"""The stream of what could not be delivered, in Redis."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from citadel_k8s.stores.connection import RedisConnection

ALERT_LETTERS: Final = "dlq:v1:alerts"
"""The stream of alerts that nobody took."""

LETTERS_MAX: Final = 1000
"""Approximate length of that stream, in entries: of 8 KiB at most, they are 8 MiB."""


class DeadLetters(Protocol):
    """Takes what could not be delivered."""

    async def bury(self, letter: Mapping[str, str]) -> None:
        """Append one; StreamError if that fails."""
        ...


class RedisDeadLetters:
    """A stream of dead letters.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``.

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
        stream: str = ALERT_LETTERS,
        max_length: int = LETTERS_MAX,
    ) -> None:
        self._stream = stream
        self._max_length = max_length
        self._server = RedisConnection(url, purpose=stream, username=username, password=password)
        self._redis: Any = self._server.redis

    async def bury(self, letter: Mapping[str, str]) -> None:
        """Append one; StreamError if that fails."""
        async with self._server.edge("appending"):
            await self._redis.xadd(self._stream, dict(letter), maxlen=self._max_length)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._server.close()
