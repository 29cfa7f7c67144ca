"""Who listens to which channel: one connection to Redis for all listeners of a process."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final, NoReturn

from citadel_k8s.aio.backoff import Backoff
from citadel_k8s.errors import StreamError
from citadel_k8s.stores.connection import ANSWER_TIMEOUT, RedisConnection

PING_EVERY: Final = 10.0
"""Seconds between two pings; a half-open connection is found in two of them."""

PAUSE_FIRST: Final = 0.2
"""Seconds before a lost connection is tried again; what is said meanwhile nobody hears."""

PAUSE_MAX: Final = 5.0
"""Longest base of such a pause, in seconds."""

NAMES_MAX: Final = 500
"""Channels named in one command, so that ten thousand are no command of a megabyte."""

Heard = Callable[[bytes], None]


class Ears:
    """Hands on what is said on channels, and listens again after each loss.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``.
    on_state : callable
        Told why nothing is heard, and None once it is.
    on_error : callable
        Told of a listener that stumbled.

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
        ping_every: float = PING_EVERY,
        jitter: Callable[[], float] = random.random,
        on_state: Callable[[str | None], None] = lambda _error: None,
        on_error: Callable[[Exception], None] = lambda _error: None,
    ) -> None:
        self._server = RedisConnection(
            url,
            purpose="channels",
            username=username,
            password=password,
            answer_timeout=ANSWER_TIMEOUT,
        )
        self._ping_every = ping_every
        self._backoff = Backoff(PAUSE_FIRST, PAUSE_MAX, jitter=jitter)
        self._on_state, self._on_error = on_state, on_error
        self._listeners: dict[bytes, list[Heard]] = {}
        self._changed: dict[bytes, None] = {}
        self._asked: set[bytes] = set()
        self._poke = asyncio.Event()
        self._heard_at = 0.0
        self.confirmed: set[bytes] = set()
        """Channels that Redis has said to be listened to."""

    @property
    def channels(self) -> int:
        """How many channels are listened to."""
        return len(self._listeners)

    def listen(self, channel: str, heard: Heard) -> None:
        """Hand over what is said on a channel; the same listener once is enough."""
        name = channel.encode()
        listeners = self._listeners.setdefault(name, [])
        if heard not in listeners:
            listeners.append(heard)
            self._mention(name)

    def forget(self, channel: str, heard: Heard) -> None:
        """Hand over no more; the last of a channel's listeners leaves it."""
        name = channel.encode()
        listeners = self._listeners.get(name, [])
        if heard in listeners:
            listeners.remove(heard)
        if not listeners and self._listeners.pop(name, None) is not None:
            self._mention(name)

    async def run(self) -> NoReturn:
        """Listen for ever."""
        while True:
            try:
                await self._session()
            except* StreamError as lost:
                self._on_state(str(lost.exceptions[0]))
            await asyncio.sleep(self._backoff.pause())

    async def _session(self) -> None:
        connection: Any = self._server.redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        self._asked.clear()
        self.confirmed.clear()
        try:
            async with self._server.edge("connecting"):
                await connection.connect()
            self._changed = dict.fromkeys(self._listeners)
            self._poke.set()
            self._heard_at = asyncio.get_running_loop().time()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hear(connection), name="channels heard")
                group.create_task(self._speak(connection), name="channels asked for")
        finally:
            self.confirmed.clear()
            await connection.disconnect(nowait=True)

    async def _speak(self, connection: Any) -> NoReturn:
        """Ask for what changed, and for a sign of life."""
        while True:
            self._poke.clear()
            changed, self._changed = list(self._changed), {}
            wanted = [n for n in changed if n in self._listeners and n not in self._asked]
            unwanted = [n for n in changed if n not in self._listeners and n in self._asked]
            async with self._server.edge("subscribing"):
                for start in range(0, len(wanted), NAMES_MAX):
                    await connection.send_command(
                        "SUBSCRIBE", *wanted[start : start + NAMES_MAX], check_health=False
                    )
                for start in range(0, len(unwanted), NAMES_MAX):
                    await connection.send_command(
                        "UNSUBSCRIBE", *unwanted[start : start + NAMES_MAX], check_health=False
                    )
                if not changed:
                    await connection.send_command("PING", check_health=False)
            self._asked.update(wanted)
            self._asked.difference_update(unwanted)
            self._judge_silence()
            await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._ping_every):
                await self._poke.wait()
        except TimeoutError:
            return

    def _judge_silence(self) -> None:
        silent = asyncio.get_running_loop().time() - self._heard_at
        if silent > 2.5 * self._ping_every:
            raise StreamError(f"channels: nothing was heard for {silent:.0f} s")

    async def _hear(self, connection: Any) -> NoReturn:
        loop = asyncio.get_running_loop()
        while True:
            try:
                answer: list[Any] = await connection.read_response()
            except Exception as error:
                raise StreamError(f"channels: {str(error) or type(error).__name__}") from error
            self._heard_at = loop.time()
            kind = answer[0]
            if kind == b"message":
                self._hand_on(answer[1], answer[2])
            elif kind == b"subscribe":
                self.confirmed.add(answer[1])
                self._backoff.reset()
                self._on_state(None)
            elif kind == b"unsubscribe":
                self.confirmed.discard(answer[1])

    def _hand_on(self, channel: bytes, data: bytes) -> None:
        for heard in tuple(self._listeners.get(channel, ())):
            try:
                heard(data)
            except Exception as error:  # noqa: BLE001 - the others hear it all the same
                self._on_error(error)

    def _mention(self, name: bytes) -> None:
        self._changed[name] = None
        self._poke.set()
