"""Who waits for which stream: one connection to Redis watches them all.

A thousand nodes that wait for work would hold a thousand connections if each blocked on its own.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from citadel_k8s.aio.backoff import Backoff
from citadel_k8s.errors import StreamError
from citadel_k8s.stores.connection import RedisConnection

LOOK_MS: Final = 250
"""Milliseconds that one look at all streams lasts: a stream that is new to the watch is in the next
look, so that this is what its first entry may be late."""

LINGER: Final = 30.0
"""Seconds that a stream is watched after its last waiter left: consumers come back at once."""

PAUSE_FIRST: Final = 0.2
"""Seconds before a lost connection is tried again."""

PAUSE_MAX: Final = 5.0
"""Longest base of such a pause, in seconds: then waiters look for themselves when they come."""


@dataclass(eq=False, slots=True)
class Waiter:
    """Somebody who waits for entries of some streams, on behalf of some groups."""

    called: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Stream:
    """One stream: how far it was seen, who waits by group, since when nobody does."""

    seen: bytes
    groups: dict[str, dict[Waiter, None]] = field(default_factory=dict[str, dict[Waiter, None]])
    left_at: float = 0.0


class StreamWatch:
    """Calls the first who waits in each group when a stream has something new.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``.
    on_state : callable
        Told why nothing is seen, and None once it is.

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
        look_ms: int = LOOK_MS,
        jitter: Callable[[], float] = random.random,
        on_state: Callable[[str | None], None] = lambda _error: None,
    ) -> None:
        self._server = RedisConnection(
            url, purpose="queues watched", username=username, password=password
        )
        self._look_ms = look_ms
        self._backoff = Backoff(PAUSE_FIRST, PAUSE_MAX, jitter=jitter)
        self._on_state = on_state
        self._streams: dict[str, _Stream] = {}
        self._some = asyncio.Event()

    def knows(self, key: str) -> bool:
        """Say whether it is known how far a stream was seen."""
        return key in self._streams

    def begin(self, key: str, seen: bytes) -> None:
        """Watch a stream for what comes after an id."""
        if key not in self._streams:
            left_at = asyncio.get_running_loop().time()
            self._streams[key] = _Stream(seen, left_at=left_at)
            self._some.set()

    def join(self, key: str, group: str, waiter: Waiter) -> None:
        """Wait in a group's line, at its end."""
        stream = self._streams.get(key)
        if stream is not None:
            stream.groups.setdefault(group, {})[waiter] = None

    def leave(self, key: str, group: str, waiter: Waiter) -> None:
        """Wait no longer."""
        stream = self._streams.get(key)
        if stream is None:
            return
        line = stream.groups.get(group, {})
        line.pop(waiter, None)
        if not line:
            stream.groups.pop(group, None)
        if not stream.groups:
            stream.left_at = asyncio.get_running_loop().time()

    def call_next(self, key: str, group: str) -> None:
        """Call the first in a line: there may be more than who was called before took."""
        stream = self._streams.get(key)
        line = {} if stream is None else stream.groups.get(group, {})
        for waiter in line:
            if not waiter.called.is_set():
                waiter.called.set()
                return

    async def run(self) -> NoReturn:
        """Watch for ever."""
        while True:
            try:
                await self._session()
            except StreamError as error:
                self._on_state(str(error))
            await asyncio.sleep(self._backoff.pause())

    async def _session(self) -> NoReturn:
        connection: Any = self._server.redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            while True:
                await self._some.wait()
                await self._look(connection)
                self._forget_idle()
        finally:
            # What came while nobody looked would not be seen: whoever waits looks for himself.
            self._call_all()
            self._streams.clear()
            self._some.clear()
            await connection.disconnect(nowait=True)

    async def _look(self, connection: Any) -> None:
        keys = list(self._streams)
        ids = [self._streams[key].seen for key in keys]
        async with self._server.edge("looking", self._look_ms / 1000):
            command = ("XREAD", "COUNT", 1, "BLOCK", self._look_ms, "STREAMS", *keys, *ids)
            await connection.send_command(*command, check_health=False)
            found: list[Any] | None = await connection.read_response()
        self._backoff.reset()
        self._on_state(None)
        for name, entries in found or ():
            key = name.decode()
            stream = self._streams.get(key)
            if stream is not None:
                stream.seen = entries[-1][0]
                for group in tuple(stream.groups):
                    self.call_next(key, group)

    def _forget_idle(self) -> None:
        before = asyncio.get_running_loop().time() - LINGER
        for key, stream in tuple(self._streams.items()):
            if not stream.groups and stream.left_at < before:
                del self._streams[key]
        if not self._streams:
            self._some.clear()

    def _call_all(self) -> None:
        for stream in self._streams.values():
            for line in stream.groups.values():
                for waiter in line:
                    waiter.called.set()
