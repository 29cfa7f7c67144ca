"""A status stream in memory, for rules under test and for a tour without a server."""

import asyncio
from collections.abc import Collection, Mapping

from typing_extensions import override

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.errors import StreamError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.stores.entries import (
    DEFAULT_BLOCK,
    DEFAULT_COUNT,
    Entry,
    EntryId,
    StatusStream,
    StreamHead,
)


class FakeStatusStream(StatusStream):
    """Keeps what Redis keeps: ids never go back, an emptied stream remembers its last one.

    Attributes
    ----------
    down : str
        While not empty, every call raises `StreamError` with this text, as when the server is
        away.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._entries: list[tuple[EntryId, Mapping[bytes, bytes]]] = []
        self._last = EntryId.ZERO
        self._added = 0
        self._hashes: dict[str, dict[str, bytes]] = {}
        self._grown = asyncio.Event()
        self.down = ""

    def put(self, fields: Mapping[bytes, bytes], *, at_ms: int | None = None) -> EntryId:
        """Add an entry of any shape, at a moment of the server's clock (now, if none is given)."""
        moment = EntryId(self._now_ms() if at_ms is None else at_ms, 0)
        self._last = max(moment, EntryId(self._last.ms, self._last.seq + 1))
        self._entries.append((self._last, dict(fields)))
        self._added += 1
        self._grown.set()
        return self._last

    def flush(self) -> None:
        """Forget everything, last id and hashes too, as FLUSHALL does."""
        self._entries, self._hashes, self._last, self._added = [], {}, EntryId.ZERO, 0

    @override
    async def read(
        self, after: EntryId, *, count: int = DEFAULT_COUNT, block: float = DEFAULT_BLOCK
    ) -> list[Entry]:
        found = self._after(after, count)
        if found or block <= 0:
            return found
        try:
            async with asyncio.timeout(block):
                while not found:
                    self._grown.clear()
                    await self._grown.wait()
                    found = self._after(after, count)
        except TimeoutError:
            self._check()
        return found

    @override
    async def head(self) -> StreamHead:
        self._check()
        return StreamHead(self._last, self._now_ms(), len(self._entries), self._added)

    @override
    async def append(self, node_id: str, payload: bytes) -> EntryId:
        self._check()
        timestamp = format_timestamp(self._clock.now()).encode()
        return self.put({b"nodeId": node_id.encode(), b"timestamp": timestamp, b"payload": payload})

    @override
    async def trim(self, older_than_ms: int) -> int:
        self._check()
        before = len(self._entries)
        self._entries = [entry for entry in self._entries if entry[0].ms >= older_than_ms]
        return before - len(self._entries)

    @override
    async def load_snapshot(self, name: str) -> dict[str, bytes]:
        self._check()
        return dict(self._hashes.get(name, {}))

    @override
    async def save_snapshot(
        self, name: str, fields: Mapping[str, bytes], *, removed: Collection[str] = ()
    ) -> int:
        self._check()
        kept = {
            key: value for key, value in self._hashes.get(name, {}).items() if key not in removed
        }
        self._hashes[name] = kept | dict(fields)
        return len(self._hashes[name])

    @override
    async def close(self) -> None:
        self._grown.set()

    def _after(self, after: EntryId, count: int) -> list[Entry]:
        self._check()
        found = [(key, fields) for key, fields in self._entries if key > after]
        return [Entry.from_fields(key, fields) for key, fields in found[:count]]

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)

    def _check(self) -> None:
        if self.down:
            raise StreamError(self.down)
