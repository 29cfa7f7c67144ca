"""What is still to be sent on one socket: bounded, so that a slow client delays nobody."""

import asyncio
from collections import deque
from typing import Final

FRAMES_MAX: Final = 512
"""Frames that wait at most: a client that reads none of 512 is not there."""

BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes that wait at most: four of the largest frames; 1,000 stuck clients hold 4 GB at worst and
are dropped before, for each further frame drops one."""


class SendQueue:
    """Frames in their order."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._some = asyncio.Event()

    def offer(self, frame: bytes) -> bool:
        """Take a frame to be sent; False if too much waits already."""
        if len(self._frames) >= FRAMES_MAX or self._bytes + len(frame) > BYTES_MAX:
            return False
        self._frames.append(frame)
        self._bytes += len(frame)
        self._some.set()
        return True

    async def next(self) -> bytes:
        """Wait for the next frame."""
        while not self._frames:
            self._some.clear()
            await self._some.wait()
        frame = self._frames.popleft()
        self._bytes -= len(frame)
        return frame
