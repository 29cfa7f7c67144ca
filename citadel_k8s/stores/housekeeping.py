"""The consumer groups that nodes leave behind on the stream of configuration messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from redis import exceptions
from typing_extensions import override

from citadel_k8s.stores.configs import CONFIG_STREAM
from citadel_k8s.stores.connection import ANSWER_TIMEOUT, RedisConnection

GROUP_PREFIX: Final = "citadel-config-"
"""What the groups of nodes begin with; groups of others are not looked at."""


@dataclass(frozen=True, slots=True)
class ConfigGroup:
    """A node's group, and how long nobody has asked in its name.

    ``idle`` is in seconds of the server's clock; None if no consumer ever asked.
    """

    node_id: str
    idle: float | None


class ConfigGroups(Protocol):
    """The groups of the nodes. Every call raises `StreamError` when the server is away."""

    async def nodes(self) -> list[str]:
        """Give the ids of the nodes that have a group."""
        ...

    async def idle(self, node_ids: Sequence[str]) -> list[ConfigGroup]:
        """Give how long the groups of these nodes have been idle; those that are gone are not."""
        ...

    async def destroy(self, node_id: str) -> bool:
        """Take a node's group away; False if there was none."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class RedisConfigGroups(ConfigGroups):
    """The groups in Redis.

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
        stream: str = CONFIG_STREAM,
        answer_timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        self.stream = stream
        self._server = RedisConnection(
            url,
            purpose=stream,
            username=username,
            password=password,
            answer_timeout=answer_timeout,
        )
        self._redis: Any = self._server.redis

    @override
    async def nodes(self) -> list[str]:
        async with self._server.edge("listing groups"):
            try:
                groups: list[dict[str, Any]] = await self._redis.xinfo_groups(self.stream)
            except exceptions.ResponseError as error:
                if "no such key" not in str(error):
                    raise
                return []
        names = (group["name"].decode(errors="replace") for group in groups)
        return [n.removeprefix(GROUP_PREFIX) for n in names if n.startswith(GROUP_PREFIX)]

    @override
    async def idle(self, node_ids: Sequence[str]) -> list[ConfigGroup]:
        async with self._server.edge("asking for consumers"):
            pipeline: Any = self._redis.pipeline(transaction=False)
            for node_id in node_ids:
                pipeline.xinfo_consumers(self.stream, GROUP_PREFIX + node_id)
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
        found: list[ConfigGroup] = []
        for node_id, answer in zip(node_ids, answers, strict=True):
            if isinstance(answer, Exception):
                continue  # gone meanwhile; whatever else is wrong is wrong with the next call too
            idle = [consumer["idle"] / 1000 for consumer in answer]
            found.append(ConfigGroup(node_id, min(idle, default=None)))
        return found

    @override
    async def destroy(self, node_id: str) -> bool:
        async with self._server.edge("destroying a group"):
            return bool(await self._redis.xgroup_destroy(self.stream, GROUP_PREFIX + node_id))

    @override
    async def close(self) -> None:
        await self._server.close()
