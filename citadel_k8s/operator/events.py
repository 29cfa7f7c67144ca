"""Writes Events: off the path of verdicts, within a budget, and only while this operator leads."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final, Protocol

from citadel_k8s.aio.backoff import Backoff
from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.events import FLEET, Correlator, Kind, Occurrence, Pending, occurrence_of
from citadel_k8s.domain.liveness import Liveness
from citadel_k8s.domain.tokens import TokenBucket
from citadel_k8s.errors import KubeError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.operator.newsmetrics import NewsMetrics
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.events")

TICK: Final = 0.5
"""Seconds between two looks at what is due."""

RATE: Final = 5.0
"""Events written per second, a tenth of what the objects may take."""

BURST: Final = 20.0
"""Events written at once after a quiet time."""

PAUSE_FIRST: Final = 1.0
"""Seconds before a server in trouble is tried again."""

PAUSE_MAX: Final = 8.0
"""Longest such pause before chance lengthens it, in seconds: as for objects, a server that is back
is noticed within it."""

RETRY_AFTER_MAX: Final = 60.0
"""Longest pause that a server may ask for, in seconds."""

NOT_FOUND: Final = 404
NOT_LEADING: Final = -2
TRANSIENT: Final = frozenset({0, 401, 403, 409, 429, 500, 502, 503, 504})
"""HTTP statuses (0: no answer) after which the same is worth another try. A server that has just
begun refuses everybody until it knows the rights."""


class EventApi(Protocol):
    """What the recorder asks of the API server; `clients.kube.KubeClient` has it."""

    async def create_event(
        self,
        involved: dict[str, Any],
        *,
        reason: str,
        message: str,
        first_time: str,
        last_time: str | None = None,
        count: int = 1,
        kind: Kind = "Normal",
    ) -> dict[str, Any]:
        """Create an Event."""
        ...

    async def patch_event(self, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        """Merge into an Event."""
        ...

    async def get_fabric_status(self, name: str) -> dict[str, Any] | None:
        """Give the object that Events about the fleet belong to."""
        ...


class Recorder:
    """Takes what happened at once and writes it when it may.

    Parameters
    ----------
    api : EventApi
        The API server.
    clock : Clock
        The operator's clock.
    metrics : NewsMetrics
        What is counted.
    leads : callable
        Whether this operator is the one that writes; what is not written when it no longer is,
        is forgotten.
    jitter : callable
        Gives a random number in [0, 1).
    """

    def __init__(
        self,
        api: EventApi,
        clock: Clock,
        metrics: NewsMetrics,
        leads: Callable[[], bool],
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._clock = clock
        self._metrics = metrics
        self._leads = leads
        self._correlator = Correlator()
        self._bucket = TokenBucket(RATE, BURST)
        self._backoff = Backoff(PAUSE_FIRST, PAUSE_MAX, jitter=jitter)
        self._not_before = 0.0
        self._fleet_uid: str | None = None
        self._trouble = RepeatLog(_log, "events_failing", clock=clock)

    def told(self, record: NodeRecord, before: Liveness) -> None:
        """Take a change of a node's state or reason."""
        uid = record.observed.uid if record.observed else None
        occurrence = occurrence_of(record.name, uid, record.live, before)
        if occurrence is not None:
            self._note(occurrence)

    def tell(
        self, reason: str, message: str, *, kind: Kind = "Normal", record: NodeRecord | None = None
    ) -> None:
        """Take anything else that happened to a node, or to the fleet if none is given."""
        uid = record.observed.uid if record and record.observed else None
        self._note(Occurrence(record.name if record else "", reason, message, kind, uid))

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await asyncio.sleep(TICK)
            await self.flush()

    async def flush(self) -> None:
        """Write what is due, as far as the budget goes."""
        if not self._leads():
            self._correlator.clear()
            return
        now = self._clock.monotonic()
        if now < self._not_before:
            return
        for pending in self._correlator.due(now):
            if not self._leads() or not self._bucket.take(self._clock.monotonic()):
                return
            if not await self._write(pending):
                return

    def _note(self, occurrence: Occurrence) -> None:
        dropped = self._correlator.dropped
        self._correlator.note(occurrence, self._clock.monotonic(), self._clock.now())
        if self._correlator.dropped > dropped:
            self._metrics.events.labels(result="dropped").inc(self._correlator.dropped - dropped)

    async def _write(self, pending: Pending) -> bool:
        """Write one; whether the server is well enough for the next."""
        count = pending.count  # it may grow while the server thinks
        try:
            result, name = await self._send(pending, count)
        except KubeError as error:
            return self._refused(pending, error)
        except Exception as error:  # noqa: BLE001 - told below
            # One Event that cannot be dealt with must not end the telling of all others.
            return self._refused(pending, KubeError(-1, repr(error)))
        self._correlator.wrote(pending, name, count, self._clock.monotonic())
        self._metrics.events.labels(result=result).inc()
        self._backoff.reset()
        self._trouble.recovered()
        return True

    async def _send(self, pending: Pending, count: int) -> tuple[str, str]:
        last = format_timestamp(pending.last_date)
        if pending.event is not None:
            patch = {"count": count, "lastTimestamp": last, "message": pending.message}
            try:
                await self._api.patch_event(pending.event, patch)
            except KubeError as error:
                if error.status != NOT_FOUND:
                    raise  # else it was kept as long as Events are: another one is made
            else:
                return "counted", pending.event
        if not pending.key.name and pending.uid is None:
            pending.uid = await self._uid_of_fleet()
        event = await self._api.create_event(
            pending.involved,
            reason=pending.key.reason,
            message=pending.message,
            first_time=format_timestamp(pending.first_date),
            last_time=last,
            count=count,
            kind=pending.key.kind,
        )
        return "created", str(event["metadata"]["name"])

    async def _uid_of_fleet(self) -> str | None:
        """Give the uid by which ``kubectl describe`` finds Events; None without an object."""
        if self._fleet_uid is None:
            found = await self._api.get_fabric_status(FLEET)
            self._fleet_uid = found["metadata"]["uid"] if found else None
        return self._fleet_uid

    def _refused(self, pending: Pending, error: KubeError) -> bool:
        if error.status == NOT_LEADING:
            return False
        self._trouble.failed(reason=pending.key.reason, error=str(error))
        if error.status in TRANSIENT or error.retry_after is not None:
            self._metrics.events.labels(result="failed").inc()
            asked = None if error.retry_after is None else min(error.retry_after, RETRY_AFTER_MAX)
            self._not_before = self._clock.monotonic() + self._backoff.pause(asked)
            return False
        self._metrics.events.labels(result="refused").inc()
        self._correlator.gave_up(pending)
        return True
