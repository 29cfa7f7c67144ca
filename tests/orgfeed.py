"""An org's stream of changes in memory, with what goes wrong with the real one; and a client's
reading of what it is sent."""

import asyncio
import json
from typing import Any

from typing_extensions import override

from citadel_k8s.errors import StreamError
from citadel_k8s.stores.entries import EntryId
from citadel_k8s.stores.orgfeed import FEED_BLOCK, FEED_COUNT, FeedEntry, OrgFeed, Reading, Span

START_MS = 1_795_420_800_000


class FakeOrgFeed(OrgFeed):
    """Keeps entries by org; ids grow by one millisecond each, over losses too."""

    def __init__(self) -> None:
        self.entries: dict[str, list[FeedEntry]] = {}
        self.last: dict[str, EntryId] = {}
        self.down = ""
        self.lag = 0.0
        self.reads = 0
        self.open = 0
        self._ms = START_MS
        self._grown = asyncio.Event()

    def add(self, org_id: str, delta: dict[str, Any] | bytes) -> EntryId:
        self._ms += 1
        entry_id = EntryId(self._ms, 0)
        data = delta if isinstance(delta, bytes) else json.dumps(delta).encode()
        self.entries.setdefault(org_id, []).append(FeedEntry(entry_id, data))
        self.last[org_id] = entry_id
        self._grown.set()
        return entry_id

    def trim(self, org_id: str, keep: int) -> None:
        held = self.entries[org_id]
        self.entries[org_id] = held[len(held) - keep :]

    def flush(self) -> None:
        self.entries, self.last = {}, {}

    @override
    async def span(self, org_id: str) -> Span:
        self._check()
        held = self.entries.get(org_id)
        last = self.last.get(org_id, EntryId.ZERO)
        return Span(last, held[-1].id if held else None, self._ms)

    @override
    async def read(
        self,
        org_id: str,
        after: EntryId,
        *,
        count: int = FEED_COUNT,
        block: float = FEED_BLOCK,
    ) -> Reading:
        self.reads += 1
        self.open += 1
        try:
            found = await self._wait(org_id, after, block)
            await asyncio.sleep(self.lag)
        finally:
            self.open -= 1
        whole = any(entry.id == after for entry in self.entries.get(org_id, ()))
        return Reading(found[:count], whole, self._ms)

    @override
    async def between(
        self, org_id: str, first: EntryId, last: EntryId, *, count: int = FEED_COUNT
    ) -> list[FeedEntry]:
        self._check()
        await asyncio.sleep(0)
        return [e for e in self.entries.get(org_id, ()) if first <= e.id <= last][:count]

    @override
    async def close(self) -> None:
        self._grown.set()

    async def _wait(self, org_id: str, after: EntryId, block: float) -> list[FeedEntry]:
        end = asyncio.get_running_loop().time() + block
        while True:
            self._check()
            found = [e for e in self.entries.get(org_id, ()) if e.id > after]
            if found:
                return found
            self._grown.clear()
            try:
                async with asyncio.timeout_at(end):
                    await self._grown.wait()
            except TimeoutError:
                self._check()
                return []

    def _check(self) -> None:
        if self.down:
            raise StreamError(self.down)


def node(name: str, **fields: Any) -> dict[str, Any]:
    """A delta of a node."""
    return {"type": "node", "id": name, **fields}


def apply(rows: dict[str, dict[str, Any]], kind: str, data: Any) -> None:
    """Do to a page's rows what a message says: the rule that clients follow."""
    if kind == "reset":
        rows.clear()
    elif kind == "snapshot":
        rows.clear()
        rows.update({row["id"]: row for row in data})
    elif kind == "gone":
        rows.pop(data["id"], None)
    elif kind == "node":
        row = rows.setdefault(data["id"], {})
        if "state" in data:
            row.pop("reason", None)
        row.update({key: value for key, value in data.items() if key != "type"})


def parse(stream: bytes) -> list[dict[str, str]]:
    """Read an event stream as the HTML standard says, byte for byte: fields by event."""
    text = stream.decode().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    events: list[dict[str, str]] = []
    for block in text.split("\n\n")[:-1]:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data" and "data" in fields:
                fields["data"] += "\n" + value
            elif name:
                fields[name] = value
        events.append(fields)
    return events
