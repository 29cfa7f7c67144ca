"""One WebSocket connection: how it is told to be over, how it ends, and when the next begins."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

import aiohttp

from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.proxy import TEXT_MAX
from citadel_k8s.publishers.transport import CLOSE_TIMEOUT

PROVEN_AFTER: Final = 135.0
"""Seconds that a connection must have lived for the next pause to be a short one: three read
deadlines. Source: the wire contract."""

FIRST_PAUSE: Final = (2.0, 120.0)
"""Shortest and longest base of a pause before there was a first connection, in seconds. Source:
the wire contract."""

NEXT_PAUSE: Final = (1.0, 60.0)
"""The same once there was one."""


class Wire(Protocol):
    """An open connection, as the library gives it."""

    async def send_str(self, data: str) -> None:
        """Send a text frame."""
        ...

    async def ping(self, message: bytes = b"") -> None:
        """Send a ping."""
        ...

    async def pong(self, message: bytes = b"") -> None:
        """Answer a ping."""
        ...

    async def receive(self) -> aiohttp.WSMessage:
        """Wait for the next frame, pings and pongs included."""
        ...

    async def close(self) -> bool:
        """Say goodbye and close."""
        ...

    def get_extra_info(self, name: str) -> Any:
        """Give the underlying ``socket``, None once it is gone."""
        ...


class Pauses:
    """How long to wait before the next connection."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._first, self._longest = FIRST_PAUSE
        self._base = self._first

    def after_refusal(self, retry_after: float | None) -> float:
        """Give the pause after a dial that failed; what the proxy asked for is kept in full."""
        if retry_after is None or retry_after < self._base:
            return self._next()
        self._base = self._first
        return retry_after + self._base * self._jitter()

    def after_life(self, seconds: float) -> float:
        """Give the pause after a connection that lived for so long."""
        if self._first == FIRST_PAUSE[0]:
            untouched = self._base == self._first
            self._first, self._longest = NEXT_PAUSE
            self._base = self._first if untouched else min(self._base, self._longest)
        if seconds >= PROVEN_AFTER:
            self._base = self._first
        return self._next()

    def _next(self) -> float:
        pause = self._base * (1 + self._jitter())
        self._base = min(self._longest, self._base * 2)
        return pause


def end_of(frame: aiohttp.WSMessage) -> str | None:
    """Give why the connection is over if the frame says so, else None."""
    if frame.type is aiohttp.WSMsgType.ERROR:
        return clip(f"{type(frame.data).__name__}: {frame.data}", TEXT_MAX)
    if frame.type is aiohttp.WSMsgType.CLOSE:
        return clip(f"the proxy closed with code {frame.data}: {frame.extra or ''}", TEXT_MAX)
    if frame.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING}:
        return "the connection broke"
    return None


async def hang_up(wire: Wire) -> None:
    """Close with a goodbye, but not for longer than a peer that is gone is worth."""
    try:
        with suppress(TimeoutError, OSError, aiohttp.ClientError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await wire.close()
    finally:
        cut(wire)


def cut(wire: Wire) -> None:
    """End the connection under the library: closing alone waits until all that was written left."""
    sock = wire.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
