"""Reads the status stream with an own cursor, and keeps the proof that it was read to its end.

The proof is a moment: every entry that lay in the stream by then has been taken into account. A
node's silence counts only up to that moment, so a stream that cannot be read makes nobody
Offline, however long it lasts.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.constants import NODE_ID_MAX
from citadel_k8s.errors import StreamError, WireError
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.registry import Registry
from citadel_k8s.stores.entries import Entry, EntryId, StatusStream, StreamHead
from citadel_k8s.telemetry.log import RepeatLog, Suppressor, get_logger

_log = get_logger("operator.reader")

READ_BLOCK: Final = 1.0
"""Seconds that a read waits. It is also how much later than its deadline a silent node is found:
the proof of an empty stream comes when the read returns."""

READ_COUNT: Final = 500
"""Entries per read; less than that coming back means that the end was reached."""

READ_PAUSE: Final = 0.2
"""Seconds between two reads at the stream's end: gathers what 10,000 nodes send (67 entries) into
one round trip, each of which costs 1 ms of CPU. A backlog is read without a pause."""

PIPE_GAP: Final = 5.0
"""Seconds without proof after which the pipe, not the nodes, was silent: longer than a read with
its timeout on a healthy server, shorter than half of the fastest profile's interval."""

CLOCK_JUMP: Final = 1.0
"""Seconds by which the server's clock and this one's come apart before the server's was set: more
than an answer is late on a healthy network, less than any silence depends on."""

REJECTIONS_TOLD: Final = 1024
"""Pairs of node and reason whose rejections are told apart: a sender of nonsense gets one line,
not a thousand, and cannot fill the memory with made-up names either."""

RETRY_DELAY: Final = 0.5
"""Seconds before a stream that could not be read is tried again."""


@dataclass(slots=True)
class Reader:
    """The operator's own reading of the stream.

    Parameters
    ----------
    stream : StatusStream
        Where to read.
    registry : Registry
        Who is told.
    clock : Clock
        The operator's clock.
    metrics : OperatorMetrics
        What is counted.
    """

    stream: StatusStream
    registry: Registry
    clock: Clock
    metrics: OperatorMetrics
    trouble: str | None = None
    cursor: EntryId = EntryId.ZERO
    proved_until: float | None = None
    first_proof: asyncio.Event = field(default_factory=asyncio.Event)
    behind: bool = True
    _counted: int | None = None
    _newest_ms: int = 0
    _resumed_ms: int = 0
    _dark_ms: int = 0
    _from_zero: bool = False
    _head: StreamHead | None = None
    _ahead: float | None = None
    _told: dict[tuple[str, str], Suppressor] = field(
        default_factory=dict[tuple[str, str], Suppressor]
    )

    @property
    def caught_up(self) -> bool:
        """Whether the stream has been read to its end at least once."""
        return self.proved_until is not None

    def proof_age(self) -> float | None:
        """Seconds since the stream was last known to be read to its end; None before the first."""
        return None if self.proved_until is None else self.clock.monotonic() - self.proved_until

    async def run(self) -> None:
        """Read for ever."""
        trouble = RepeatLog(_log, "stream_unreadable", clock=self.clock)
        while True:
            try:
                await self.step()
            except StreamError as error:
                self.metrics.reader_up.set(0)
                self._head = None
                self.trouble = str(error)
                trouble.failed(error=self.trouble)
                await asyncio.sleep(RETRY_DELAY)
            else:
                self.metrics.reader_up.set(1)
                self.trouble = None
                trouble.recovered()
                await asyncio.sleep(0 if self.behind else READ_PAUSE)

    async def step(self) -> None:
        """Read once and take what came into account.

        Raises
        ------
        StreamError
            If the stream cannot be read; nothing is lost, the cursor stands where it stood.
        """
        if self._head is None:
            await self._look_at_head()
        asked_at = self.clock.monotonic()
        block = READ_BLOCK if self.caught_up else 0.0
        entries = await self.stream.read(self.cursor, count=READ_COUNT, block=block)
        # A read that came back empty proves its whole wait; one with entries, its start.
        proved = asked_at if entries else self._waited_until(asked_at, block)
        cursor = self.cursor
        # Nothing behind the cursor may also mean that the stream was lost, and begun anew before it
        # by a server whose clock is behind: without this look it would prove everybody's silence.
        head = await self._look_at_head(entries)
        if self.cursor < cursor:
            self.behind = True  # all of it is read from its beginning, these entries among it
            return
        self.behind = len(entries) == READ_COUNT
        self._take(entries, head)
        if not self.behind:
            self._prove(proved)

    def _waited_until(self, asked_at: float, block: float) -> float:
        # The server's answer left it after the wait, so nothing lay there when the wait ended.
        return min(self.clock.monotonic(), asked_at + block)

    async def _look_at_head(self, read: Sequence[Entry] = ()) -> StreamHead:
        """Ask where the stream stands; ``read`` are the entries in hand that are not taken yet."""
        head = await self.stream.head()
        self._follow_clock(head.now_ms / 1000)
        if self._counted is not None:
            self._counted += len(read)
        known_to = max(self.cursor, self.registry.counted.upto)
        if head.last_id < known_to or _fewer(head.added, self._counted):
            # Flushed, or failed over to a server that knows less: begin a new epoch.
            _log.warning("stream_went_back", last_id=str(head.last_id), cursor=str(known_to))
            self.metrics.stream_resets.inc()
            self.cursor, self._counted, self._from_zero = EntryId.ZERO, None, True
            self.registry.counted.clear()
            # Every sender lost its connection with it, and some lose a message over that.
            self.registry.defer(self.clock.monotonic())
        elif head.last_id == (read[-1].id if read else self.cursor):
            self._account(head.added)
        self._head = head
        return head

    def _follow_clock(self, server_now: float) -> None:
        """Keep moments by the server's clock right when it is set: ages are told by them."""
        ahead = server_now - self.clock.monotonic()
        jump = 0.0 if self._ahead is None else ahead - self._ahead
        if self._ahead is None or abs(jump) > CLOCK_JUMP:
            self._ahead = ahead
            self.registry.redate(round(jump * 1000))

    def _account(self, added: int | None) -> None:
        """Compare, at the stream's end, how many entries it got with how many came out of it."""
        lost = 0 if added is None or self._counted is None else added - self._counted
        self._counted = added
        if lost > 0:
            # Trimmed below the cursor, because more came than a pause of ours leaves room for.
            # Whoever spoke in them was heard by nobody, and that is not their silence.
            _log.warning("entries_lost", count=lost, cursor=str(self.cursor))
            self.metrics.entries_lost.inc(lost)
            self.registry.defer(self.clock.monotonic())

    def _take(self, entries: list[Entry], head: StreamHead) -> None:
        accepted, age = 0, 0.0
        # What was not there at the last proof is younger than that, whatever its id says: the
        # server's clock may have jumped ahead since it came.
        proof_age = None if self._from_zero else self.proof_age()
        oldest = float("inf") if proof_age is None else proof_age
        if not self.caught_up:
            self._look_for_hole(entries)
        for entry in entries:
            self.cursor = max(self.cursor, entry.id)
            heard = entry
            if entry.id.ms > head.now_ms:
                # A server whose clock was ahead gives ids from the future until time catches up.
                heard = replace(entry, id=EntryId(head.now_ms, 0))
            try:
                told_age = (head.now_ms - heard.id.ms) / 1000
                if told_age - oldest > CLOCK_JUMP:
                    heard = replace(entry, id=EntryId(head.now_ms - round(oldest * 1000), 0))
                self.registry.hear(heard, min(oldest, told_age), position=entry.id)
            except WireError as error:
                self._reject(entry, error)
            except Exception as error:  # noqa: BLE001 - told and counted below
                # An entry that nobody foresaw is skipped: reading it again would fail again.
                self._reject(entry, WireError("Internal", "", repr(error)), error)
            else:
                accepted, age = accepted + 1, told_age
        if accepted:
            self.metrics.entries.labels(result="accepted").inc(accepted)
            self.metrics.stream_lag.set(age)

    def _look_for_hole(self, entries: list[Entry]) -> None:
        """Note where the stream went on after nobody at all had spoken in it for long."""
        hole = self.registry.policy.interval * 1000
        for entry in entries:
            if entry.id.ms - self._newest_ms > hole:
                self._resumed_ms, self._dark_ms = entry.id.ms, entry.id.ms - self._newest_ms
            self._newest_ms = max(self._newest_ms, entry.id.ms)

    def _reject(self, entry: Entry, error: WireError, cause: Exception | None = None) -> None:
        self.metrics.entries.labels(result=error.reason).inc()
        key = (entry.node_id[:NODE_ID_MAX], error.reason)
        if key not in self._told and len(self._told) >= REJECTIONS_TOLD:
            self._told.clear()
        repeat = self._told.setdefault(key, Suppressor(self.clock)).failed()
        if repeat:
            _log.warning(
                "entry_rejected",
                entry=str(entry.id),
                node=key[0],
                reason=error.reason,
                error=str(error),
                count=repeat.count,
                exc_info=cause,
            )

    def _prove(self, moment: float) -> None:
        first = self.proved_until is None
        gap = 0.0 if self.proved_until is None else self.clock.monotonic() - self.proved_until
        self.proved_until, self._from_zero = moment, False
        if first:
            self._begin()
        elif gap > PIPE_GAP:
            _log.warning("pipe_was_silent", seconds=round(gap, 1))
            self.metrics.pipe_gaps.inc()
            self.registry.defer(self.clock.monotonic())
        if self.trouble is not None:
            # However short it was, the words of those who send them only once may be lost.
            self.registry.defer(self.clock.monotonic(), unrepeated=True)

    def _begin(self) -> None:
        head = self._head
        quiet = 0.0 if head is None else (head.now_ms - head.last_id.ms) / 1000
        if head is None or head.length == 0 or quiet > self.registry.policy.stale_after:
            # Nobody at all has spoken lately: more likely an outage that ends than a dead fleet.
            self.registry.defer(self.clock.monotonic())
        else:
            # The stream was away or its clock jumped, and this operator was not there to see it:
            # who has not spoken since then gets the time that it would have given.
            since = max(0, head.now_ms - self._resumed_ms) / 1000
            # How old words from before a long darkness are, nobody knows: a clock may have jumped.
            whole = self._dark_ms / 1000 > self.registry.policy.timeout
            self.registry.defer(self.clock.monotonic() - since, whole=whole)
        self.registry.counted.clear()
        self.first_proof.set()
        _log.info("caught_up", cursor=str(self.cursor), nodes=len(self.registry.nodes))


def _fewer(added: int | None, counted: int | None) -> bool:
    return added is not None and counted is not None and added < counted
