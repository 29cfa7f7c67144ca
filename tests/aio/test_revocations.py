"""Revocations: told, heard, and made good after what was not heard."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

import pytest

from citadel_k8s.api.identity.revocations import Revocations
from citadel_k8s.errors import StreamError


class LoopClock:
    """The loop's own time."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        return asyncio.get_running_loop().time()


class FakeChannel:
    """A channel that breaks when told to."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.listened: list[float] = []
        self.broken = False
        self.closed = False
        self._ends = asyncio.Event()
        self._heard: Callable[[bytes], Awaitable[None]] | None = None

    async def listen(self, heard: Callable[[bytes], Awaitable[None]]) -> NoReturn:
        self.listened.append(asyncio.get_running_loop().time())
        self._heard = heard
        if not self.broken:
            await self._ends.wait()
            self._ends.clear()
        raise StreamError("lost")

    async def say(self, data: bytes) -> None:
        if self.broken:
            raise StreamError("away")
        self.said.append(data)

    async def tell(self) -> None:
        assert self._heard is not None
        await self._heard(b"anything")

    def cut(self) -> None:
        self._ends.set()

    async def close(self) -> None:
        self.closed = True
        raise StreamError("away")


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.looptime
async def test_what_is_heard_is_forgotten_and_what_was_missed_too():
    channel = FakeChannel()
    forgotten: list[float] = []
    revocations = Revocations(
        channel, lambda: forgotten.append(asyncio.get_running_loop().time()), clock=LoopClock()
    )
    assert not revocations.heard
    task = asyncio.get_running_loop().create_task(revocations.run())
    await settle()
    assert revocations.heard
    assert len(forgotten) == 1
    await channel.tell()
    assert len(forgotten) == 2
    channel.cut()
    await settle()
    assert not revocations.heard
    await asyncio.sleep(3)
    assert revocations.heard
    assert len(forgotten) == 3
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not revocations.heard


@pytest.mark.looptime
async def test_a_redis_that_is_away_is_asked_ever_less_often():
    channel = FakeChannel()
    channel.broken = True
    revocations = Revocations(channel, lambda: None, clock=LoopClock())
    task = asyncio.get_running_loop().create_task(revocations.run())
    await asyncio.sleep(600)
    task.cancel()
    assert 10 <= len(channel.listened) <= 30


async def test_a_word_that_nobody_takes_is_no_error_and_counts_here():
    channel = FakeChannel()
    forgotten: list[int] = []
    revocations = Revocations(channel, lambda: forgotten.append(1), clock=LoopClock())
    await revocations.tell("token:1")
    assert channel.said == [b'{"revoked": "token:1"}']
    channel.broken = True
    await revocations.tell("token:2")
    assert forgotten == [1, 1]
    await revocations.close()
    assert channel.closed


async def test_without_redis_it_counts_here_and_that_is_all():
    forgotten: list[int] = []
    revocations = Revocations(None, lambda: forgotten.append(1), clock=LoopClock())
    await revocations.run()
    await revocations.tell("token:1")
    await revocations.close()
    assert forgotten == [1]
    assert not revocations.heard
