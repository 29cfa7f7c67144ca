"""Commands of many askers over one connection to Redis: what waits together, travels together.

A thousand heartbeats in a second are a thousand commands and some twenty round trips. Nothing is
sent twice: a command whose answer did not come may have been done, and its asker is told so.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast

import hiredis
from redis import exceptions

from citadel_k8s.errors import StreamError
from citadel_k8s.stores.connection import RedisConnection

EXCHANGE_TIMEOUT: Final = 2.0
"""Seconds for one round trip, a new connection included. Whoever asks waits for the one under way
and for its own: four seconds, and the contract's clients give up after five."""

BATCH_COMMANDS: Final = 256
"""Commands of one round trip: beyond it they cost the same each, and the last waits longer."""

BATCH_BYTES: Final = 4 * 1024 * 1024
"""Bytes of one round trip: four of the largest entries, or a thousand usual heartbeats."""

WAITING_MAX: Final = 8192
"""Commands that wait at most; more of them are refused, not remembered."""

WAITING_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes that wait at most: what a replica may hold while Redis does not answer."""

Command = Sequence[str | bytes | int]

_pack: Callable[[tuple[str | bytes | int, ...]], bytes] = cast("Any", hiredis).pack_command
"""Its own types speak of tuples of one."""


class RedisRefusal(StreamError):  # noqa: N818 - an answer, not an accident
    """Redis answered, and what it said is an error: ``WRONGTYPE …``."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message.partition(" ")[0]


@dataclass(slots=True)
class _Asked:
    """Commands of one asker: they travel side by side."""

    count: int
    packed: bytes
    answers: "asyncio.Future[list[Any]]"


class Relay:
    """One connection that takes whatever waits, in the order in which it was asked.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``.
    purpose : str
        What it is used for; errors begin with it.
    on_state : callable
        Told why Redis cannot be reached, and None once it can.

    Raises
    ------
    ConfigError
        If the URL is none.
    """

    def __init__(
        self,
        url: str,
        *,
        purpose: str,
        username: str | None = None,
        password: str | None = None,
        timeout: float = EXCHANGE_TIMEOUT,
        on_state: Callable[[str | None], None] = lambda _error: None,
    ) -> None:
        self._purpose = purpose
        self._server = RedisConnection(
            url, purpose=purpose, username=username, password=password, answer_timeout=timeout
        )
        self._on_state = on_state
        self._connection: Any = None
        self._waiting: deque[_Asked] = deque()
        self._commands = 0
        self._bytes = 0
        self._wake = asyncio.Event()
        self._runs = False
        self.exchanges = 0
        """Round trips so far."""

    async def ask(self, *command: str | bytes | int) -> Any:
        """Have one command done and give its answer; see `ask_all`."""
        return _judged((await self.ask_all([command]))[0])

    async def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """Have commands done one after the other, and give their answers; refusals among them.

        Others' commands may be done in between only if the commands are no transaction of their
        own.

        Raises
        ------
        StreamError
            If it is not known that they were done.
        """
        if not self._runs:
            raise StreamError(f"{self._purpose}: it is not running")
        packed = b"".join([_pack(tuple(command)) for command in commands])
        if (
            self._commands + len(commands) > WAITING_MAX
            or self._bytes + len(packed) > WAITING_BYTES_MAX
        ):
            raise StreamError(f"{self._purpose}: too much waits for Redis already")
        asked = _Asked(len(commands), packed, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        self._commands += asked.count
        self._bytes += len(packed)
        self._wake.set()
        return await asked.answers

    async def run(self) -> NoReturn:
        """Carry commands to Redis for ever; whoever waits at the end is told."""
        self._runs = True
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    await self._exchange(self._next())
        finally:
            self._runs = False
            self._fail(self._all(), StreamError(f"{self._purpose}: it was closed"))
            await self._hang_up()

    def _next(self) -> list[_Asked]:
        """Take what travels next; whoever is gone meanwhile has nothing sent."""
        batch: list[_Asked] = []
        count = size = 0
        while self._waiting and count < BATCH_COMMANDS and size < BATCH_BYTES:
            asked = self._waiting.popleft()
            self._commands -= asked.count
            self._bytes -= len(asked.packed)
            if not asked.answers.done():
                batch.append(asked)
                count += asked.count
                size += len(asked.packed)
        return batch

    def _all(self) -> list[_Asked]:
        waiting = list(self._waiting)
        self._waiting.clear()
        self._commands = self._bytes = 0
        return waiting

    async def _exchange(self, batch: list[_Asked]) -> None:
        if not batch:
            return
        self.exchanges += 1
        try:
            async with self._server.edge("exchanging"):
                connection = self._connection or await self._connect()
                packed = b"".join([asked.packed for asked in batch])
                await connection.send_packed_command(packed, check_health=False)
                for asked in batch:
                    answers = [await _answer(connection) for _ in range(asked.count)]
                    if not asked.answers.done():
                        asked.answers.set_result(answers)
        except StreamError as error:
            await self._hang_up()
            self._on_state(str(error))
            # Those who came meanwhile would wait as long again for the same.
            self._fail([*batch, *self._all()], error)
        except BaseException:
            self._fail(batch, StreamError(f"{self._purpose}: it was closed"))
            raise

    def _fail(self, batch: list[_Asked], error: StreamError) -> None:
        for asked in batch:
            if not asked.answers.done():
                asked.answers.set_exception(StreamError(str(error)))

    async def _connect(self) -> Any:
        connection: Any = self._server.redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()
        self._connection = connection
        self._on_state(None)
        return connection

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


async def _answer(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except exceptions.ResponseError as error:
        return error


def _judged(answer: Any) -> Any:
    """Give an answer, or raise what it refuses with."""
    if isinstance(answer, Exception):
        raise RedisRefusal(str(answer))
    return answer


def judged(answers: Sequence[Any]) -> list[Any]:
    """Give answers none of which is a refusal.

    Raises
    ------
    RedisRefusal
        The first one.
    """
    return [_judged(answer) for answer in answers]
