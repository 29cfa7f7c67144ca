"""The read side of an org's short stream of changes: what came after an id, and is that all.

A stream can lose its beginning (it is trimmed), or all of itself (a server comes back empty) and
go on with ids that are larger still. So an id proves nothing by its size: a reader that holds one
has missed nothing exactly if the entry of that id is still there.
"""

from dataclasses import dataclass
from typing import Any, Final, Protocol

from redis import exceptions
from typing_extensions import override

from citadel_k8s.domain.keys import org_events_stream
from citadel_k8s.errors import WireError
from citadel_k8s.stores.connection import ANSWER_TIMEOUT, RedisConnection
from citadel_k8s.stores.entries import EntryId

FIELD: Final = b"d"
"""The one field of an entry: a delta as JSON."""

FEED_COUNT: Final = 200
"""Entries asked for at once: 200 of 300 bytes are read and handed on in a few milliseconds."""

FEED_BLOCK: Final = 2.0
"""Seconds that a read waits for entries; a server that hangs is found 3 s later."""


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One change: its id and its JSON; empty if the entry has none."""

    id: EntryId
    data: bytes


@dataclass(frozen=True, slots=True)
class Span:
    """Where a stream stands.

    Attributes
    ----------
    last
        The last id ever given; ``EntryId.ZERO`` if there is no stream.
    held
        The id of its last entry; None if it has none.
    now_ms
        The server's clock.
    """

    last: EntryId
    held: EntryId | None
    now_ms: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What came after an id. ``whole``: that id's own entry is still there, so nothing is amiss."""

    entries: list[FeedEntry]
    whole: bool
    now_ms: int


class OrgFeed(Protocol):
    """The streams of all orgs, each read by the name of its org alone.

    Every call raises `StreamError` when the server is away, silent, loading or refuses; the same
    object works again once the server does.
    """

    async def span(self, org_id: str) -> Span:
        """Give the end of an org's stream."""
        ...

    async def read(
        self,
        org_id: str,
        after: EntryId,
        *,
        count: int = FEED_COUNT,
        block: float = FEED_BLOCK,
    ) -> Reading:
        """Give the entries after an id, oldest first; wait up to ``block`` seconds for one."""
        ...

    async def between(
        self, org_id: str, first: EntryId, last: EntryId, *, count: int = FEED_COUNT
    ) -> list[FeedEntry]:
        """Give the entries from one id to another, both included, at most ``count``."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class RedisOrgFeed(OrgFeed):
    """The streams in Redis; connects on the first call and again after each failure.

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
        answer_timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        self._server = RedisConnection(
            url,
            purpose="streams of changes",
            username=username,
            password=password,
            answer_timeout=answer_timeout,
        )
        self._redis = self._server.redis

    @override
    async def span(self, org_id: str) -> Span:
        async with self._server.edge("asking for the end"):
            pipeline: Any = self._redis.pipeline(transaction=True)
            pipeline.time()
            pipeline.xinfo_stream(org_events_stream(org_id))
            now, info = await pipeline.execute(raise_on_error=False)
            if isinstance(now, Exception):
                raise now
            if isinstance(info, exceptions.ResponseError) and "no such key" in str(info):
                return Span(EntryId.ZERO, None, _milliseconds(now))
            if isinstance(info, Exception):
                raise info
            held = info["last-entry"]
            return Span(
                EntryId.parse(info["last-generated-id"]),
                EntryId.parse(held[0]) if held else None,
                _milliseconds(now),
            )

    @override
    async def read(
        self,
        org_id: str,
        after: EntryId,
        *,
        count: int = FEED_COUNT,
        block: float = FEED_BLOCK,
    ) -> Reading:
        key = org_events_stream(org_id)
        # BLOCK 0 means "for ever" to the server, so that not to wait is to leave it out.
        wait = max(1, round(block * 1000)) if block > 0 else None
        async with self._server.edge("reading", max(block, 0)):
            # One connection, in this order: what is still there after the read was there during
            # it. Whoever blocks may not do so inside MULTI.
            pipeline: Any = self._redis.pipeline(transaction=False)
            pipeline.xread({key: str(after)}, count=count, block=wait)
            pipeline.xrange(key, str(after), str(after), count=1)
            pipeline.time()
            answer, anchor, now = await pipeline.execute()
            entries = _entries(answer[0][1]) if answer else []
        return Reading(entries, bool(anchor), _milliseconds(now))

    @override
    async def between(
        self, org_id: str, first: EntryId, last: EntryId, *, count: int = FEED_COUNT
    ) -> list[FeedEntry]:
        async with self._server.edge("reading back"):
            key = org_events_stream(org_id)
            answer: Any = await self._redis.xrange(key, str(first), str(last), count=count)
            return _entries(answer)

    @override
    async def close(self) -> None:
        await self._server.close()


def parse_id(text: str | None) -> EntryId | None:
    """Give the id that a client names; None if it names none or what it names is none."""
    try:
        return EntryId.parse(text) if text else None
    except WireError:
        return None


def _entries(answer: list[tuple[bytes, dict[bytes, bytes] | None]]) -> list[FeedEntry]:
    return [FeedEntry(EntryId.parse(key), (fields or {}).get(FIELD, b"")) for key, fields in answer]


def _milliseconds(now: tuple[int, int]) -> int:
    return now[0] * 1000 + now[1] // 1000
