"""What is told of an org's nodes: a short stream, a channel, and what each node said last, when."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from citadel_k8s.constants import LAST_STATUS_SECONDS, ORG_STREAM_MAXLEN
from citadel_k8s.domain.arrivals import ARRIVALS_KEPT
from citadel_k8s.domain.keys import (
    arrivals_key,
    last_status_key,
    org_events_channel,
    org_events_stream,
)
from citadel_k8s.stores.connection import ANSWER_TIMEOUT, RedisConnection

FIELD = "d"
"""The one field of an entry of an org's stream: a delta as JSON."""


ARRIVALS_SLACK: Final = 20
"""Arrivals by which a node's list may be longer than what is kept, so that it is cut, and kept on
for another day, at one heartbeat of twenty: two commands less for each of the others."""


ARRIVALS_BEGUN: Final = 3
"""Arrivals up to which a list is given its day each time: that of the first can be lost with a
worker that ends in between, and a node that says no more would leave it there for good."""


class LastWord(NamedTuple):
    """A node, the status that it sent, whole, and when it was heard, as `Arrival.text` gives it."""

    node_id: str
    status: bytes
    arrivals: Sequence[str] = ()


class Told(NamedTuple):
    """One delta of an org, as JSON; ``last``: what its node said."""

    org_id: str
    delta: str
    last: LastWord | None = None


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
        """Append to the orgs' streams, then publish, then keep what nodes said; in their order.

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
                if one.last is not None:
                    key_of_last = last_status_key(one.org_id, one.last.node_id)
                    news.set(key_of_last, one.last.status, ex=LAST_STATUS_SECONDS)
            heard = _heard(told)
            for name, arrivals in heard:
                news.rpush(name, *arrivals)
            answers: list[Any] = await news.execute()
            await self._cut(heard, answers[len(answers) - len(heard) :])

    async def _cut(self, heard: Sequence[tuple[str, Sequence[str]]], lengths: list[int]) -> None:
        """Keep lists of arrivals short, and none of a node that keeps silent for a day."""
        cuts: Any = self._redis.pipeline(transaction=False)
        for (key, arrivals), length in zip(heard, lengths, strict=True):
            if length > ARRIVALS_KEPT + ARRIVALS_SLACK:
                cuts.ltrim(key, -ARRIVALS_KEPT, -1)
            elif length > len(arrivals) + ARRIVALS_BEGUN:
                continue
            # It began of late, or was cut.
            cuts.expire(key, LAST_STATUS_SECONDS)
        await cuts.execute()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._server.close()


def _heard(told: Sequence[Told]) -> list[tuple[str, Sequence[str]]]:
    """Give the keys of lists of arrivals, and what is to be put there."""
    return [
        (arrivals_key(one.org_id, one.last.node_id), one.last.arrivals[-ARRIVALS_KEPT:])
        for one in told
        if one.last is not None and one.last.arrivals
    ]
