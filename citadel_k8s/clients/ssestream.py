"""Server-sent events out of bytes, bounded. Source: the HTML standard, section 9.2."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, Protocol

EVENT_MAX: Final = 64 * 1024 * 1024
"""Bytes of one event: a snapshot of 10,000 nodes has 20 MB at its longest."""

LINE_COST: Final = 64
"""Bytes that a line takes besides its letters: millions of empty ones are no small event."""

RETRY_MAX: Final = 60.0
"""Longest pause that a server may ask for, in seconds."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. ``id`` is the last that was named; ``retry`` seconds, None if not asked for."""

    kind: str
    data: str
    id: str | None = None
    retry: float | None = None


class Bytes(Protocol):
    """What is read from; `aiohttp.StreamReader` is."""

    async def readany(self) -> bytes:
        """Give what is there; none at the end."""
        ...


class EventParser:
    """Takes bytes as they come, gives events as they are whole."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._searched = 0
        self._size = 0
        self._kind = ""
        self._data: list[str] = []
        self._id: str | None = None
        self._retry: float | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """Give the events that these bytes make whole.

        Raises
        ------
        ValueError
            One is over `EVENT_MAX`.
        """
        self._rest += chunk
        found: list[Event] = []
        start = 0
        while (end := self._rest.find(b"\n", max(start, self._searched))) >= 0:
            event = self._line(bytes(self._rest[start:end]).removesuffix(b"\r"))
            start = end + 1
            self._searched = start
            if event is not None:
                found.append(event)
        del self._rest[:start]
        # What was searched once has no line's end: a snapshot comes in hundreds of pieces.
        self._searched = len(self._rest)
        if len(self._rest) + self._size > EVENT_MAX:
            raise ValueError(f"an event is over {EVENT_MAX >> 20} MiB")
        return found

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._whole()
        name, _, value = line.decode(errors="replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(line) + LINE_COST
        elif name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self._retry = min(RETRY_MAX, int(value[:9]) / 1000)
        return None

    def _whole(self) -> Event | None:
        data, kind, retry = "\n".join(self._data), self._kind, self._retry
        told = bool(self._data) or retry is not None
        self._data, self._kind, self._retry, self._size = [], "", None, 0
        return Event(kind or "message", data, self._id, retry) if told else None


async def events_of(content: Bytes, *, silence: float) -> AsyncGenerator[Event]:
    """Give the events of a stream until it ends.

    Raises
    ------
    TimeoutError
        Not a byte came for ``silence`` seconds.
    ValueError
        An event is too large.
    """
    parser = EventParser()
    while True:
        async with asyncio.timeout(silence):
            chunk = await content.readany()
        if not chunk:
            return
        for event in parser.feed(chunk):
            yield event
