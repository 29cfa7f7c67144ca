"""Follows the queue of configuration messages: in order, whole or not at all, never stuck."""

import asyncio
import random
from collections.abc import Callable
from typing import Final

from citadel_k8s.agent.configledger import Ledger
from citadel_k8s.agent.configsources import ConfigQueue
from citadel_k8s.aio.backoff import Backoff
from citadel_k8s.aio.clock import Clock
from citadel_k8s.config.agent import check_engine
from citadel_k8s.domain.configmessage import (
    REASON_MAX,
    ConfigEntry,
    Identity,
    Opened,
    Skip,
    open_entry,
    read_entry,
)
from citadel_k8s.domain.deadletter import dead_letter
from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import PublishError, StreamError, WireError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.stores.entries import EntryId
from citadel_k8s.telemetry.log import RepeatLog, get_logger

ATTEMPTS_MAX: Final = 3
"""Deliveries after which an entry is given up: one failure is chance, three are the entry."""

PAUSE_FIRST: Final = 1.0
"""Seconds before a lost queue is tried again. Source: the wire contract."""

PAUSE_MAX: Final = 15.0
"""Longest base of a pause, in seconds: with chance's part it stays under the contract's 30."""

IDLE_SECONDS: Final = 0.5
"""Seconds that a read without entries takes at least: a queue that does not wait is not asked in
a circle."""

log = get_logger("configuration")


class QueueFollower:
    """Takes what is for this node off the queue and passes over the rest.

    Parameters
    ----------
    queue : ConfigQueue
        Where the entries are.
    identity : Identity
        Who this node is.
    ledger : Ledger
        Where the changes go.
    clock : Clock
        What dates the dead letters.
    jitter : callable
        Gives a factor in [0, 1) by which pauses are lengthened.
    """

    def __init__(
        self,
        queue: ConfigQueue,
        identity: Identity,
        ledger: Ledger,
        *,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._queue = queue
        self._identity = identity
        self._ledger = ledger
        self._clock = clock
        self._backoff = Backoff(PAUSE_FIRST, PAUSE_MAX, jitter=jitter)
        self._trouble = RepeatLog(log, "config_queue_lost", clock=clock)
        self._strays = RepeatLog(log, "config_for_nobody", clock=clock)
        self._is_open = False
        # What an earlier life was done with may not have reached its file.
        self._replay = True

    async def run(self) -> None:
        """Follow, for ever."""
        while True:
            asked: float | None = None
            try:
                await self._turn()
            except (StreamError, PublishError) as error:
                self._is_open = False
                asked = error.retry_after if isinstance(error, PublishError) else None
                self._trouble.failed(queue=self._queue.name, error=clip(str(error), REASON_MAX))
            except Exception:
                # The entry stays unacknowledged and is tried again, a bounded number of times.
                log.exception("config_entry_failed")
            else:
                self._trouble.recovered()
                self._backoff.reset()
                continue
            await asyncio.sleep(self._backoff.pause(asked))

    async def _turn(self) -> None:
        if not self._is_open:
            await self._open()
        loop = asyncio.get_running_loop()
        began = loop.time()
        entries = await self._queue.consume()
        if not entries:
            await asyncio.sleep(max(0.0, IDLE_SECONDS - (loop.time() - began)))
        done: list[str] = []
        for entry in entries:
            ours = await self._handle(entry)
            done.append(entry.id)
            if ours:
                # With all before it: what is left unacknowledged is always the end of the queue.
                await self._queue.acknowledge(*done)
                done.clear()
        if done:
            await self._queue.acknowledge(*done)

    async def _open(self) -> None:
        known = self._ledger.last_id
        last = await self._queue.open(replay=self._replay, after=known or EntryId.ZERO)
        if last is not None and known is not None and last < known:
            # The stream began anew, or another server has taken over with less.
            log.warning("config_stream_restarted", last_id=str(last), known_id=str(known))
            self._ledger.begin_anew()
        self._is_open, self._replay = True, False

    async def _handle(self, entry: ConfigEntry) -> bool:
        """Apply, bury or pass over an entry; say whether it was for this node."""
        try:
            opened = self._opened(entry)
            if isinstance(opened, Skip):
                self._ledger.counts[opened.value] += 1
                if opened is not Skip.OTHER_NODE:
                    self._strays.failed(entry=entry.id, why=opened.value)
            elif opened is not None:
                await self._take(entry, opened)
                return True
        except (StreamError, PublishError):
            raise
        except Exception:
            # An entry that cannot even be buried must not stop those behind it for ever.
            if entry.attempts <= ATTEMPTS_MAX:
                raise
            self._ledger.counts["lost"] += 1
            log.exception("config_entry_given_up", entry=entry.id)
        return False

    def _opened(self, entry: ConfigEntry) -> Opened | WireError | Skip | None:
        """Open an entry; None where there is nothing left to do with it."""
        if not entry.fields:
            self._ledger.counts["lost"] += 1
            log.warning("config_entry_trimmed", entry=entry.id)
            return None
        if self._ledger.has_applied(entry.id):
            self._ledger.counts["known"] += 1
            return None
        try:
            return open_entry(entry, self._identity)
        except WireError as error:
            return error

    async def _take(self, entry: ConfigEntry, opened: Opened | WireError) -> None:
        if entry.attempts > ATTEMPTS_MAX:
            await self._bury(entry, f"TriedTooOften: {ATTEMPTS_MAX} attempts failed")
            return
        try:
            if isinstance(opened, WireError):
                raise opened
            await self._ledger.apply_entry(read_entry(opened, check_engine), entry.id)
        except WireError as error:
            await self._bury(entry, str(error))

    async def _bury(self, entry: ConfigEntry, reason: str) -> None:
        self._ledger.reject(reason)
        log.warning(
            "config_rejected", entry=entry.id, reason=clip(reason, REASON_MAX), again=entry.replayed
        )
        if entry.replayed:
            # It was refused, and buried, in an earlier life.
            return
        letter = dead_letter(
            entry,
            queue=self._queue.name,
            reason=reason,
            moved_at=format_timestamp(self._clock.now()),
            worker_id=self._identity.node_id,
        )
        try:
            await self._queue.bury(letter)
        except (StreamError, PublishError) as error:
            if entry.attempts < ATTEMPTS_MAX:
                raise
            # What cannot be buried must not keep from the node what comes after it.
            self._ledger.counts["letters-lost"] += 1
            log.error(  # noqa: TRY400 - the error says all; where it was raised does not matter
                "config_letter_lost", entry=entry.id, error=clip(str(error), REASON_MAX)
            )
