"""The operator's connections to Redis, opened from its settings and closed together."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, Self

from citadel_k8s.config.operator import OperatorSettings
from citadel_k8s.errors import ConfigError, StreamError
from citadel_k8s.operator.canary import CANARY_LENGTH, CANARY_STREAM
from citadel_k8s.stores.configsender import ConfigSender
from citadel_k8s.stores.housekeeping import RedisConfigGroups
from citadel_k8s.stores.streams import RedisStatusStream

CANARY_TIMEOUT: Final = 3.0
"""Seconds for an answer to a canary, as to an agent that publishes."""


class Closing(Protocol):
    """What is to be let go of."""

    async def close(self) -> None:
        """Let go of the connections; StreamError if the server hangs."""
        ...


@dataclass(frozen=True, slots=True)
class Stores:
    """One connection for each use: a read that waits must hold nobody else up."""

    stream: RedisStatusStream
    canary: RedisStatusStream
    memory: RedisStatusStream
    configs: ConfigSender
    groups: RedisConfigGroups

    @classmethod
    def open(cls, settings: OperatorSettings) -> Self:
        """Name them; each connects with its first call.

        Raises
        ------
        ConfigError
            If no server is named, or its URL is none.
        """
        url = settings.redis_url
        if url is None:
            raise ConfigError("the operator needs redisUrl (--redis-url or CITADEL__REDIS_URL)")
        user = settings.redis_login
        return cls(
            stream=RedisStatusStream(url, **user),
            canary=RedisStatusStream(
                url,
                **user,
                stream=CANARY_STREAM,
                max_length=CANARY_LENGTH,
                answer_timeout=CANARY_TIMEOUT,
            ),
            memory=RedisStatusStream(url, **user),
            configs=ConfigSender(url, **user),
            groups=RedisConfigGroups(url, **user),
        )

    async def close(self) -> None:
        """Let go of all connections, side by side: the process ends, whatever becomes of them."""
        async with asyncio.TaskGroup() as group:
            for store in (self.stream, self.canary, self.memory, self.configs, self.groups):
                group.create_task(_close(store), name="close")


async def _close(store: Closing) -> None:
    with suppress(StreamError):
        await store.close()
