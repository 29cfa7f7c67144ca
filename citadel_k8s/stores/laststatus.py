"""What each node said last, whole, and when it was heard: as the worker leaves it for a day."""

from typing import Any, Final, NamedTuple

from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.domain.arrivals import ARRIVALS_KEPT, Arrival, read_arrivals
from citadel_k8s.domain.keys import arrivals_key, last_status_key
from citadel_k8s.stores.connection import ANSWER_TIMEOUT, RedisConnection

READ_MAX: Final = 2 * ARRIVALS_KEPT
"""Arrivals read: some may have been written twice, and a list is cut only now and then."""


class Heard(NamedTuple):
    """A node's last status, None if there is none any more, and its arrivals, the newest last."""

    status: bytes | None
    arrivals: list[Arrival]


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
        return _bounded(found)

    async def heard(self, org_id: str, node_id: str) -> Heard:
        """Give what a node said last, and when it was heard.

        Raises
        ------
        StreamError
            If the server did not answer.
        """
        async with self._server.edge("reading what a node said"):
            pipeline: Any = self._redis.pipeline(transaction=False)
            pipeline.get(last_status_key(org_id, node_id))
            pipeline.lrange(arrivals_key(org_id, node_id), -READ_MAX, -1)
            found, texts = await pipeline.execute()
        return Heard(_bounded(found), read_arrivals(texts))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._server.close()


def _bounded(found: bytes | None) -> bytes | None:
    return found if found is not None and len(found) <= MAX_ENTRY_BYTES else None
