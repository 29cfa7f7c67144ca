"""Configuration messages in Redis: the stream that holds them, the channel that hurries them.

All nodes read one stream, each in a consumer group of its own: what one node acknowledges is not
lost to the others, and what a crash left unfinished waits under the node's name. The groups of
nodes that are gone stay until somebody destroys them.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn, cast

from redis import exceptions

from citadel_k8s.domain.configmessage import ConfigEntry
from citadel_k8s.errors import StreamError
from citadel_k8s.stores.connection import ANSWER_TIMEOUT, RedisConnection
from citadel_k8s.stores.entries import EntryId

CONFIG_STREAM: Final = "jobs:v1:config"
"""The stream of configuration messages. Source: the wire contract."""

DEAD_LETTERS: Final = "dlq:v1:config"
"""The stream of refused ones. Source: the wire contract."""

DEAD_LETTERS_MAXLEN: Final = 1000
"""Approximate length of that stream, in entries: of 64 KiB at most, they are 64 MiB."""

READ_BLOCK: Final = 2.0
"""Seconds that a read waits for entries: it costs nothing, and the end of a group is noticed."""

READ_COUNT: Final = 16
"""Entries asked for at once: a history of 10,000 is passed over in 625 reads, and 16 entries of
the largest size still fit into an agent's memory."""

PING_EVERY: Final = 15.0
"""Seconds without a message after which the channel's server is asked whether it is there."""

SILENCE_MAX: Final = 2
"""Questions in a row that may stay without an answer: a half-open connection is found in 45 s."""


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
        self._known_to = EntryId.ZERO

    async def open(self, *, replay: bool) -> EntryId:
        """Make the group if it is not there, at the stream's beginning.

        Parameters
        ----------
        replay : bool
            Read the whole stream once more, for a node that has forgotten what it was told.

        Returns
        -------
        EntryId
            The last id that the stream ever gave.
        """
        async with self._server.edge("joining"):
            self._unfinished = True
            if not await self._create() and replay:
                self._known_to = max(self._known_to, await self._read_to())
                await self._redis.xgroup_setid(self.name, self.group, "0")
            info = await self._redis.xinfo_stream(self.name)
        return EntryId.parse(info["last-generated-id"])

    async def consume(self) -> list[ConfigEntry]:
        """Give what an earlier life left unfinished, one by one, then what is new."""
        if self._unfinished:
            left = await self._read("0", 1)
            if left:
                key, fields = left[0]
                return [self._entry(key, fields, await self._deliveries(key))]
        # Unless an answer comes, entries may be ours that never reached us.
        self._unfinished = True
        new = await self._read(">", READ_COUNT, self._block)
        self._unfinished = bool(new)
        return [self._entry(key, fields, 1) for key, fields in new]

    async def acknowledge(self, *entry_ids: str) -> None:
        """Be done with entries."""
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

    async def _read_to(self) -> EntryId:
        groups: list[dict[str, Any]] = await self._redis.xinfo_groups(self.name)
        own = (group for group in groups if group["name"] == self.group.encode())
        return EntryId.parse(next(own, {"last-delivered-id": b"0-0"})["last-delivered-id"])

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

    def _entry(self, key: bytes, fields: dict[bytes, bytes] | None, attempts: int) -> ConfigEntry:
        return ConfigEntry(
            id=key.decode(),
            fields={name.decode(errors="replace"): v for name, v in (fields or {}).items()},
            attempts=attempts,
            replayed=EntryId.parse(key) <= self._known_to,
        )


class RedisConfigChannel:
    """A node's channel: what is said there is said once, to whoever listens.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``.
    node_id : str
        Whose channel.

    Raises
    ------
    ConfigError
        If the URL is none.
    """

    def __init__(
        self,
        url: str,
        node_id: str,
        *,
        username: str | None = None,
        password: str | None = None,
        ping_every: float = PING_EVERY,
        answer_timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        self.name = f"config:node:{node_id}"
        self._ping_every = ping_every
        self._server = RedisConnection(
            url,
            purpose=self.name,
            username=username,
            password=password,
            answer_timeout=answer_timeout,
        )

    async def listen(self, heard: Callable[[bytes], Awaitable[None]]) -> NoReturn:
        """Hand on each message until the connection is lost.

        Raises
        ------
        StreamError
            When it is lost, or was not to be had.
        """
        pubsub: Any = self._server.redis.pubsub()  # pyright: ignore[reportUnknownMemberType]
        try:
            async with self._server.edge("subscribing"):
                await pubsub.subscribe(self.name)
            await self._listen(pubsub, heard)
        finally:
            await pubsub.aclose()

    async def _listen(self, pubsub: Any, heard: Callable[[bytes], Awaitable[None]]) -> NoReturn:
        silent = 0
        while True:
            async with self._server.edge("listening", self._ping_every):
                message = await pubsub.get_message(timeout=self._ping_every)
            if message is None:
                silent += 1
                if silent > SILENCE_MAX:
                    raise StreamError(f"{self.name}: no answer to {SILENCE_MAX} pings")
                async with self._server.edge("pinging"):
                    await pubsub.ping()
                continue
            silent = 0
            if message["type"] == "message":
                await heard(message["data"])

    async def close(self) -> None:
        """Let go of the connections."""
        await self._server.close()
