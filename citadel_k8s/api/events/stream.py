"""One client's stream, whatever it is carried by: where it begins, what it is sent and when.

It begins with the time and all rows, or goes on where it was. Then come changes, and the time
again and again: a client shows ages by the server's clock, and notices when nothing comes.
"""

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

import pydantic_core

from citadel_k8s.api.events.channel import Channel
from citadel_k8s.api.events.figures import Figures
from citadel_k8s.api.events.messages import Message, reset
from citadel_k8s.api.events.pending import Pending
from citadel_k8s.errors import CitadelError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.identity import Principal
from citadel_k8s.stores.entries import EntryId

TIME_EVERY: Final = 15.0
"""Seconds between two messages with the time. Proxies cut what is silent for 30 to 60 s."""

FIRST_TIME: Final = 1.0
"""Seconds after which a client that still waits for its rows is told how things stand."""

EARLY: Final = 0.001
"""Seconds by which a timer may fire before its moment, as the loop's own clock says."""

AGAIN: Final = 1.0
"""Seconds after which rows that were not to be had are asked for again."""

_ALL: Final = frozenset({"node", "gone", "event"})


class Ending(StrEnum):
    """Why a stream ended."""

    LEFT = "left"
    STUCK = "stuck"
    REVOKED = "revoked"
    STOPPING = "stopping"


class Sink(Protocol):
    """What carries a stream to its client.

    ``send`` may wait for a client that reads slowly, and raises `ConnectionError` once there is
    none any more. ``moved`` counts the bytes that left; None while nothing waits to leave.
    ``abort`` ends a ``send`` that waits.
    """

    async def send(self, messages: Sequence[Message]) -> None:
        """Send messages, all or none of them told apart."""
        ...

    @property
    def gone(self) -> bool:
        """Whether the client is."""
        ...

    def moved(self) -> int | None:
        """Give how much has left so far, None if all has."""
        ...

    def abort(self) -> None:
        """Cut the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asked for: after which id, of which nodes and kinds; None for all."""

    after: EntryId | None = None
    unknown: bool = False
    nodes: frozenset[str] | None = None
    kinds: frozenset[str] | None = None

    def wants(self, message: Message) -> bool:
        """Say whether a message is one of those."""
        return (self.nodes is None or message.node in self.nodes) and (
            self.kinds is None or message.kind in self.kinds
        )

    @property
    def rows(self) -> bool:
        """Whether rows are asked for, and not only what happens to nodes."""
        return bool((self.kinds or _ALL) & {"node", "gone"})


class Stream:
    """One client's stream.

    Parameters
    ----------
    frontier : callable
        Gives the moment, ms by the stream's clock, up to which statuses are taken in; None where
        that is not known.
    """

    def __init__(
        self,
        channel: Channel,
        principal: Principal,
        sink: Sink,
        asked: Asked,
        *,
        figures: Figures,
        frontier: Callable[[], int | None] = lambda: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.principal = principal
        self.sink = sink
        self.ending: Ending | None = None
        self._channel = channel
        self._asked = asked
        self._figures = figures
        self._frontier = frontier
        self._jitter = jitter
        self._after = asked.after
        self._fresh = asked.after is None and not asked.unknown
        self._pending: Pending | None = None
        self._wake = asyncio.Event()
        self._tell = False
        self._told = False
        self._time_at = math.inf
        self._ticking = asyncio.get_running_loop().call_later(0, self._wake.set)
        self._rowless = False

    def hear(self, message: Message) -> None:
        """Take a message of the org's stream."""
        if (pending := self._pending) is not None:
            idle = pending.due is None
            pending.offer(message)
            # Woken once, not for each: there is nothing to do before it is due.
            if idle and pending.due is not None:
                self._wake_at(pending.due)
            elif pending.overflowed:
                self._wake.set()

    def lose(self) -> None:
        """Begin anew: something was missed."""
        self._pending, self._after, self._fresh = None, None, False
        self._wake.set()

    def stir(self) -> None:
        """Tell the client whether the feed is there."""
        # Nothing goes before the rows unless they are long in coming.
        self._tell = self._told or self._channel.away
        self._wake.set()

    def ask(self, asked: Asked) -> None:
        """Begin anew with what a client asks for now."""
        self._channel.leave(self)
        self._asked, self._after, self._pending = asked, asked.after, None
        self._fresh = asked.after is None and not asked.unknown
        self._wake.set()

    def end(self, ending: Ending) -> None:
        """End the stream; one that is stuck or gone is cut."""
        if self.ending is None:
            self.ending = ending
        if ending in {Ending.STUCK, Ending.LEFT}:
            self.sink.abort()
        self._wake.set()

    async def run(self) -> Ending:
        """Send until the client leaves, or `end`."""
        self._channel.watchers.add(self)
        self._time_in(FIRST_TIME)
        try:
            while self.ending is None:
                await self._turn()
        except ConnectionError:
            self.ending = self.ending or Ending.LEFT
        finally:
            self._ticking.cancel()
            self._channel.watchers.discard(self)
            self._channel.leave(self)
        return self.ending or Ending.LEFT

    async def _turn(self) -> None:
        clock = asyncio.get_running_loop().time
        if self._tell or clock() + EARLY >= self._time_at:
            await self._send([self._time()])
        pending = self._pending
        if pending is None:
            await self._begin()
        elif pending.overflowed:
            self.lose()
        elif pending.due is not None and clock() + EARLY >= pending.due:
            await self._send(pending.take(max(clock(), pending.due)))
        else:
            if pending.due is not None:
                self._wake_at(pending.due)
            await self._idle()

    async def _begin(self) -> None:
        """Find the place to begin or go on from; wait for a while if that cannot be had."""
        asked = self._asked
        if self._channel.ring is None:
            await self._idle()
            return
        try:
            if self._after is not None:
                await self._resume(asked, self._after)
            elif not self._fresh:
                self._fresh = True
                await self._send([reset()])
            elif asked.rows:
                await self._rows(asked)
            else:
                # Of events alone there is nothing to begin with but the end.
                self._follow(asked, self._channel.join(self), ())
        except CitadelError:
            if not self._rowless:
                self._rowless = True
                await self._send([self._time()])
            self._wake_at(asyncio.get_running_loop().time() + AGAIN * (1 + self._jitter()))
            await self._idle()

    async def _resume(self, asked: Asked, after: EntryId) -> None:
        missed = await self._channel.resume(self, after)
        if asked is not self._asked:
            return
        if missed is None:
            self._after, self._fresh = None, False
        else:
            self._follow(asked, after, missed)

    async def _rows(self, asked: Asked) -> None:
        message, missed = await self._channel.snapshot(self)
        if asked is not self._asked or message.id is None:
            return
        self._follow(asked, message.id, missed)
        if asked.nodes is not None:
            message = _only(message, asked.nodes)
        await self._send([message, self._time()])

    def _follow(self, asked: Asked, after: EntryId, missed: Sequence[Message]) -> None:
        self._pending = Pending(after, wanted=asked.wants)
        self._tell, self._rowless = True, False
        for message in missed:
            self.hear(message)

    async def _send(self, messages: Sequence[Message]) -> None:
        self._figures.sent += len(messages)
        await self.sink.send(messages)

    async def _idle(self) -> None:
        await self._wake.wait()
        self._wake.clear()

    def _wake_at(self, moment: float) -> None:
        """Look again at a moment; a deadline for each wait would cost more than what is sent."""
        asyncio.get_running_loop().call_at(moment, self._wake.set)

    def _time_in(self, seconds: float) -> None:
        self._ticking.cancel()
        loop = asyncio.get_running_loop()
        self._time_at = loop.time() + seconds
        self._ticking = loop.call_at(self._time_at, self._wake.set)

    def _time(self) -> Message:
        """Give the time, how far statuses are taken in, and whether changes are heard of at all."""
        self._tell, self._told = False, True
        self._time_in(TIME_EVERY)
        now_ms, frontier = self._channel.now_ms(), self._frontier()
        stale = self._channel.away or self._rowless or self._channel.ring is None
        said: dict[str, Any] = {"now": _iso(now_ms), "stale": stale}
        if self._channel.away:
            said["reason"] = "changes are not heard of: Redis is away"
        elif self._rowless:
            said["reason"] = "rows are not to be had: they are asked for again"
        if frontier is not None:
            said |= {"asOf": _iso(frontier), "lag": round(max(0.0, now_ms - frontier) / 1000, 3)}
        pending = self._pending
        # A place to go on from, if nothing waits: an id that nobody was sent grows old.
        clear = pending is not None and pending.due is None and not pending.overflowed
        place = pending.position if pending is not None and clear else None
        return Message("time", pydantic_core.to_json(said), place)


def _iso(milliseconds: float) -> str:
    return f"{format_timestamp(milliseconds / 1000, fraction=True)[:-4]}Z"


def _only(snapshot: Message, nodes: frozenset[str]) -> Message:
    rows: list[dict[str, Any]] = pydantic_core.from_json(snapshot.data)
    kept = [row for row in rows if row.get("id") in nodes]
    return Message("snapshot", pydantic_core.to_json(kept), snapshot.id)
