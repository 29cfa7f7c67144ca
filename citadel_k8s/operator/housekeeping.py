"""Takes away what would otherwise only grow: old entries, groups and objects of nodes long gone."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.removal import Absence, removal
from citadel_k8s.errors import CitadelError, KubeError, WireError
from citadel_k8s.models.codec import parse_timestamp
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.registry import Registry
from citadel_k8s.stores.entries import StreamHead
from citadel_k8s.stores.housekeeping import ConfigGroups
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.housekeeping")

INTERVAL: Final = 60.0
"""Seconds between two rounds."""

ENTRY_MINUTES: Final = 15.0
"""Age at which entries are dropped, in minutes of the stream server's clock, as ruled."""

GROUP_INTERVAL: Final = 3600.0
"""Seconds between two looks at the groups: the answer about 10,000 is 2 MB."""

GROUP_HOURS: Final = 72.0
"""Hours after which the group of a node that nobody knows is taken away. An agent that lives asks
in its group's name every 25 s."""

GROUPS_AT_ONCE: Final = 200
"""Groups asked about in one request."""

REMOVED_AT_ONCE: Final = 100
"""Objects deleted in one round at most: a fleet that was given up by mistake goes slowly."""

NOT_THERE: Final = frozenset({404, 409})
"""HTTP statuses of a deletion that found the object gone, or another of its name."""


class Stream(Protocol):
    """What is asked of the stream; `stores.streams.RedisStatusStream` has it."""

    async def head(self) -> StreamHead:
        """Give the server's clock, among others."""
        ...

    async def trim(self, older_than_ms: int) -> int:
        """Drop older entries."""
        ...


class DeleteApi(Protocol):
    """What is asked of the API server; a `KubeClient` behind a fence has it."""

    async def delete_fabric_node(self, name: str, *, uid: str | None = None) -> bool:
        """Delete an object; False if it was not there."""
        ...


def _tell_nobody(record: NodeRecord, reason: str) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Housekeeping:
    """The rounds.

    Parameters
    ----------
    stream, groups, api
        What is cleared up.
    registry : Registry
        Who is known.
    clock : Clock
        The operator's clock.
    metrics : OperatorMetrics
        What is counted.
    leads : callable
        Whether this operator may write now.
    proved_until : callable
        Moment up to which the stream is proved to have been read, in monotonic seconds; None
        before the first.
    decommission_hours : float
        Hours after which a node that is Offline and no Node of the cluster is given up.
    on_removed : callable
        Told of each object that was deleted, and why.
    """

    stream: Stream
    groups: ConfigGroups
    api: DeleteApi
    registry: Registry
    clock: Clock
    metrics: OperatorMetrics
    leads: Callable[[], bool]
    proved_until: Callable[[], float | None]
    decommission_hours: float
    on_removed: Callable[[NodeRecord, str], None] = _tell_nobody
    group_hours: float = GROUP_HOURS
    interval: float = INTERVAL
    _groups_due: float = 0.0
    _unused: dict[str, float] = field(default_factory=dict[str, float])
    _repeats: dict[str, RepeatLog] = field(default_factory=dict[str, RepeatLog])
    _refused: set[str] = field(default_factory=set[str])

    async def run(self) -> None:
        """Clear up for ever, while this operator leads."""
        while True:
            await asyncio.sleep(self.interval)
            await self.once()

    async def once(self) -> None:
        """Make one round; what cannot be done now is left for the next."""
        for what, clear in (
            ("trimming", self.trim),
            ("removing", self.remove_objects),
            ("groups", self.destroy_groups),
        ):
            if not self.leads():
                return
            trouble = self._repeats.setdefault(
                what, RepeatLog(_log, "housekeeping_failing", clock=self.clock)
            )
            try:
                await clear()
            except CitadelError as error:
                trouble.failed(what=what, error=str(error))
            else:
                trouble.recovered(what=what)

    async def trim(self) -> None:
        """Drop the entries that are too old to mean anything.

        Raises
        ------
        StreamError
            If Redis did not do it.
        """
        now_ms = (await self.stream.head()).now_ms
        gone = await self.stream.trim(max(0, now_ms - round(ENTRY_MINUTES * 60_000)))
        self.metrics.trimmed.inc(gone)

    async def destroy_groups(self) -> None:
        """Take away the groups in whose name nobody has asked for days, and whom nobody knows.

        Raises
        ------
        StreamError
            If Redis did not do it.
        """
        now = self.clock.monotonic()
        if now < self._groups_due:
            return
        strangers = [id_ for id_ in await self.groups.nodes() if id_ not in self.registry.nodes]
        self._unused = {id_: at for id_, at in self._unused.items() if id_ in set(strangers)}
        for start in range(0, len(strangers), GROUPS_AT_ONCE):
            for group in await self.groups.idle(strangers[start : start + GROUPS_AT_ONCE]):
                if self._long_idle(group.node_id, group.idle, now):
                    await self._destroy(group.node_id)
        self._groups_due = now + GROUP_INTERVAL

    def _long_idle(self, node_id: str, idle: float | None, now: float) -> bool:
        if idle is None:  # nobody ever asked, so the server cannot say: seen since when?
            idle = now - self._unused.setdefault(node_id, now)
        else:
            self._unused.pop(node_id, None)
        return idle > self.group_hours * 3600

    async def _destroy(self, node_id: str) -> None:
        if not self.leads() or node_id in self.registry.nodes:
            return
        if await self.groups.destroy(node_id):
            self.metrics.groups_destroyed.inc()
            _log.info("group_destroyed", node=node_id)

    async def remove_objects(self) -> None:
        """Delete the objects of nodes that were decommissioned or given up.

        Raises
        ------
        StreamError
            If Redis did not say what time it is.
        KubeError
            If the API server did not take a deletion.
        """
        proved = self.proved_until()
        if proved is None:
            return
        now_ms = (await self.stream.head()).now_ms
        given_up = [r for r in self.registry.objects() if self._reason(r, proved, now_ms)]
        # A round ends with a refusal; one object that a webhook guards must not end each of them.
        self._refused &= {record.name for record in given_up}
        given_up.sort(key=lambda record: record.name in self._refused)
        for record in given_up[:REMOVED_AT_ONCE]:
            # Asked again: the one before took its time, and the node may have spoken.
            reason = self._reason(record, proved, now_ms)
            if reason and self.leads():
                await self._remove(record, reason)

    async def _remove(self, record: NodeRecord, reason: str) -> None:
        observed = record.observed
        if observed is None:
            return
        try:
            await self.api.delete_fabric_node(observed.name, uid=observed.uid)
        except KubeError as error:
            if error.status not in NOT_THERE:
                self._refused.add(observed.name)
                raise
            return  # the watch tells what is there instead
        self.registry.forget_object(observed.name, observed.uid)
        self.metrics.objects_removed.labels(reason=reason).inc()
        _log.info("object_removed", node=record.node_id, reason=reason)
        self.on_removed(record, reason)

    def _reason(self, record: NodeRecord, proved_until: float, now_ms: int) -> str | None:
        live, observed = record.live, record.observed
        if observed is None:
            return None
        since = live.since if live.last_beat is None else max(live.since, live.last_beat)
        if live.state is NodeState.DECOMMISSIONED and live.last_beat is not None:
            since = live.last_beat  # it may have been decommissioned long after it fell silent
        in_cluster = record.node_id in self.registry.kube_nodes or observed.owner_uid is not None
        absence = Absence(
            proved=proved_until - since, dated=_dated(record, now_ms), in_cluster=in_cluster
        )
        return removal(live, absence, self.decommission_hours * 3600)


def _dated(record: NodeRecord, now_ms: int) -> float | None:
    """Give the seconds since the last word by any date there is; the latest counts."""
    moments = [] if (heard := record.heard_ms) is None else [heard / 1000]
    if record.observed is not None:
        status = record.observed.status()
        ready = (c.last_transition_time for c in status.conditions if c.type == "Ready")
        for text in (status.last_heartbeat_time, *ready):
            try:
                moments.append(parse_timestamp(text or ""))
            except WireError:
                continue
    return None if not moments else now_ms / 1000 - max(moments)
