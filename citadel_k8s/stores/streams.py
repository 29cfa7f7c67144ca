"""The status stream: the durable record of which node spoke when.

`RedisStatusStream` is the real one, on Redis 7.0 or Valkey 7.2 and later;
`citadel_k8s.stores.fake` has one in memory, held to the same contract.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from redis import exceptions
from typing_extensions import override

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.constants import STATUS_STREAM, STATUS_STREAM_MAXLEN
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.stores.connection import ANSWER_TIMEOUT, RedisConnection
from citadel_k8s.stores.entries import (
    DEFAULT_BLOCK,
    DEFAULT_COUNT,
    Entry,
    EntryId,
    StatusStream,
    StreamHead,
)

__all__ = [
    "ANSWER_TIMEOUT",
    "DEFAULT_BLOCK",
    "DEFAULT_COUNT",
    "Entry",
    "EntryId",
    "RedisStatusStream",
    "StatusStream",
    "StreamHead",
]


class RedisStatusStream(StatusStream):
    """The status stream in Redis; connects on the first call and again after each failure.

    Nothing is tried twice in here: a repeated XADD would be a second heartbeat, and the caller
    has to know how long the stream was away.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``; a user and a password in it are used unless
        given beside it.
    stream : str
        Key of the stream.
    max_length : int
        Length, in entries, to which `append` trims the stream, in whole blocks of the server's.
    answer_timeout : float
        Seconds for an answer, on top of a read's ``block``.

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
        stream: str = STATUS_STREAM,
        max_length: int = STATUS_STREAM_MAXLEN,
        answer_timeout: float = ANSWER_TIMEOUT,
        clock: Clock | None = None,
    ) -> None:
        self.stream = stream
        self._max_length = max_length
        self._clock = clock or SystemClock()
        self._server = RedisConnection(
            url,
            purpose=stream,
            username=username,
            password=password,
            answer_timeout=answer_timeout,
        )
        self._redis = self._server.redis

    @override
    async def read(
        self, after: EntryId, *, count: int = DEFAULT_COUNT, block: float = DEFAULT_BLOCK
    ) -> list[Entry]:
        # BLOCK 0 means "for ever" to the server, so that not to wait is to leave it out.
        wait = max(1, round(block * 1000)) if block > 0 else None
        async with self._server.edge("reading", max(block, 0)):
            answer: Any = await self._redis.xread(
                {self.stream: str(after)}, count=count, block=wait
            )
        entries: list[tuple[bytes, dict[bytes, bytes] | None]] = answer[0][1] if answer else []
        return [Entry.from_fields(EntryId.parse(key), fields or {}) for key, fields in entries]

    @override
    async def head(self) -> StreamHead:
        async with self._server.edge("asking for the end"):
            now_ms, answer = await self._clock_and_end()
            info = _stream_info(answer)
        return StreamHead(
            EntryId.parse(info["last-generated-id"]),
            now_ms,
            info["length"],
            info.get("entries-added"),
        )

    async def _clock_and_end(self) -> tuple[int, Any]:
        """Ask for both in one moment; in a cluster, whose clock has no key, one after another."""
        if self._server.cluster:
            now_ms = await self._server.now_ms(self.stream)
            try:
                return now_ms, await self._redis.xinfo_stream(self.stream)
            except exceptions.ResponseError as error:
                return now_ms, error
        pipeline: Any = self._redis.pipeline(transaction=True)
        pipeline.time()
        pipeline.xinfo_stream(self.stream)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers[0][0] * 1000 + answers[0][1] // 1000, answers[1]

    async def append_all(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Add many entries in one round trip: pairs of node id and payload, in their order.

        Raises
        ------
        StreamError
            If the server did not take them all; it may have taken the first of them.
        """
        timestamp = format_timestamp(self._clock.now())
        async with self._server.edge("appending"):
            pipeline: Any = self._redis.pipeline(transaction=False)
            for node_id, payload in messages:
                pipeline.xadd(
                    self.stream,
                    {"nodeId": node_id, "timestamp": timestamp, "payload": payload},
                    maxlen=self._max_length,
                )
            await pipeline.execute()

    @override
    async def append(self, node_id: str, payload: bytes) -> EntryId:
        timestamp = format_timestamp(self._clock.now())
        async with self._server.edge("appending"):
            key: Any = await self._redis.xadd(
                self.stream,
                {"nodeId": node_id, "timestamp": timestamp, "payload": payload},
                maxlen=self._max_length,
            )
        return EntryId.parse(key)

    @override
    async def trim(self, older_than_ms: int) -> int:
        async with self._server.edge("trimming"):
            gone: Any = await self._redis.xtrim(
                self.stream, minid=f"{older_than_ms}-0", approximate=False
            )
        return int(gone)

    @override
    async def load_snapshot(self, name: str) -> dict[str, bytes]:
        async with self._server.edge(f"loading {name}"):
            fields: Any = await self._redis.hgetall(name)
        return {key.decode(errors="replace"): value for key, value in fields.items()}

    @override
    async def save_snapshot(
        self, name: str, fields: Mapping[str, bytes], *, removed: Collection[str] = ()
    ) -> int:
        async with self._server.edge(f"saving {name}"):
            pipeline: Any = self._redis.pipeline(transaction=True)
            if removed:
                pipeline.hdel(name, *removed)
            if fields:
                pipeline.hset(name, mapping=dict(fields))
            pipeline.hlen(name)
            answers: list[Any] = await pipeline.execute()
        return int(answers[-1])

    @override
    async def close(self) -> None:
        await self._server.close()


def _stream_info(answer: Any) -> dict[str, Any]:
    if isinstance(answer, exceptions.ResponseError) and "no such key" in str(answer):
        return {"last-generated-id": b"0-0", "length": 0, "entries-added": 0}
    if isinstance(answer, Exception):
        raise answer
    info: dict[str, Any] = answer
    return info
