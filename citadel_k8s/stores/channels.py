"""A channel in Redis: what is said there is said once, to whoever listens at that moment."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn

from citadel_k8s.errors import StreamError
from citadel_k8s.stores.connection import ANSWER_TIMEOUT, RedisConnection

PING_EVERY: Final = 60.0
"""Seconds without a message after which the channel's server is asked whether it is there."""

SILENCE_MAX: Final = 2
"""Questions in a row that may stay without an answer: a half-open connection is found in 3 min."""


class RedisChannel:
    """Listens on one channel, and speaks on it.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``.
    name : str
        Which channel.

    Raises
    ------
    ConfigError
        If the URL is none.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        username: str | None = None,
        password: str | None = None,
        ping_every: float = PING_EVERY,
        answer_timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        self.name = name
        self._ping_every = ping_every
        self._server = RedisConnection(
            url,
            purpose=self.name,
            username=username,
            password=password,
            answer_timeout=answer_timeout,
        )

    async def listen(self, heard: Callable[[bytes], Awaitable[None]]) -> NoReturn:
        """Hand on each message until the connection is lost.

        Raises
        ------
        StreamError
            When it is lost, or was not to be had.
        """
        pubsub: Any = self._server.redis.pubsub()  # pyright: ignore[reportUnknownMemberType]
        try:
            async with self._server.edge("subscribing"):
                await pubsub.subscribe(self.name)
            await self._listen(pubsub, heard)
        finally:
            connection = pubsub.connection
            await pubsub.aclose()
            if connection is not None:  # in a cluster nobody else ends it
                await connection.disconnect()

    async def _listen(self, pubsub: Any, heard: Callable[[bytes], Awaitable[None]]) -> NoReturn:
        silent = 0
        while True:
            async with self._server.edge("listening", self._ping_every):
                message = await pubsub.get_message(timeout=self._ping_every)
            if message is None:
                silent += 1
                if silent > SILENCE_MAX:
                    raise StreamError(f"{self.name}: no answer to {SILENCE_MAX} pings")
                async with self._server.edge("pinging"):
                    await pubsub.ping()
                continue
            silent = 0
            if message["type"] == "message":
                await heard(message["data"])

    async def say(self, data: bytes) -> None:
        """Say something to whoever listens.

        Raises
        ------
        StreamError
            If the server did not take it.
        """
        async with self._server.edge("publishing"):
            await self._server.redis.publish(self.name, data)  # pyright: ignore[reportUnknownMemberType]

    async def close(self) -> None:
        """Let go of the connections."""
        await self._server.close()
