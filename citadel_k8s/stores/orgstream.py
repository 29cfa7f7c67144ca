"""What is told of an org's nodes: a short stream, a channel, and each node's last status."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from citadel_k8s.constants import LAST_STATUS_SECONDS, ORG_STREAM_MAXLEN
from citadel_k8s.domain.keys import last_status_key, org_events_channel, org_events_stream
from citadel_k8s.stores.connection import ANSWER_TIMEOUT, RedisConnection

FIELD = "d"
"""The one field of an entry of an org's stream: a delta as JSON."""


class Told(NamedTuple):
    """One delta of an org, as JSON; ``status``: a node and the status that it sent, whole."""

    org_id: str
    delta: str
    status: tuple[str, bytes] | None = None


class OrgStreams:
    """Tells orgs what became of their nodes."""

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        max_length: int = ORG_STREAM_MAXLEN,
        answer_timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        self._max_length = max_length
        self._server = RedisConnection(
            url,
            purpose="orgs' streams",
            username=username,
            password=password,
            answer_timeout=answer_timeout,
        )
        self._redis: Any = self._server.redis

    async def tell(self, told: Sequence[Told]) -> None:
        """Append to the orgs' streams, then publish, then keep the statuses; in their order.

        Raises
        ------
        StreamError
            If the server did not take it all; it may have taken a part, and is told it again.
        """
        if not told:
            return
        async with self._server.edge("telling"):
            streams: Any = self._redis.pipeline(transaction=False)
            for one in told:
                streams.xadd(
                    org_events_stream(one.org_id), {FIELD: one.delta}, maxlen=self._max_length
                )
            ids: list[bytes] = await streams.execute()
            news: Any = self._redis.pipeline(transaction=False)
            for one, key in zip(told, ids, strict=True):
                message = f'{{"event":"{key.decode()}","delta":{one.delta}}}'
                channel = org_events_channel(one.org_id)
                if self._server.cluster:  # its client packs no publishing together
                    await self._redis.publish(channel, message)
                else:
                    news.publish(channel, message)
                if one.status is not None:
                    node_id, payload = one.status
                    key_of_last = last_status_key(one.org_id, node_id)
                    news.set(key_of_last, payload, ex=LAST_STATUS_SECONDS)
            await news.execute()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._server.close()
