"""All streams of this process: one reader per org that is listened to, bounds, and who may stay.

Nothing in here is shared with other replicas: any of them serves any client at any moment.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.api.events.channel import Channel, Snapshot
from citadel_k8s.api.events.figures import Figures
from citadel_k8s.api.events.stream import Asked, Ending, Sink, Stream
from citadel_k8s.api.frame.refusal import RefusalError, unavailable
from citadel_k8s.models.identity import Principal
from citadel_k8s.stores.orgfeed import OrgFeed
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("api")

LINGER: Final = 30.0
"""Seconds that an org's reader outlives its last client: a page that is loaded again, or a client
whose connection was cut, finds what it missed still here."""

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the connections: which are gone, which do not move."""

STUCK_SECONDS: Final = 30.0
"""Seconds in which not a byte may leave, before a client that is owed some is cut. Source: the
control plane's design; a sleeping laptop comes back by itself and goes on where it was."""

CHECK_EVERY: Final = 20.0
"""Seconds between two questions whether a credential still holds: with the answers' own time a
stream ends well within a minute of its session."""

CHECK_SECONDS: Final = 5.0
"""Seconds that such an answer may take."""

CHECKS_AT_ONCE: Final = 4
"""Such questions at once: they must not take the database from requests."""

UNKNOWN_SECONDS: Final = 300.0
"""Seconds without an answer after which a stream ends: the database's restart is no reason to cut
everybody off, and a credential that nobody can check is no credential for ever."""

FRONTIER_EVERY: Final = 5.0
"""Seconds between two questions how far statuses are taken in."""

FRONTIER_OLD: Final = 8.0
"""Seconds by which a frontier may be older than a stream that tells it: one round, and a slow
answer. What was known when somebody last listened may be hours old."""

RETRY_AFTER: Final = 15.0
"""Seconds that a client waits that came when there were too many."""

Still = Callable[[Principal], Awaitable[bool]]
"""Whether a principal's credential still holds."""

Frontier = Callable[[], Awaitable[int | None]]
"""The moment, ms by the stream's clock, up to which statuses are taken in; None if not known."""


async def _no_frontier() -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class Limits:
    """Streams at once in this process: of one credential, of one org, and in all.

    A person has a few tabs open; a thousand clients take 60 MB and a fifth of a core.
    """

    per_principal: int = 20
    per_org: int = 1000
    total: int = 2000


@dataclass(slots=True)
class _Watched:
    """What the looks at one stream have seen: bytes that had left, since when they are as many."""

    stopping: Callable[[], bool]
    moved: int | None = None
    since: float = 0.0


@dataclass(slots=True)
class _Reader:
    channel: Channel
    task: asyncio.Task[None]
    clients: int = 0
    idle_since: float = 0.0


class Hub:
    """All streams of this process.

    Parameters
    ----------
    feed : OrgFeed
        Where changes are read from.
    snapshot : Snapshot
        Where rows are read from; `channel.snapshot_after` makes one.
    still : callable
        Whether a principal's credential still holds; asked each 20 s, once for all its streams.
    frontier : callable
        How far statuses are taken in.
    """

    def __init__(
        self,
        feed: OrgFeed,
        snapshot: Snapshot,
        *,
        still: Still,
        frontier: Frontier = _no_frontier,
        clock: Clock | None = None,
        limits: Limits | None = None,
        linger: float = LINGER,
        stuck_seconds: float = STUCK_SECONDS,
        check_every: float = CHECK_EVERY,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.figures = Figures()
        self._feed = feed
        self._snapshot = snapshot
        self._still = still
        self._ask_frontier = frontier
        self._clock = clock or SystemClock()
        self._limits = limits or Limits()
        self._linger = linger
        self._stuck_seconds = stuck_seconds
        self._check_every = check_every
        self._jitter = jitter
        self._group: asyncio.TaskGroup | None = None
        self._readers: dict[str, _Reader] = {}
        self._streams: dict[Stream, _Watched] = {}
        self._held: Counter[str] = Counter()
        self._answered: dict[Principal, float] = {}
        self._frontier: tuple[float, int | None] | None = None
        self._listened = asyncio.Event()
        self._unanswered = RepeatLog(_log, "stream_credentials_unchecked", clock=self._clock)
        self._unknown = RepeatLog(_log, "stream_frontier_unknown", clock=self._clock)

    async def run(self) -> None:
        """Read for whoever listens, until cancelled; then all streams end."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._look(), name="streams: looks")
                group.create_task(self._check(), name="streams: credentials")
                group.create_task(self._follow_frontier(), name="streams: frontier")
        finally:
            self._group = None
            self._readers.clear()
            self.close()

    def close(self) -> None:
        """End all streams; their clients come back, here or to another replica."""
        for stream in self._streams:
            stream.end(Ending.STOPPING)

    @contextmanager
    def stream(
        self,
        principal: Principal,
        sink: Sink,
        asked: Asked,
        *,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Generator[Stream]:
        """Admit a client for as long as the context lasts.

        Parameters
        ----------
        stopping : callable
            Whether the server is about to stop.

        Raises
        ------
        RefusalError
            429 if the credential has too many streams, 503 if the org or this process has, or if
            the hub does not run.
        """
        reader = self._admit(principal)
        org, subject = principal.org_id, principal.subject
        stream = Stream(
            reader.channel,
            principal,
            sink,
            asked,
            figures=self.figures,
            frontier=self._frontier_since(asyncio.get_running_loop().time()),
            jitter=self._jitter,
        )
        self._streams[stream] = _Watched(stopping)
        self._listened.set()
        reader.clients += 1
        self._held[f"{org}/{subject}"] += 1
        self.figures.streams += 1
        try:
            yield stream
        finally:
            del self._streams[stream]
            self.figures.streams -= 1
            self._held[f"{org}/{subject}"] -= 1
            if self._held[f"{org}/{subject}"] <= 0:
                del self._held[f"{org}/{subject}"]
            reader.clients -= 1
            reader.idle_since = asyncio.get_running_loop().time()
            self.figures.stuck += stream.ending is Ending.STUCK
            self.figures.revoked += stream.ending is Ending.REVOKED

    def _admit(self, principal: Principal) -> _Reader:
        limits, org = self._limits, principal.org_id
        if self._held[f"{org}/{principal.subject}"] >= limits.per_principal:
            self.figures.refused += 1
            raise RefusalError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_streams",
                f"this credential has {limits.per_principal} streams open; close one first",
                retry_after=RETRY_AFTER,
            )
        reader = self._readers.get(org)
        of_org = reader.clients if reader else 0
        if of_org >= limits.per_org or len(self._streams) >= limits.total:
            self.figures.refused += 1
            raise unavailable(
                "too many streams are open here; come again later", retry_after=RETRY_AFTER
            )
        if self._group is None:
            raise unavailable("streams are not served at this moment")
        return reader or self._start(self._group, org)

    def _start(self, group: asyncio.TaskGroup, org_id: str) -> _Reader:
        channel = Channel(
            org_id, self._feed, self._snapshot, clock=self._clock, figures=self.figures
        )
        task = group.create_task(channel.run(), name=f"streams: reader of {org_id}")
        reader = self._readers[org_id] = _Reader(channel, task)
        self.figures.orgs = len(self._readers)
        return reader

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now = loop.time()
            for stream, watched in list(self._streams.items()):
                try:
                    self._look_at(stream, watched, now)
                except Exception as error:  # noqa: BLE001 - one odd socket must not end the hub
                    _log.warning("stream_unlooked_at", error=repr(error))
                    stream.ending = stream.ending or Ending.LEFT
            for org_id, reader in list(self._readers.items()):
                if reader.clients == 0 and now - reader.idle_since >= self._linger:
                    reader.task.cancel()
                    del self._readers[org_id]
            self.figures.orgs = len(self._readers)

    def _look_at(self, stream: Stream, watched: _Watched, now: float) -> None:
        if stream.sink.gone:
            stream.end(Ending.LEFT)
        elif watched.stopping():
            stream.end(Ending.STOPPING)
        moved = stream.sink.moved()
        if moved is None or moved != watched.moved:
            watched.moved, watched.since = moved, now
        elif now - watched.since >= self._stuck_seconds:
            stream.end(Ending.STUCK)

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(self._check_every)
            principals = {stream.principal for stream in self._streams}
            self._answered = {p: at for p, at in self._answered.items() if p in principals}
            waiting = iter(principals)
            async with asyncio.TaskGroup() as group:
                for _ in range(min(CHECKS_AT_ONCE, len(principals))):
                    group.create_task(self._check_some(waiting))

    async def _check_some(self, waiting: Iterator[Principal]) -> None:
        loop = asyncio.get_running_loop()
        for principal in waiting:
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    holds = await self._still(principal)
            except Exception as error:  # noqa: BLE001 - no answer is an answer of its own
                self._unanswered.failed(error=str(error) or repr(error))
                asked = self._answered.setdefault(principal, loop.time() - self._check_every)
                holds = loop.time() - asked < UNKNOWN_SECONDS
            else:
                self._unanswered.recovered()
                self._answered[principal] = loop.time()
            if not holds:
                self._revoke(principal)

    def _revoke(self, principal: Principal) -> None:
        for stream in self._streams:
            if stream.principal == principal:
                stream.end(Ending.REVOKED)

    def _frontier_since(self, opened: float) -> Callable[[], int | None]:
        """Give what tells the frontier to a stream; None until it is known anew."""

        def frontier() -> int | None:
            if self._frontier is None or self._frontier[0] < opened - FRONTIER_OLD:
                return None
            return self._frontier[1]

        return frontier

    async def _follow_frontier(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._streams:
                self._listened.clear()
                await self._listened.wait()
            asked = loop.time()
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    self._frontier = asked, await self._ask_frontier()
                self._unknown.recovered()
            except Exception as error:  # noqa: BLE001 - then it is as far as it was last known
                self._unknown.failed(error=str(error) or repr(error))
            await asyncio.sleep(FRONTIER_EVERY)
