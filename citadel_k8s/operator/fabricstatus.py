"""Writes the one object that tells how heartbeats arrive, and how many nodes are how.

A broken way is told here and on no node's own object: one write instead of ten thousand, and
nobody is called Offline who is not.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import pydantic

from citadel_k8s.aio.backoff import Backoff
from citadel_k8s.aio.clock import Clock
from citadel_k8s.constants import LIST_MAX
from citadel_k8s.domain.pipe import STARTING, PipeCondition
from citadel_k8s.errors import KubeError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.fabricnode import GROUP, VERSION, Condition, NodeState
from citadel_k8s.models.fabricstatus import (
    FABRIC_STATUS,
    FABRIC_STATUS_KIND,
    PIPELINE,
    FabricStatusStatus,
    FabricSummary,
    NodeCounts,
)
from citadel_k8s.operator.registry import Registry
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.fabricstatus")

LOOK: Final = 1.0
"""Seconds between two looks at what would be written."""

STEADY: Final = 2.0
"""Seconds for which a condition has to hold before it is told: what heals by itself within a
second is nothing to wake anybody for."""

CHANGE_EVERY: Final = 5.0
"""Least seconds between two writes of a condition that goes to and fro."""

TEXT_EVERY: Final = 30.0
"""Least seconds between two writes for the sake of numbers."""

REFRESH_EVERY: Final = 300.0
"""Seconds after which nothing new is written, too: readers see that somebody still looks."""

PAUSE_MAX: Final = 60.0
"""Longest pause in seconds after a write that failed."""

NOT_FOUND: Final = 404
CONFLICT: Final = 409

Object = dict[str, Any]


class FabricStatusApi(Protocol):
    """What is asked of the API server; `clients.kube.KubeClient` has it."""

    async def get_fabric_status(self, name: str) -> Object | None:
        """Give the object, or None."""
        ...

    async def create_fabric_status(self, body: Object) -> Object:
        """Create the object."""
        ...

    async def patch_fabric_status_status(self, name: str, patch: Object) -> Object:
        """Merge into its status."""
        ...


class Teller(Protocol):
    """Who makes an Event of it; `operator.events.Recorder.tell` does."""

    def __call__(
        self, reason: str, message: str, *, kind: Literal["Normal", "Warning"] = "Normal"
    ) -> None:
        """Take what happened to the fleet."""
        ...


def tell_nobody(
    reason: str,
    message: str,
    *,
    kind: Literal["Normal", "Warning"] = "Normal",
) -> None:
    """Take an Event and make nothing of it."""
    del reason, message, kind


@dataclass(slots=True)
class FabricStatusWriter:
    """Keeps FabricStatus ``fabric`` up to date.

    Parameters
    ----------
    api : FabricStatusApi
        The API server.
    registry : Registry
        The nodes.
    condition : callable
        Gives how heartbeats arrive; `Pipe.condition`.
    clock : Clock
        The operator's clock.
    leads : callable
        Whether this operator is the one that writes.
    identity : str
        This operator's name, as the leader's.
    tell : callable
        Makes an Event of each change.

    Attributes
    ----------
    trouble
        Why the last write failed; None if it did not.
    """

    api: FabricStatusApi
    registry: Registry
    condition: Callable[[], PipeCondition]
    clock: Clock
    leads: Callable[[], bool]
    identity: str
    tell: Teller = tell_nobody
    trouble: str | None = None
    _known: FabricStatusStatus | None = None
    _seen: PipeCondition | None = None
    _since: float = 0.0
    _wrote_at: float = field(default=float("-inf"))
    _backoff: Backoff = field(default_factory=lambda: Backoff(1.0, PAUSE_MAX))

    async def run(self) -> None:
        """Write for ever, whenever there is something to write."""
        trouble = RepeatLog(_log, "fabric_status_not_written", clock=self.clock)
        while True:
            try:
                await self.step()
            except KubeError as error:
                self.trouble = str(error)
                self._known = None  # whatever became of it, it is looked at again first
                trouble.failed(error=self.trouble)
                await asyncio.sleep(self._backoff.pause(error.retry_after))
            else:
                self.trouble = None
                self._backoff.reset()
                trouble.recovered()
                await asyncio.sleep(LOOK)

    async def step(self) -> None:
        """Write if it is time.

        Raises
        ------
        KubeError
            If the server refused or did not answer.
        """
        now = self.clock.monotonic()
        condition = self.condition()
        if self._seen is None or _mark(condition) != _mark(self._seen):
            self._since = now
        self._seen = condition
        if condition.reason == STARTING:
            return  # what stands there is older and better
        if not self.leads():
            self._known = None  # by the time this one leads again, another has written
            return
        if self._known is None:
            self._known = await self._fetch()
        wanted = self._wanted(condition, self._known)
        if self.leads() and self._is_due(wanted, self._known, now):
            await self._write(wanted, self._known, now)

    def _is_due(self, wanted: FabricStatusStatus, known: FabricStatusStatus, now: float) -> bool:
        waited = now - self._wrote_at
        if _told(wanted) != _told(known):
            return now - self._since >= STEADY and waited >= CHANGE_EVERY
        return waited >= (REFRESH_EVERY if _same(wanted, known) else TEXT_EVERY)

    async def _fetch(self) -> FabricStatusStatus:
        found = await self.api.get_fabric_status(FABRIC_STATUS)
        if found is None:
            found = await self._create()
        try:
            return FabricStatusStatus.model_validate(found.get("status") or {})
        except pydantic.ValidationError:
            return FabricStatusStatus()  # somebody edited it; it will be written anew

    async def _create(self) -> Object:
        body: Object = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": FABRIC_STATUS_KIND,
            "metadata": {"name": FABRIC_STATUS},
        }
        try:
            return await self.api.create_fabric_status(body)
        except KubeError as error:
            if error.status != CONFLICT:
                raise
            return await self.api.get_fabric_status(FABRIC_STATUS) or {}

    async def _write(
        self, wanted: FabricStatusStatus, known: FabricStatusStatus, now: float
    ) -> None:
        date = format_timestamp(self.clock.now())
        document = wanted.model_copy(update={"confirmed_time": date})
        status = document.model_dump(mode="json", by_alias=True, exclude_none=True)
        try:
            await self.api.patch_fabric_status_status(FABRIC_STATUS, {"status": status})
        except KubeError as error:
            if error.status != NOT_FOUND:
                raise
            self._known = None  # deleted; the next look makes it anew
            return
        self._known, self._wrote_at = document, now
        before, after = _told(known), _told(wanted)
        if before != after and after is not None and (before or after[0] != "True"):
            self._announce(wanted)

    def _announce(self, wanted: FabricStatusStatus) -> None:
        now = next(c for c in wanted.conditions if c.type == PIPELINE)
        _log.info("pipeline", status=now.status, reason=now.reason, message=now.message)
        well = now.status == "True" and now.reason == "Healthy"
        reason = "PipelineHealthy" if well else now.reason
        self.tell(reason, now.message, kind="Normal" if well else "Warning")

    def _wanted(self, condition: PipeCondition, known: FabricStatusStatus) -> FabricStatusStatus:
        tally, ids = self.registry.tally, sorted(self.registry.quarantined)
        counts = NodeCounts(
            total=len(self.registry.nodes),
            online=tally[NodeState.ONLINE],
            degraded=tally[NodeState.DEGRADED],
            offline=tally[NodeState.OFFLINE],
            draining=tally[NodeState.DRAINING],
            unknown=tally[NodeState.UNKNOWN],
            decommissioned=tally[NodeState.DECOMMISSIONED],
            silent=len(self.registry.late),
        )
        return FabricStatusStatus(
            conditions=[
                *(other for other in known.conditions if other.type != PIPELINE),
                self._as_condition(condition, known),
            ],
            nodes=counts,
            summary=FabricSummary(nodes=f"{counts.online + counts.degraded}/{counts.total}"),
            quarantined=ids[:LIST_MAX],
            quarantined_count=len(ids),
            leader=self.identity,
        )

    def _as_condition(self, told: PipeCondition, known: FabricStatusStatus) -> Condition:
        before = next((c for c in known.conditions if c.type == PIPELINE), None)
        same = before is not None and before.status == told.status
        moment = before.last_transition_time if before and same else None
        return Condition(
            type=PIPELINE,
            status=told.status,
            reason=told.reason,
            message=told.message,
            last_transition_time=moment or format_timestamp(self.clock.now()),
        )


def _mark(condition: PipeCondition) -> tuple[str, str]:
    return condition.status, condition.reason


def _told(status: FabricStatusStatus) -> tuple[str, str] | None:
    found = next((c for c in status.conditions if c.type == PIPELINE), None)
    return None if found is None else (found.status, found.reason)


def _same(wanted: FabricStatusStatus, known: FabricStatusStatus) -> bool:
    return wanted == known.model_copy(update={"confirmed_time": None})
