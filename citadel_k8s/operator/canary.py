"""Writes to Redis and reads it back: that entries can arrive, proved without any node.

A stream that can be read proves nothing while nobody can write to it: when Redis is full, or a
replica, or its disk fails, all nodes fall silent and all of them are well.
"""

import asyncio
import itertools
import uuid
from dataclasses import dataclass, field
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.errors import StreamError
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.stores.entries import EntryId, StatusStream
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.canary")

CANARY_STREAM: Final = "citadel:operator:canary"
"""Key of the stream. All operators share it and each looks for its own entry: the operator's Redis
user may neither expire nor delete a key, and one for each pod that ever was would stay for ever."""

CANARY_LENGTH: Final = 16
"""Entries kept of it; the server keeps whole blocks, some hundred."""

CANARY_EVERY: Final = 5.0
"""Seconds between two canaries, as decided."""

RETRY_DELAY: Final = 1.0
"""Seconds before the next one when one did not come back."""

_ID_PART_MAX: Final = 2**64 - 1

_FORBIDDEN: Final = "permission"
"""Word in each of Redis' refusals by access rules, whatever its version."""

_HINTS: Final = {
    _FORBIDDEN: f"the Redis user may not write {CANARY_STREAM}: grant ~citadel:* +@stream",
    "maxmemory": "Redis is full: raise maxmemory or trim its streams",
    "read only replica": "Redis is a read-only replica: name the primary in redisUrl",
    "misconf": "Redis cannot save to its disk and takes no writes",
}
"""What to do, by a word of the error."""


@dataclass(slots=True)
class Canary:
    """Sends a canary every five seconds.

    Parameters
    ----------
    stream : StatusStream
        A stream of the operators' own, short (`CANARY_STREAM`, `CANARY_LENGTH`); closed by
        whoever opened it.
    identity : str
        This process.
    clock : Clock
        The operator's clock.
    metrics : OperatorMetrics
        What is counted.

    Attributes
    ----------
    proved_until
        Moment (monotonic seconds) at which the last canary was sent that came back; None before
        any did.
    trouble
        Why the last one did not; None if it did, or if none was sent yet.
    forbidden
        Whether access rules alone keep it from being sent: that proves nothing either way.
    """

    stream: StatusStream
    identity: str
    clock: Clock
    metrics: OperatorMetrics
    proved_until: float | None = None
    trouble: str | None = None
    forbidden: bool = False
    _mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.metrics.canary_age.set_function(self._age_or_nan)

    def age(self) -> float | None:
        """Seconds since the last canary that came back was sent; None before the first."""
        proved = self.proved_until
        return None if proved is None else self.clock.monotonic() - proved

    async def run(self) -> None:
        """Send for ever."""
        trouble = RepeatLog(_log, "canary_lost", clock=self.clock)
        while True:
            began = self.clock.monotonic()
            try:
                await self.step()
            except StreamError as error:
                self.forbidden = _FORBIDDEN in str(error).lower()
                self.trouble = _explained(error)
                trouble.failed(error=self.trouble)
                await asyncio.sleep(RETRY_DELAY if not self.forbidden else CANARY_EVERY)
            else:
                self.trouble, self.forbidden = None, False
                trouble.recovered()
                took = self.clock.monotonic() - began
                await asyncio.sleep(max(RETRY_DELAY, CANARY_EVERY - took))

    async def step(self) -> None:
        """Send one and look for it.

        Raises
        ------
        StreamError
            If it could not be sent or did not come back.
        """
        sent_at = self.clock.monotonic()
        mark = f"{self._mark}-{next(self._numbers)}".encode()
        entry_id = await self.stream.append(self.identity, mark)
        found = await self.stream.read(_before(entry_id), count=1, block=0)
        if not any(entry.id == entry_id and entry.payload == mark for entry in found):
            raise StreamError(f"{CANARY_STREAM}: what was written is not there")
        self.proved_until = sent_at

    def _age_or_nan(self) -> float:
        age = self.age()
        return float("nan") if age is None else age


def _before(entry_id: EntryId) -> EntryId:
    if entry_id.seq > 0:
        return EntryId(entry_id.ms, entry_id.seq - 1)
    return EntryId(max(0, entry_id.ms - 1), _ID_PART_MAX)


def _explained(error: StreamError) -> str:
    text = str(error)
    hint = next((hint for word, hint in _HINTS.items() if word in text.lower()), None)
    return text if hint is None else f"{hint} ({text})"
