"""Clients of a hub without a network, and the API behind it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from typing_extensions import override

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.api.events.channel import snapshot_after
from citadel_k8s.api.events.hub import Hub
from citadel_k8s.api.events.messages import Message
from citadel_k8s.api.events.stream import Asked, Sink, Stream
from citadel_k8s.models.identity import Principal, Role
from citadel_k8s.stores.entries import EntryId
from tests.orgfeed import FakeOrgFeed, apply


def person(org: str = "a", subject: str = "user:1") -> Principal:
    return Principal("user", org, subject, role=Role.VIEWER)


class Database:
    """Rows as the worker leaves them: changed before the change is told."""

    def __init__(self, feed: FakeOrgFeed) -> None:
        self.feed = feed
        self.rows: dict[str, dict[str, dict[str, Any]]] = {}
        self.reads = 0
        self.down = False
        self.takes = 0.0

    def tell(self, org_id: str, delta: dict[str, Any]) -> EntryId:
        apply(self.rows.setdefault(org_id, {}), delta["type"], delta)
        return self.feed.add(org_id, delta)

    async def read(self, org_id: str) -> bytes:
        self.reads += 1
        # As they are now, and not when the last of them has been sent.
        rows = json.dumps(list(self.rows.get(org_id, {}).values())).encode()
        await asyncio.sleep(self.takes)
        if self.down:
            raise OSError("the database is away")
        return rows


class Client(Sink):
    """Takes messages at once, until told to be stuck."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.rows: dict[str, dict[str, Any]] = {}
        self.left = False
        self.aborted = False
        self.stuck = False
        self._freed = asyncio.Event()

    @override
    async def send(self, messages: Sequence[Message]) -> None:
        if self.stuck:
            await self._freed.wait()
        if self.left or self.aborted:
            raise ConnectionResetError("gone")
        for message in messages:
            self.messages.append(message)
            apply(self.rows, message.kind, json.loads(message.data))

    @property
    @override
    def gone(self) -> bool:
        return self.left

    @override
    def moved(self) -> int | None:
        return len(self.messages) if self.stuck else None

    @override
    def abort(self) -> None:
        self.aborted = True
        self._freed.set()

    def free(self) -> None:
        self.stuck = False
        self._freed.set()

    def kinds(self, *, times: bool = False) -> list[str]:
        return [m.kind for m in self.messages if times or m.kind != "time"]

    def times(self) -> list[dict[str, Any]]:
        return [json.loads(m.data) for m in self.messages if m.kind == "time"]

    def place(self) -> EntryId | None:
        """What a browser would name when it comes back."""
        return next((m.id for m in reversed(self.messages) if m.id is not None), None)


class World:
    """A hub that runs, with a feed and a database."""

    def __init__(self, **options: Any) -> None:
        self.feed = FakeOrgFeed()
        self.database = Database(self.feed)
        self.holds = True
        snapshot = options.pop("snapshot", None) or snapshot_after(self.feed, self.database.read)
        options.setdefault("still", self._still)
        self.hub = Hub(self.feed, snapshot, clock=SystemClock(), jitter=lambda: 0.5, **options)
        self.group: asyncio.TaskGroup

    async def _still(self, _principal: Principal) -> bool:
        return self.holds

    def connect(
        self,
        client: Client,
        asked: Asked | None = None,
        *,
        principal: Principal | None = None,
    ) -> asyncio.Task[Stream]:
        return self.group.create_task(self._serve(client, asked or Asked(), principal or person()))

    async def _serve(self, client: Client, asked: Asked, principal: Principal) -> Stream:
        with self.hub.stream(principal, client, asked) as stream:
            await stream.run()
        return stream


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[World]:
    made = World(**options)
    async with asyncio.TaskGroup() as group:
        made.group = group
        running = group.create_task(made.hub.run())
        await asyncio.sleep(0)
        try:
            yield made
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
