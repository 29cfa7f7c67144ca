"""Compares what is known with what a LIST says, because a watch forgets.

After a watch was down for long, the API server does not tell which objects were deleted in the
meantime, and no library makes up for it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.liveness import ALIVE
from citadel_k8s.domain.reconcile import FLEET_DIVISOR
from citadel_k8s.errors import KubeError
from citadel_k8s.operator.records import owner_uid
from citadel_k8s.operator.registry import Registry
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.sweep")

SWEEP_INTERVAL: Final = 120.0
"""Seconds between two sweeps of a fleet of up to 1,200 nodes; a larger one is swept at the pace of
ten nodes a second, because a LIST of 10,000 objects is 40 MB."""

SOONEST: Final = 5.0
"""Seconds between two sweeps that somebody asked for: a watch that begins anew again and again must
not make a LIST each time."""

RETRY_DELAY: Final = 5.0
"""Seconds before a sweep that failed is tried again."""

RETRY_AFTER_MAX: Final = 60.0
"""Longest wait that a server may ask for, in seconds; as for writes."""

NOT_LEADING: Final = -2
"""Status of a deletion that was not sent because this operator stopped leading."""

REFUSED_MAX: Final = 16
"""Deletions of one sweep that may be refused before the rest is left for the next: a webhook that
guards a few objects must not keep the others, and nobody has to be told thousands of times."""

_ORPHANS_KEYS: Final = ("name", "uid", "ownerReferences")
"""What is kept of the metadata of an object whose Node is gone."""

Raw = dict[str, Any]


class ListApi(Protocol):
    """What a sweep asks of the API server; `clients.kube.KubeClient` has it."""

    def fabric_node_chunks(self) -> AsyncIterator[list[Raw]]:
        """Give all FabricNodes, a chunk at a time; one may come twice."""
        ...

    def node_chunks(self, *, label_selector: str | None = None) -> AsyncIterator[list[Raw]]:
        """Give all Nodes in the same way."""
        ...

    async def delete_fabric_node(self, name: str, *, uid: str | None = None) -> bool:
        """Delete an object; False if it was not there."""
        ...


@dataclass(slots=True)
class Sweep:
    """The comparison, now and then.

    Parameters
    ----------
    api : ListApi
        The API server.
    registry : Registry
        What is known.
    clock : Clock
        The operator's clock.
    node_label_selector : str or None
        Nodes of the cluster that matter; all if None.
    interval : float
        Seconds between two sweeps of a small fleet.

    Attributes
    ----------
    trouble
        Why the last LIST was not given; None if it was.
    """

    api: ListApi
    registry: Registry
    clock: Clock
    node_label_selector: str | None = None
    interval: float = SWEEP_INTERVAL
    trouble: str | None = None
    leads: Callable[[], bool] = lambda: True
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _unreadable: RepeatLog = field(init=False)
    _undeleted: RepeatLog = field(init=False)

    def __post_init__(self) -> None:
        self._unreadable = RepeatLog(_log, "object_unreadable", clock=self.clock)
        self._undeleted = RepeatLog(_log, "orphan_not_deleted", clock=self.clock)

    def soon(self) -> None:
        """Ask for a sweep now: a watch had to begin anew, and what it missed it does not tell."""
        self._wanted.set()

    async def run(self) -> None:
        """Sweep for ever."""
        trouble = RepeatLog(_log, "sweep_failed", clock=self.clock)
        while True:
            pause = max(self.interval, len(self.registry.nodes) / FLEET_DIVISOR)
            await asyncio.sleep(min(SOONEST, pause))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, pause - SOONEST)):
                    await self._wanted.wait()
            self._wanted.clear()
            while True:
                try:
                    await self.once()
                except KubeError as error:
                    self.trouble = str(error)
                    trouble.failed(error=self.trouble)
                    await asyncio.sleep(retry_delay(error))
                else:
                    self.trouble = None
                    trouble.recovered()
                    break

    async def once(self) -> None:
        """Compare once.

        Raises
        ------
        KubeError
            If the API server did not give both lists. What it gave is taken; who is missing in it
            is not forgotten. An orphan that it does not delete is told, and left for the next time.
        """
        before = {
            record.name: record.observed.uid
            for record in self.registry.objects()
            if record.observed is not None
        }
        node_uids = await self._take_kube_nodes()
        found, orphans = await self._take_objects({None, *node_uids})
        for name, uid in before.items():
            if found.get(name) != uid:
                _log.info("object_gone_unseen", object=name)
                self.registry.forget_object(name, uid)
        await self._delete_orphans(orphans, node_uids)

    async def _take_kube_nodes(self) -> set[str]:
        """Take all Nodes of the cluster and give their uids."""
        names: set[str] = set()
        uids: set[str] = set()
        async for chunk in self.api.node_chunks(label_selector=self.node_label_selector):
            for raw in chunk:
                self._take(self.registry.observe_kube_node, raw)
                names.add(raw["metadata"]["name"])
                uids.add(raw["metadata"]["uid"])
        for node in list(self.registry.kube_nodes.values()):
            if node.name not in names:
                self.registry.forget_kube_node(node.name)
        return uids

    async def _take_objects(self, owners: set[str | None]) -> tuple[dict[str, str], list[Raw]]:
        """Take all objects; give their uids by name, and what is needed of those without owner."""
        found: dict[str, str] = {}
        orphans: list[Raw] = []
        async for chunk in self.api.fabric_node_chunks():
            for raw in chunk:
                self._take(self.registry.observe, raw)
                metadata = raw["metadata"]
                found[metadata["name"]] = metadata["uid"]
                # One that is being deleted stays until somebody's finalizer is done, however often
                # it is deleted again: that is theirs to end.
                if owner_uid(raw) not in owners and "deletionTimestamp" not in metadata:
                    orphans.append({"metadata": {key: metadata[key] for key in _ORPHANS_KEYS}})
        return found, orphans

    async def _delete_orphans(self, orphans: list[Raw], uids: set[str]) -> None:
        """Delete the objects of Nodes that are gone; a cluster's garbage collector is quicker."""
        if orphans and self.node_label_selector is not None:
            # A Node that merely lost its label still is.
            uids = {raw["metadata"]["uid"] async for c in self.api.node_chunks() for raw in c}
        # A Node that came while the objects were listed is in no list, but the watch told it.
        uids = uids | {node.uid for node in self.registry.kube_nodes.values()}
        refused = 0
        for raw in orphans:
            record = self.registry.by_name(raw["metadata"]["name"])
            if owner_uid(raw) in uids or (record and record.live.state in ALIVE):
                continue
            if refused >= REFUSED_MAX or not self.leads():
                return  # another sweep does it, or another operator
            try:
                await self._delete(raw["metadata"])
            except KubeError as error:
                if error.status == NOT_LEADING:
                    return
                # Both lists are there: a deletion that is refused is no reason to ask for them
                # again and again, nor to keep a watch from beginning.
                self._undeleted.failed(object=raw["metadata"]["name"], error=str(error))
                refused += 1 if error.status else REFUSED_MAX  # no answer takes half a minute
        if not refused:
            self._undeleted.recovered()

    async def _delete(self, metadata: Raw) -> None:
        await self.api.delete_fabric_node(metadata["name"], uid=metadata["uid"])
        _log.info("orphan_deleted", object=metadata["name"])
        self.registry.forget_object(metadata["name"], metadata["uid"])

    def _take(self, news: Callable[[Raw], None], raw: Raw) -> None:
        try:
            news(raw)
        except Exception as error:  # noqa: BLE001 - told here
            # One of which nothing can be made must not end the watch over all others.
            name = raw["metadata"]["name"]
            self._unreadable.failed(object=name, error=repr(error), exc_info=error)


def retry_delay(error: KubeError) -> float:
    """Give the seconds before a LIST is asked for again: ours, or more where the server says so."""
    return max(RETRY_DELAY, min(error.retry_after or 0.0, RETRY_AFTER_MAX))
