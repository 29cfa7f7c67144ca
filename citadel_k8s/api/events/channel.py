"""One org's changes, read once and handed to all of its clients.

The reader starts at the end of the stream. Who wants all rows gets a snapshot that was taken after
an id had been noted, and then what came after that id: what is in both only says the same twice.
Who was here before goes on after the id that it names, out of what is kept here or in Redis, if the
entry of that id is still there; if not, something may have been missed, and it begins anew.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

from citadel_k8s.aio.backoff import Backoff
from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.events.figures import Figures
from citadel_k8s.api.events.messages import Message, read
from citadel_k8s.api.events.ring import RING_MAX, Ring
from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import CitadelError, StreamError
from citadel_k8s.stores.entries import EntryId
from citadel_k8s.stores.orgfeed import FeedEntry, OrgFeed
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("api")

Rows: TypeAlias = Callable[[str], Awaitable[bytes]]
"""Gives all rows of an org as the JSON text of an array, in one line."""

Snapshot: TypeAlias = Callable[[str], Awaitable[tuple[bytes, EntryId]]]
"""Gives the rows, and an id of the org's stream that was its last before they were read."""

SNAPSHOT_SECONDS: Final = 10.0
"""Seconds that a snapshot may take; one of 1,000 nodes takes a twentieth of a second."""

SNAPSHOT_FRESH: Final = 1.0
"""Seconds for which one snapshot serves everybody who asks: all clients come back at once when a
replica ends, and the database is asked once."""

BACK_MAX: Final = 1000
"""Entries read back at once."""

SLICE: Final = 32
"""Messages handed to all clients before anything else gets its turn: 32 to 500 take 15 ms."""

PAUSE_FIRST: Final = 0.5
"""Seconds of the first pause before a feed that failed is read again."""

PAUSE_LONGEST: Final = 10.0
"""Seconds of the longest: clients are shown that it is away, and wait for it."""


class Follower(Protocol):
    """A client of a channel."""

    def hear(self, message: Message) -> None:
        """Take a message of the stream; never waits."""
        ...

    def lose(self) -> None:
        """Begin anew: something was missed."""
        ...

    def stir(self) -> None:
        """Look at the channel: it fell silent, or speaks again."""
        ...


def snapshot_after(feed: OrgFeed, rows: Rows) -> Snapshot:
    """Make a snapshot of what gives rows only, in the order in which nothing is lost."""

    async def snapshot(org_id: str) -> tuple[bytes, EntryId]:
        # Rows are committed before they are told: what has an id by now is in them.
        span = await feed.span(org_id)
        return await rows(org_id), span.last

    return snapshot


class Channel:
    """The reader of one org's stream.

    Attributes
    ----------
    ring
        What was read lately; None while the place in the stream is not known.
    away
        Whether the feed is; then nobody knows what happens to the nodes.
    watchers
        All clients: who is told when the feed falls silent or speaks.
    offset_ms
        The server's clock less ours, as of the last answer; 0 until there is one.
    """

    def __init__(
        self,
        org_id: str,
        feed: OrgFeed,
        snapshot: Snapshot,
        *,
        clock: Clock,
        figures: Figures,
        backoff: Backoff | None = None,
    ) -> None:
        self.org_id = org_id
        self.ring: Ring | None = None
        self.away = False
        self.watchers: set[Follower] = set()
        self.offset_ms = 0.0
        self._feed = feed
        self._take_snapshot = snapshot
        self._clock = clock
        self._figures = figures
        self._backoff = backoff or Backoff(PAUSE_FIRST, PAUSE_LONGEST)
        self._followers: set[Follower] = set()
        self._anchored = False
        self._back = asyncio.Lock()
        self._fresh = asyncio.Lock()
        self._snapshot: tuple[Ring, float, Message | Exception] | None = None
        self._failing = RepeatLog(_log, "org_feed_failed", clock=clock)
        self._rowless = RepeatLog(_log, "org_rows_failed", clock=clock)
        self._odd = RepeatLog(_log, "org_feed_entry_unreadable", clock=clock)

    async def run(self) -> None:
        """Read until cancelled, whatever happens to the server."""
        while True:
            try:
                await self._turn()
            except Exception as error:  # noqa: BLE001 - one org's reader must not end the others'
                self._fell_silent(error)
                await asyncio.sleep(self._backoff.pause())

    async def resume(self, follower: Follower, after: EntryId) -> list[Message] | None:
        """Let a client go on after an id: give what came since, and the rest as it comes.

        Returns None if the entry of that id is not there any more, or too long ago.

        Raises
        ------
        StreamError
            The feed is away, so that nobody knows.
        """
        ring = self.ring
        if ring is None:
            raise StreamError("the place in the stream is not known yet")
        if not await self._known(ring, after) or ring is not self.ring or not ring.reaches(after):
            return None
        self._followers.add(follower)
        return list(ring.after(after))

    async def snapshot(self, follower: Follower) -> tuple[Message, list[Message]]:
        """Give all rows and what came since to a client, and the rest as it comes.

        Raises
        ------
        CitadelError
            The rows are not to be had, or the feed is away.
        """
        async with self._fresh:
            message = await self._fresh_snapshot()
        ring = self.ring
        if ring is None or message.id is None or not ring.reaches(message.id):
            raise StreamError("the stream was lost while rows were read")
        self._followers.add(follower)
        return message, list(ring.after(message.id))

    def join(self, follower: Follower) -> EntryId:
        """Hand what comes from now on to a client; give the id after which that is.

        Raises
        ------
        StreamError
            The place in the stream is not known.
        """
        if self.ring is None:
            raise StreamError("the place in the stream is not known yet")
        self._followers.add(follower)
        return self.ring.end

    def leave(self, follower: Follower) -> None:
        """Hand nothing more to a client."""
        self._followers.discard(follower)

    def now_ms(self) -> float:
        """Give the moment by the clock that moments in the stream are of."""
        return self._clock.now() * 1000 + self.offset_ms

    async def _turn(self) -> None:
        if self.ring is None:
            span = await self._feed.span(self.org_id)
            self.offset_ms = span.now_ms - self._clock.now() * 1000
            self._anchored = span.held == span.last
            self.ring = Ring(span.last)
            self._speaks(news=True)
        ring = self.ring
        reading = await self._feed.read(self.org_id, ring.end)
        self.offset_ms = reading.now_ms - self._clock.now() * 1000
        if not reading.whole and (self._anchored or reading.entries):
            # Trimmed past our place, or another stream under the same name.
            self._lost()
            return
        self._speaks()
        for start in range(0, len(reading.entries), SLICE):
            self._hand_on(ring, reading.entries[start : start + SLICE])
            await asyncio.sleep(0)
        self._anchored = self._anchored or bool(reading.entries)

    def _hand_on(self, ring: Ring, entries: list[FeedEntry]) -> None:
        for entry in entries:
            message = self._read(entry)
            ring.append(entry.id, message)
            if message is not None:
                for follower in self._followers:
                    follower.hear(message)

    def _read(self, entry: FeedEntry) -> Message | None:
        self._figures.deltas += 1
        message = read(entry)
        if message is None:
            self._figures.unreadable += 1
            head = clip(entry.data[:80].decode(errors="replace"), 80)
            self._odd.failed(org=self.org_id, entry=str(entry.id), head=head)
        return message

    async def _known(self, ring: Ring, after: EntryId) -> bool:
        """Say whether an id is one of this stream, and have everything since in the ring."""
        if after == EntryId.ZERO:
            return False  # every stream begins there
        if after > ring.end:
            # Another replica may be a moment ahead of this one.
            return bool(await self._feed.between(self.org_id, after, after, count=1))
        if ring.reaches(after):
            return ring.has(after)
        async with self._back:  # everybody comes back at once; one reads
            return ring.has(after) if ring.reaches(after) else await self._read_back(ring, after)

    async def _read_back(self, ring: Ring, after: EntryId) -> bool:
        end, place, older = ring.start, after, list[FeedEntry]()
        while True:
            found = await self._feed.between(self.org_id, place, end, count=BACK_MAX)
            if not found or found[0].id != place:
                return False
            older += found[1:]
            if len(older) > RING_MAX:
                return False
            if len(found) < BACK_MAX or found[-1].id >= end:
                break
            place = found[-1].id
        messages = [(entry.id, self._read(entry)) for entry in older]
        # What the ring let go of meanwhile, at its own start, would leave a gap.
        return ring.start == end and ring.prepend(after, messages)

    async def _fresh_snapshot(self) -> Message:
        ring, loop = self.ring, asyncio.get_running_loop()
        if ring is None:
            raise StreamError("the place in the stream is not known yet")
        kept = self._snapshot
        if kept is None or kept[0] is not ring or loop.time() - kept[1] >= SNAPSHOT_FRESH:
            # A failure is shared too: whoever waited for it would wait as long again.
            made = await self._new_snapshot()
            kept = self._snapshot = (ring, loop.time(), made)
        if isinstance(kept[2], Exception):
            raise CitadelError("rows are not to be had") from kept[2]
        return kept[2]

    async def _new_snapshot(self) -> Message | Exception:
        try:
            async with asyncio.timeout(SNAPSHOT_SECONDS):
                body, as_of = await self._take_snapshot(self.org_id)
        except Exception as error:  # noqa: BLE001 - whatever it was, the stream stays open
            known = isinstance(error, CitadelError | TimeoutError)
            self._rowless.failed(
                org=self.org_id, error=str(error) or repr(error), exc_info=None if known else error
            )
            return error
        self._rowless.recovered(org=self.org_id)
        self._figures.snapshots += 1
        return Message("snapshot", body, as_of)

    def _lost(self) -> None:
        self.ring, self._snapshot = None, None
        self._figures.resets += 1
        followers, self._followers = self._followers, set()
        for follower in followers:
            follower.lose()

    def _speaks(self, *, news: bool = False) -> None:
        self._backoff.reset()
        self._failing.recovered(org=self.org_id)
        if self.away or news:
            self.away = False
            self._stir()

    def _fell_silent(self, error: Exception) -> None:
        known = isinstance(error, CitadelError)
        self._failing.failed(
            org=self.org_id, error=str(error) or repr(error), exc_info=None if known else error
        )
        if not self.away:
            self.away = True
            self._stir()

    def _stir(self) -> None:
        for watcher in self.watchers:
            watcher.stir()
