"""The sending side of the configuration stream, and the memory of what was sent to whom."""

import json
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from citadel_k8s.domain.configmessage import APPLY, UPDATED
from citadel_k8s.domain.keys import config_channel
from citadel_k8s.domain.nodeconfig import Values
from citadel_k8s.errors import StreamError
from citadel_k8s.stores.configs import CONFIG_STREAM
from citadel_k8s.stores.connection import ANSWER_TIMEOUT, RedisConnection

STREAM_MAXLEN: Final = 10_000
"""Approximate length of the stream, in entries. A node that was away for longer than they last
reports an old revision when it is back, and is told again."""

MEMORY: Final = "citadel:operator:configs"
"""Hash of what was sent last, by node."""


@dataclass(frozen=True, slots=True)
class ConfigMessage:
    """What one node is told. ``sent_at`` is RFC 3339: it tells two sendings of the same apart.

    With ``anew`` all services are taken back first: a list only adds.
    """

    node_id: str
    values: Values
    revision: str
    sent_at: str
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """What a node was told last, and when by the operator's wall clock, in seconds."""

    revision: str
    at: float


class ConfigSender:
    """Sends configuration; connects on the first call and again after each failure.

    Nothing is tried twice in here. A message that was sent twice does no harm: it says how things
    should be.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``.
    channel : callable
        Gives the channel on which a node hears of its changes.
    answer_timeout : float
        Seconds for an answer.

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
        memory: str = MEMORY,
        channel: Callable[[str], str] = config_channel,
        answer_timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        self._stream, self._memory, self._channel = stream, memory, channel
        self._server = RedisConnection(
            url,
            purpose=stream,
            username=username,
            password=password,
            answer_timeout=answer_timeout,
        )
        self._redis: Any = self._server.redis

    async def send(self, message: ConfigMessage, at: float) -> None:
        """Append a message to the stream, remember it, and tell the node's channel.

        Raises
        ------
        StreamError
            If it is not known to be in the stream.
        """
        async with self._server.edge("sending"):
            # The keys of a cluster are apart; what is only half done there is done again.
            whole = not self._server.cluster
            pipeline: Any = self._redis.pipeline(transaction=whole)
            if message.anew:
                nothing = {"services": None, "updatedAt": message.sent_at}
                pipeline.xadd(self._stream, _entry(message, nothing), maxlen=STREAM_MAXLEN)
            config = _config(message)
            pipeline.xadd(self._stream, _entry(message, config), maxlen=STREAM_MAXLEN)
            known = json.dumps({"revision": message.revision, "at": round(at, 3)})
            pipeline.hset(self._memory, message.node_id, known)
            await pipeline.execute()
        if message.anew:
            return  # what came by the channel would be known in the stream, behind the taking back
        with suppress(StreamError):  # a courtesy
            await self._announce(message, config)

    async def load(self) -> dict[str, Sent]:
        """Give what was sent, by node; what cannot be read was never sent.

        Raises
        ------
        StreamError
            If the server did not answer.
        """
        async with self._server.edge("loading what was sent"):
            fields: dict[bytes, bytes] = await self._redis.hgetall(self._memory)
        read = {key.decode(errors="replace"): _sent(value) for key, value in fields.items()}
        return {node_id: sent for node_id, sent in read.items() if sent is not None}

    async def forget(self, node_ids: Collection[str]) -> None:
        """Forget what was sent to some nodes.

        Raises
        ------
        StreamError
            If the server did not answer.
        """
        if node_ids:
            async with self._server.edge("forgetting what was sent"):
                await self._redis.hdel(self._memory, *node_ids)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._server.close()

    async def _announce(self, message: ConfigMessage, config: Values) -> None:
        document = {
            "type": UPDATED,
            "nodeId": message.node_id,
            "config": config,
            "updatedAt": message.sent_at,
        }
        async with self._server.edge("announcing"):
            await self._redis.publish(self._channel(message.node_id), json.dumps(document))


def _config(message: ConfigMessage) -> Values:
    return {**message.values, "revision": message.revision, "updatedAt": message.sent_at}


def _entry(message: ConfigMessage, config: Values) -> dict[str, str]:
    return {
        "jobId": f"config-{message.node_id}-{message.sent_at}",
        "type": APPLY,
        "nodeId": message.node_id,
        "payload": json.dumps({"config": config}),
    }


def _sent(value: bytes) -> Sent | None:
    try:
        document = json.loads(value)
        return Sent(str(document["revision"]), float(document["at"]))
    except (ValueError, TypeError, KeyError):
        return None
