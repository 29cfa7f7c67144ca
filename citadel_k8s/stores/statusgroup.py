"""The workers' consumer group on the status stream: taking entries, confirming, inheriting them.

Every command names one key, so that it works on a cluster too. The commands are those of Redis 7.0
and Valkey 7.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis import exceptions

from citadel_k8s.constants import STATUS_GROUP, STATUS_STREAM
from citadel_k8s.domain.frontier import Place, View
from citadel_k8s.errors import StreamError
from citadel_k8s.stores.connection import ANSWER_TIMEOUT, RedisConnection
from citadel_k8s.stores.entries import Entry, EntryId

CANARY_SECONDS: Final = 300
"""How long the proof that the server takes writes is kept, in seconds."""

CLAIM_IDLE: Final = 60.0
"""Seconds after which an unconfirmed entry is inherited: six times what a batch may take."""

CLAIM_COUNT: Final = 100
"""Entries inherited at once."""

CONSUMER_IDLE: Final = 600.0
"""Seconds without a question after which a consumer is gone; a living one asks every two."""

DELIVERIES_MAX: Final = 5
"""Deliveries after which an entry is a dead letter: five workers took it and none confirmed."""


class GroupGoneError(StreamError):
    """The group is not there (any more): the server lost its data, or nobody made it yet."""


@dataclass(frozen=True, slots=True)
class Inherited:
    """Entries of workers that did not confirm them.

    ``worn`` were delivered more than `DELIVERIES_MAX` times; ``lost`` is how many were dropped
    from the stream meanwhile; ``after`` is where to go on, None at the end.
    """

    entries: list[Entry]
    worn: list[Entry]
    lost: int
    after: str | None


class StatusGroup:
    """The group, as one of its consumers.

    Parameters
    ----------
    url : str
        The server.
    consumer : str
        This worker's name: no other has it at the same time.
    """

    def __init__(
        self,
        url: str,
        *,
        consumer: str,
        username: str | None = None,
        password: str | None = None,
        stream: str = STATUS_STREAM,
        group: str = STATUS_GROUP,
        answer_timeout: float = ANSWER_TIMEOUT,
        claim_idle: float = CLAIM_IDLE,
    ) -> None:
        self.stream = stream
        self.group = group
        self.consumer = consumer
        self._claim_idle = round(claim_idle * 1000)
        self._canary = f"{stream}:canary"
        self._server = RedisConnection(
            url,
            purpose=stream,
            username=username,
            password=password,
            answer_timeout=answer_timeout,
        )
        self._redis: Any = self._server.redis

    async def ensure(self) -> None:
        """Make the group, from the stream's beginning, and the stream if there is none."""
        async with self._server.edge("making the group"):
            try:
                await self._redis.xgroup_create(self.stream, self.group, id="0", mkstream=True)
            except exceptions.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    async def read(self, count: int, block: float) -> list[Entry]:
        """Take entries that nobody has, waiting up to ``block`` seconds for the first.

        Raises
        ------
        GroupGoneError
            If there is no group.
        StreamError
            If the server is away.
        """
        wait = max(1, round(block * 1000))
        async with self._server.edge("reading", block):
            try:
                answer: Any = await self._redis.xreadgroup(
                    self.group, self.consumer, {self.stream: ">"}, count=count, block=wait
                )
            except exceptions.ResponseError as error:
                raise self._gone(error) from error
        return _entries(answer[0][1]) if answer else []

    async def own(self, count: int, after: str = "0") -> tuple[list[Entry], list[EntryId]]:
        """Give what this name took and did not confirm, behind an id.

        Beside it the ids of what was dropped from the stream meanwhile.
        """
        async with self._server.edge("reading its own"):
            try:
                answer: Any = await self._redis.xreadgroup(
                    self.group, self.consumer, {self.stream: after}, count=count
                )
            except exceptions.ResponseError as error:
                raise self._gone(error) from error
        found: Any = answer[0][1] if answer else ()
        gone = [EntryId.parse(key) for key, fields in found if not fields]
        return _entries([one for one in found if one[1]]), gone

    async def confirm(self, ids: Sequence[EntryId]) -> None:
        """Take note that entries are done with."""
        if ids:
            async with self._server.edge("confirming"):
                await self._redis.xack(self.stream, self.group, *map(str, ids))

    async def inherit(self, after: str = "0-0") -> Inherited:
        """Take over what others took and did not confirm in `CLAIM_IDLE` seconds."""
        async with self._server.edge("inheriting"):
            try:
                answer: Any = await self._redis.xautoclaim(
                    self.stream, self.group, self.consumer, self._claim_idle,
                    start_id=after, count=CLAIM_COUNT,
                )  # fmt: skip
            except exceptions.ResponseError as error:
                raise self._gone(error) from error
            entries = _entries([one for one in answer[1] if one[1]])
            worn = await self._worn(entries) if entries else set[EntryId]()
        cursor = answer[0].decode()
        return Inherited(
            entries=[entry for entry in entries if entry.id not in worn],
            worn=[entry for entry in entries if entry.id in worn],
            lost=len(answer[2]) if len(answer) > 2 else 0,  # noqa: PLR2004 - since Redis 7.0
            after=None if cursor == "0-0" else cursor,
        )

    async def look(self) -> View:
        """Look at the stream, in the order that `domain.frontier` needs.

        It writes first: a server that takes no writes shows nobody's silence.
        """
        async with self._server.edge("looking"):
            time: Any = await self._redis.time()
            now_ms = time[0] * 1000 + time[1] // 1000
            await self._redis.set(self._canary, now_ms, ex=CANARY_SECONDS)
            pipeline: Any = self._redis.pipeline(transaction=False)
            pipeline.xinfo_stream(self.stream)
            pipeline.xinfo_groups(self.stream)
            pipeline.xpending(self.stream, self.group)
            stream, groups, pending = await pipeline.execute(raise_on_error=False)
            for answer in (stream, groups, pending):
                if isinstance(answer, exceptions.ResponseError):
                    raise self._gone(answer)
                if isinstance(answer, Exception):
                    raise answer
        return self._view(now_ms, stream, groups, pending)

    async def unread(self) -> list[Place]:
        """Give for each group of the stream the oldest entry that it has not confirmed."""
        async with self._server.edge("asking for groups"):
            groups: Any = await self._redis.xinfo_groups(self.stream)
            pipeline: Any = self._redis.pipeline(transaction=False)
            for group in groups:
                pipeline.xpending(self.stream, group["name"])
            pending: list[Any] = await pipeline.execute() if groups else []
        places = [EntryId.parse(group["last-delivered-id"]) for group in groups]
        oldest = [EntryId.parse(one["min"]) for one in pending if one["min"]]
        return [*places, *oldest]

    async def now_ms(self) -> int:
        """Give the server's time."""
        async with self._server.edge("asking for the time"):
            time: Any = await self._redis.time()
        return int(time[0] * 1000 + time[1] // 1000)

    async def trim(self, below_ms: int) -> int:
        """Drop the entries below a moment; give how many went."""
        async with self._server.edge("trimming"):
            gone: Any = await self._redis.xtrim(
                self.stream, minid=f"{below_ms}-0", approximate=False
            )
        return int(gone)

    async def bury_consumers(self) -> int:
        """Take out consumers that are gone and have left nothing; give how many."""
        async with self._server.edge("asking for consumers"):
            consumers: Any = await self._redis.xinfo_consumers(self.stream, self.group)
            gone = [
                one["name"]
                for one in consumers
                if one["name"] != self.consumer.encode()
                and one["pending"] == 0
                and one["idle"] > CONSUMER_IDLE * 1000
            ]
            for name in gone:
                await self._redis.xgroup_delconsumer(self.stream, self.group, name)
        return len(gone)

    async def leave(self) -> None:
        """Take this consumer out if it has left nothing."""
        async with self._server.edge("leaving"):
            consumers: Any = await self._redis.xinfo_consumers(self.stream, self.group)
            own = [one for one in consumers if one["name"] == self.consumer.encode()]
            if own and own[0]["pending"] == 0:
                await self._redis.xgroup_delconsumer(self.stream, self.group, self.consumer)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._server.close()

    async def _worn(self, entries: Sequence[Entry]) -> set[EntryId]:
        ids = [entry.id for entry in entries]
        rows: Any = await self._redis.xpending_range(
            self.stream, self.group, str(min(ids)), str(max(ids)), CLAIM_COUNT, self.consumer
        )
        return {
            EntryId.parse(row["message_id"])
            for row in rows
            if row["times_delivered"] > DELIVERIES_MAX
        }

    def _view(self, now_ms: int, stream: Any, groups: Any, pending: Any) -> View:
        own = next((g for g in groups if g["name"] == self.group.encode()), None)
        if own is None:
            raise GroupGoneError(f"{self.stream}: there is no group {self.group}")
        added, read, length = (
            stream.get("entries-added"), own.get("entries-read"), stream["length"],
        )  # fmt: skip
        counted = added is not None and read is not None
        return View(
            now_ms=now_ms,
            last=EntryId.parse(stream["last-generated-id"]),
            delivered=EntryId.parse(own["last-delivered-id"]),
            pending=EntryId.parse(pending["min"]) if pending["min"] else None,
            pending_count=pending["pending"],
            length=length,
            waiting=own.get("lag"),
            lost=max(0, added - length - read) if counted else None,
        )

    def _gone(self, error: exceptions.ResponseError) -> Exception:
        if "NOGROUP" in str(error) or "no such key" in str(error):
            return GroupGoneError(f"{self.stream}: there is no group {self.group}")
        return error


def _entries(found: Any) -> list[Entry]:
    return [Entry.from_fields(EntryId.parse(key), fields or {}) for key, fields in found]
