"""The stream of configuration messages in Redis.

All nodes read one stream, each in a consumer group of its own: what one node acknowledges is not
lost to the others, and what a crash left unfinished waits under the node's name. The groups of
nodes that are gone stay until somebody destroys them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from redis import exceptions

from citadel_k8s.domain.configmessage import ConfigEntry
from citadel_k8s.stores.connection import ANSWER_TIMEOUT, RedisConnection
from citadel_k8s.stores.entries import EntryId

CONFIG_STREAM: Final = "jobs:v1:config"
"""The stream of configuration messages. Source: the wire contract."""

DEAD_LETTERS: Final = "dlq:v1:config"
"""The stream of refused ones. Source: the wire contract."""

DEAD_LETTERS_MAXLEN: Final = 1000
"""Approximate length of that stream, in entries: of 64 KiB at most, they are 64 MiB."""

READ_BLOCK: Final = 25.0
"""Seconds that a read waits for entries. Each read costs 0.7 ms of CPU, so that at two seconds they
were the dearest thing an idle agent did; the end of a group ends a read by itself."""

READ_COUNT: Final = 16
"""Entries asked for at once: a history of 10,000 is passed over in 625 reads, and 16 entries of
the largest size still fit into an agent's memory."""


class RedisConfigQueue:
    """A node's view of the stream.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``.
    node_id : str
        Names the group and, being stable over restarts, the consumer.
    block : float
        Seconds that `consume` waits for new entries.

    Raises
    ------
    ConfigError
        If the URL is none.
    """

    name = CONFIG_STREAM

    def __init__(
        self,
        url: str,
        node_id: str,
        *,
        username: str | None = None,
        password: str | None = None,
        stream: str = CONFIG_STREAM,
        dead_letters: str = DEAD_LETTERS,
        block: float = READ_BLOCK,
        answer_timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        self.name = stream
        self.group = f"citadel-config-{node_id}"
        self.consumer = node_id
        self._dead_letters = dead_letters
        self._block = block
        self._server = RedisConnection(
            url,
            purpose=stream,
            username=username,
            password=password,
            answer_timeout=answer_timeout,
        )
        self._redis: Any = self._server.redis
        self._unfinished = True
        self._replay: _Replay | None = None

    async def open(self, *, replay: bool, after: EntryId = EntryId.ZERO) -> EntryId:
        """Make the group if it is not there, at the stream's beginning.

        Parameters
        ----------
        replay : bool
            Give first what was given and done with before, for a node that has forgotten it.
        after : EntryId
            The last entry that it has not forgotten.

        Returns
        -------
        EntryId
            The last id that the stream ever gave.
        """
        async with self._server.edge("joining"):
            self._unfinished = True
            if not await self._create() and replay:
                self._replay = _Replay(await self._done_to(), after)
            info = await self._redis.xinfo_stream(self.name)
        return EntryId.parse(info["last-generated-id"])

    async def consume(self) -> list[ConfigEntry]:
        """Give what is to be replayed, then what is unfinished, one by one, then what is new."""
        if self._replay is not None:
            again = await self._read_again(self._replay)
            if again:
                return again
            self._replay = None
        if self._unfinished:
            left = await self._read("0", 1)
            if left:
                key, fields = left[0]
                return [_entry(key, fields, attempts=await self._deliveries(key))]
        # Unless an answer comes, entries may be ours that never reached us.
        self._unfinished = True
        new = await self._read(">", READ_COUNT, self._block)
        self._unfinished = bool(new)
        return [_entry(key, fields) for key, fields in new]

    async def acknowledge(self, *entry_ids: str) -> None:
        """Be done with entries."""
        if self._replay is not None:
            # They were acknowledged in an earlier life.
            self._replay.after = max(EntryId.parse(entry_id) for entry_id in entry_ids)
            return
        async with self._server.edge("acknowledging"):
            await self._redis.xack(self.name, self.group, *entry_ids)

    async def bury(self, letter: Mapping[str, str]) -> None:
        """Append to the dead letters."""
        async with self._server.edge(f"appending to {self._dead_letters}"):
            await self._redis.xadd(self._dead_letters, dict(letter), maxlen=DEAD_LETTERS_MAXLEN)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._server.close()

    async def _create(self) -> bool:
        try:
            await self._redis.xgroup_create(self.name, self.group, id="0", mkstream=True)
        except exceptions.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
            return False
        return True

    async def _done_to(self) -> str:
        """Give the end of what an earlier life is done with, as the end of a range."""
        pending: dict[str, Any] = await self._redis.xpending(self.name, self.group)
        if pending["min"]:
            return f"({pending['min'].decode()}"
        groups: list[dict[str, Any]] = await self._redis.xinfo_groups(self.name)
        own = (group for group in groups if group["name"] == self.group.encode())
        end: bytes = next(own, {"last-delivered-id": b"0-0"})["last-delivered-id"]
        return end.decode()

    async def _read_again(self, replay: "_Replay") -> list[ConfigEntry]:
        async with self._server.edge("reading again"):
            found: Any = await self._redis.xrange(
                self.name, min=f"({replay.after}", max=replay.end, count=READ_COUNT
            )
        replay.tries = replay.tries + 1 if found and found[0][0] == replay.first else 1
        replay.first = found[0][0] if found else b""
        return [
            _entry(key, fields, attempts=replay.tries if key == replay.first else 1, replayed=True)
            for key, fields in found
        ]

    async def _read(
        self, after: str, count: int, block: float = 0.0
    ) -> list[tuple[bytes, dict[bytes, bytes] | None]]:
        wait = max(1, round(block * 1000)) if block > 0 else None
        async with self._server.edge("reading", block):
            answer: Any = await self._redis.xreadgroup(
                self.group, self.consumer, {self.name: after}, count=count, block=wait
            )
        return cast("list[tuple[bytes, dict[bytes, bytes] | None]]", answer[0][1] if answer else [])

    async def _deliveries(self, key: bytes) -> int:
        async with self._server.edge("asking for deliveries"):
            pending: Any = await self._redis.xpending_range(
                self.name, self.group, min=key, max=key, count=1
            )
        return int(pending[0]["times_delivered"]) if pending else 1


@dataclass(slots=True)
class _Replay:
    """How far a replay is: its end, what it is done with, how often its next entry was given."""

    end: str
    after: EntryId = EntryId.ZERO
    first: bytes = b""
    tries: int = 0


def _entry(
    key: bytes, fields: dict[bytes, bytes] | None, *, attempts: int = 1, replayed: bool = False
) -> ConfigEntry:
    named = {name.decode(errors="replace"): value for name, value in (fields or {}).items()}
    return ConfigEntry(key.decode(), named, attempts, replayed)
