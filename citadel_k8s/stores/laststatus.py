"""The last status of each node, whole, as the worker leaves it in Redis for a day."""

from typing import Any

from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.domain.keys import last_status_key
from citadel_k8s.stores.connection import ANSWER_TIMEOUT, RedisConnection


class LastStatuses:
    """Reads last statuses.

    Parameters
    ----------
    url : str
        As in `citadel_k8s.stores.connection.RedisConnection`.

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
            purpose="last statuses",
            username=username,
            password=password,
            answer_timeout=answer_timeout,
        )
        self._redis: Any = self._server.redis

    async def get(self, org_id: str, node_id: str) -> bytes | None:
        """Give what a node said last; None if that is older than a day, or was lost.

        Raises
        ------
        StreamError
            If the server did not answer.
        """
        async with self._server.edge("reading a status"):
            found: bytes | None = await self._redis.get(last_status_key(org_id, node_id))
        return found if found is not None and len(found) <= MAX_ENTRY_BYTES else None

    async def close(self) -> None:
        """Let go of the connections."""
        await self._server.close()
