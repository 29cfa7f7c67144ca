"""Writes what is known of nodes to their objects: seldom, the worst first, until it is done."""

import asyncio
import heapq
import json
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.conditions import Wanted
from citadel_k8s.domain.projection import View, as_document, desired_status
from citadel_k8s.domain.reconcile import (
    WriteKind,
    Written,
    due_at,
    kind_of,
    patch_of,
    urgency,
)
from citadel_k8s.errors import KubeError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.fabricnode import GROUP, KIND, VERSION
from citadel_k8s.operator.drafts import Drafts
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.records import NodeRecord, ObservedObject
from citadel_k8s.operator.refusals import Refusals
from citadel_k8s.operator.registry import Registry

TICK: Final = 0.1
"""Seconds between two looks at what is due."""

LOOK_SECONDS: Final = 0.02
"""Seconds of each tick for looking at nodes whose state is told already. A look takes 0.4 ms, and
after a restart there are as many as nodes: at once they would hold up reading for seconds."""

WRITES_AT_ONCE: Final = 8
"""Requests under way at the same time; with 10 ms each that is sixteen times the rate below."""

FAST_RATE: Final = 50.0
"""Writes per second for changes of state and detail, over the whole fleet."""

SLOW_RATE: Final = 9.5
"""Writes per second for texts and refreshes, over the whole fleet: with the second's worth that a
full bucket holds, ten over any half minute."""

ANSWER_LATE: Final = 5.0
"""Seconds without an answer to a write after which the server is said not to answer: a hundred
times what a write takes, a sixth of what it may take."""

CLEAR_EVERY: Final = 60.0
"""Seconds between two looks for nodes that are gone and whose writes had been refused."""

NOT_FOUND: Final = 404
"""HTTP status of an object that is gone."""


class FabricNodeApi(Protocol):
    """What the projector asks of the API server; `clients.kube.KubeClient` has it."""

    async def create_fabric_node(self, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object."""
        ...

    async def patch_fabric_node(self, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        """Merge a patch into an object."""
        ...

    async def patch_fabric_node_status(self, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        """Merge a patch into an object's status."""
        ...


@dataclass(slots=True)
class Bucket:
    """Tokens that come back at a rate; a full bucket holds one second's worth."""

    rate: float
    tokens: float
    filled_at: float

    def take(self, now: float) -> bool:
        """Take one token if there is one."""
        self.tokens = min(self.rate, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class Projector:
    """Brings objects into line with the registry.

    Parameters
    ----------
    api : FabricNodeApi
        The API server.
    registry : Registry
        What is known.
    clock : Clock
        The operator's clock.
    metrics : OperatorMetrics
        What is counted.
    jitter : callable
        Gives a random number in [0, 1).
    leads : callable
        Whether this operator knows enough and is the one that writes; what is due waits until then.
    """

    api: FabricNodeApi
    registry: Registry
    clock: Clock
    metrics: OperatorMetrics
    jitter: Callable[[], float] = random.random
    leads: Callable[[], bool] = lambda: True
    _waiting: list[tuple[tuple[int, int], str]] = field(
        default_factory=list[tuple[tuple[int, int], str]]
    )
    _queue: deque[str] = field(default_factory=deque[str])
    _unlooked: set[str] = field(default_factory=set[str])
    _drafts: Drafts = field(init=False)
    _ranks: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    _busy: dict[str, float] = field(default_factory=dict[str, float])
    _buckets: dict[bool, Bucket] = field(default_factory=dict[bool, Bucket])
    _refusals: Refusals = field(init=False)
    _cleared_at: float = 0.0

    def __post_init__(self) -> None:
        now = self.clock.monotonic()
        self._drafts = Drafts(self.desired, self.clock)
        self._buckets = {
            True: Bucket(FAST_RATE, FAST_RATE, now),
            False: Bucket(SLOW_RATE, SLOW_RATE, now),
        }
        self._refusals = Refusals(self.clock, self.jitter)

    @property
    def trouble(self) -> str | None:
        """Why the server takes no writes at all; None if it does, as far as is known."""
        waits = self.clock.monotonic() - min(self._busy.values(), default=math.inf)
        if self._refusals.trouble is None and waits > ANSWER_LATE:
            return f"no answer to a write for {waits:.0f} s"
        return self._refusals.trouble

    async def run(self) -> None:
        """Write for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                for node_id in self.due() if self.leads() else ():
                    group.create_task(self._write(node_id), name=f"write {node_id}")
                await asyncio.sleep(TICK)

    def due(self) -> list[str]:
        """Give the nodes to write now, as far as the budget goes; they count as under way."""
        now = self.clock.monotonic()
        if now - self._cleared_at >= CLEAR_EVERY:
            self._cleared_at = now
            self._refusals.keep(self.registry.nodes)
        self._look_around(now)
        chosen: list[str] = []
        if now < self._refusals.hold_until:
            return chosen
        while self._waiting and len(self._busy) < WRITES_AT_ONCE:
            rank, node_id = self._waiting[0]
            if self._ranks.get(node_id) == rank:
                if not self._buckets[rank[0] <= WriteKind.DETAIL].take(now):
                    break
                del self._ranks[node_id]
                self._busy[node_id] = now
                chosen.append(node_id)
            heapq.heappop(self._waiting)
        return chosen

    def desired(self, record: NodeRecord) -> dict[str, Any]:
        """Give the status document that a node's object should have now."""
        observed = record.observed
        heard = None if record.heard_ms is None else format_timestamp(record.heard_ms / 1000)
        previous = observed.status() if observed else ObservedObject.parse({}).status()
        view = View(
            node=record.live,
            facts=record.facts,
            previous=previous,
            generation=observed.generation if observed else None,
            now=format_timestamp(self.clock.now()),
            last_heartbeat=heard or previous.last_heartbeat_time,
            wanted=Wanted(record.config_wanted, record.config_error, record.config_unsupported),
        )
        return as_document(desired_status(view))

    def body(self, record: NodeRecord) -> dict[str, Any]:
        """Give the object that a node has to begin with."""
        kube_node = self.registry.kube_nodes.get(record.node_id)
        spec: dict[str, Any] = {**record.kept_spec, "nodeId": record.node_id}
        if kube_node is not None:
            spec["nodeName"] = kube_node.name
        if self.registry.org_id is not None:
            spec["orgId"] = self.registry.org_id
        return {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            "metadata": {"name": record.name, "ownerReferences": self._owners(record)},
            "spec": spec,
        }

    def _look_around(self, now: float) -> None:
        """Look at each node whose state is to be told, and at others for as long as a tick may."""
        for node_id in list(self.registry.checks.pop_due(now)):
            record = self.registry.nodes.get(node_id)
            if record is None or _state_differs(record):
                self._look_safely(node_id, now)
            elif node_id not in self._unlooked:
                self._unlooked.add(node_id)
                self._queue.append(node_id)
        until = self.clock.monotonic() + LOOK_SECONDS
        while self._queue and self.clock.monotonic() < until:
            node_id = self._queue.popleft()
            self._unlooked.discard(node_id)
            self._look_safely(node_id, now)

    def _look_safely(self, node_id: str, now: float) -> None:
        try:
            self._look(node_id, now)
        except Exception as error:  # noqa: BLE001 - told and counted below
            # A node of which nothing can be made must not end the watch over all others.
            self._refused(node_id, KubeError(-1, repr(error)), error)

    def _look(self, node_id: str, now: float) -> None:
        """Decide whether a node is due, and if not, when to look again."""
        record = self.registry.nodes.get(node_id)
        if record is None:
            self._refusals.forget(node_id)
            return
        if node_id in self._busy:
            self.registry.checks.set(node_id, now + TICK)
            return
        if now < self._refusals.until(node_id):
            self.registry.checks.set(node_id, self._refusals.until(node_id))
            return
        if not _worth_writing(record):
            return
        kind = self._kind(record)
        if kind is WriteKind.DETAIL and record.written.dirty_since is None:
            record.written = replace(record.written, dirty_since=now)
        fleet, restless = len(self.registry.nodes), record.live.restless
        due = due_at(kind, record.written, fleet, now, restless=restless)
        # A write whose answer was lost may have been done; that the server is well again, only a
        # write that it answers can tell.
        if due > now and node_id not in self._refusals:
            self.metrics.suppressed.inc()
            self.registry.checks.set(node_id, due)
            return
        rank = urgency(kind, record.live.state)
        if rank < self._ranks.get(node_id, (len(WriteKind), 0)):
            self._ranks[node_id] = rank
            heapq.heappush(self._waiting, (rank, node_id))

    def _kind(self, record: NodeRecord) -> WriteKind:
        if record.observed is None or self._owner_missing(record):
            return WriteKind.STATE
        if record.settled is None and _state_differs(record):
            return WriteKind.STATE  # whatever else differs goes with it
        draft = self._drafts.of(record, record.observed)
        desired, kind = draft.desired, draft.kind
        if kind is not WriteKind.REFRESH and record.settled == _settlement(
            desired, record.observed
        ):
            # The server took it and kept less, as under a definition that lacks a field.
            return WriteKind.REFRESH
        return kind

    async def _write(self, node_id: str) -> None:
        record = self.registry.nodes.get(node_id)
        known = record.observed if record is not None else None
        try:
            if record is not None:
                await self._bring_into_line(record)
        except KubeError as error:
            if known is not None and error.status == NOT_FOUND:
                # Deleted meanwhile, which the watch may have told already: no trouble of anybody's.
                self.registry.forget_object(known.name, known.uid)
                self._refusals.succeeded(node_id)
            else:
                self._refused(node_id, error)
        except Exception as error:  # noqa: BLE001 - told and counted below
            # One object that cannot be dealt with must not end the watch over all others.
            self._refused(node_id, KubeError(-1, repr(error)), error)
        else:
            self._refusals.succeeded(node_id)
        finally:
            self._busy.pop(node_id, None)

    async def _bring_into_line(self, record: NodeRecord) -> None:
        if record.observed is None:
            await self._send("create", self.api.create_fabric_node(self.body(record)))
        elif self._owner_missing(record):
            patch: dict[str, Any] = {"metadata": {"ownerReferences": self._owners(record)}}
            if record.observed.node_name is None:
                patch["spec"] = {"nodeName": self.registry.kube_nodes[record.node_id].name}
            await self._send("adopt", self.api.patch_fabric_node(record.name, patch))
        if record.observed is None:
            return
        draft = self._drafts.of(record, record.observed)
        desired, live, facts = draft.desired, record.live, record.facts
        request = self.api.patch_fabric_node_status(
            record.name, {"status": patch_of(desired, draft.document)}
        )
        await self._send(draft.kind.name.lower(), request)
        now = self.clock.monotonic()
        record.written = Written(at=now)
        taken = _taken(desired, record.observed)
        record.settled = None if taken else _settlement(self.desired(record), record.observed)
        if taken and record.live is live and record.facts is facts:
            now = due_at(WriteKind.REFRESH, record.written, len(self.registry.nodes), now)
        self.registry.checks.set(record.node_id, now)

    async def _send(self, kind: str, request: Awaitable[dict[str, Any]]) -> None:
        started = self.clock.monotonic()
        try:
            raw = await request
        except KubeError as error:
            self.metrics.writes.labels(kind=kind, result=str(error.status)).inc()
            raise
        self.metrics.writes.labels(kind=kind, result="ok").inc()
        self.metrics.write_seconds.observe(self.clock.monotonic() - started)
        self.registry.observe(raw)

    def _refused(self, node_id: str, error: KubeError, cause: Exception | None = None) -> None:
        self.registry.checks.set(node_id, self._refusals.failed(node_id, error, cause))

    def _owners(self, record: NodeRecord) -> list[dict[str, Any]]:
        kube_node = self.registry.kube_nodes.get(record.node_id)
        if kube_node is None:
            return []
        owner = {"apiVersion": "v1", "kind": "Node", "name": kube_node.name, "uid": kube_node.uid}
        return [owner]

    def _owner_missing(self, record: NodeRecord) -> bool:
        kube_node = self.registry.kube_nodes.get(record.node_id)
        observed = record.observed
        return bool(kube_node and observed and observed.owner_uid != kube_node.uid)


def _taken(desired: Mapping[str, Any], observed: ObservedObject | None) -> bool:
    """Say whether an object, which may be gone by now, holds all that was to be written."""
    return observed is not None and (
        kind_of(desired, observed.status_document()) is WriteKind.REFRESH
    )


def _settlement(desired: Mapping[str, Any], observed: ObservedObject | None) -> int:
    """Give one number for what is wanted and what is kept of it, but for the dates.

    Where the server keeps no condition each one of them is new, and of now.
    """
    wanted = {key: value for key, value in desired.items() if key != "confirmedTime"}
    conditions: list[dict[str, Any]] = wanted.get("conditions") or []
    wanted["conditions"] = [c | {"lastTransitionTime": None} for c in conditions]
    return hash((json.dumps(wanted), observed.status_json if observed else b""))


def _worth_writing(record: NodeRecord) -> bool:
    """Say whether there is anything to write that an operator before this one did not know.

    A node that spoke to that one and not to this one yet stays as it stands: what it is made of
    and how that fares would be written as unknown, and as known again at its next word.
    """
    if record.facts is not None or record.observed is None or not record.live.fresh:
        return True
    return record.observed.state != record.live.state


def _state_differs(record: NodeRecord) -> bool:
    return record.observed is None or record.observed.state != record.live.state
