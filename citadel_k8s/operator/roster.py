"""The nodes that the operator knows, and what a change of one of them sets off."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from citadel_k8s.aio.clock import Clock
from citadel_k8s.aio.deadlines import Deadlines
from citadel_k8s.domain import keys
from citadel_k8s.domain.absence import noticed
from citadel_k8s.domain.facts import NodeFacts
from citadel_k8s.domain.liveness import Liveness, Policy, created, deferred, postponed
from citadel_k8s.domain.reconcile import WriteKind, due_at
from citadel_k8s.errors import WireError
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator import keptspecs
from citadel_k8s.operator.hearing import kind_of_news
from citadel_k8s.operator.records import KeptSpec, KubeNode, NodeRecord
from citadel_k8s.operator.vigil import Vigil

OnTransition = Callable[[NodeRecord, Liveness], None]
"""Told of each change of state or of its reason, with what was before."""


class Roster:
    """Nodes by id.

    Parameters
    ----------
    clock : Clock
        The operator's clock.
    policy : Policy
        For nodes that name none of their own.
    on_transition : callable
        Told of each change of state or of its reason.

    Attributes
    ----------
    nodes, kube_nodes
        By node id.
    checks
        Who is to be looked at for a write, and when.
    suspects, late
        When a living node will have been silent for too long to be called fresh; and the ids of
        those who have been.
    tally
        Nodes by state.
    kept_specs
        What people said of nodes, by the name of the object.
    """

    def __init__(self, clock: Clock, policy: Policy, on_transition: OnTransition) -> None:
        self.clock = clock
        self.policy = policy
        self.nodes: dict[str, NodeRecord] = {}
        self.kube_nodes: dict[str, KubeNode] = {}
        self.checks = Deadlines()
        self.vigil = Vigil()
        self.suspects = self.vigil.suspects
        self.late = self.vigil.late
        self.tally: Counter[NodeState] = Counter()
        self.kept_specs: dict[str, KeptSpec] = {}
        self._by_name: dict[str, str] = {}
        self._on_transition = on_transition

    def objects(self) -> Iterator[NodeRecord]:
        """Give the nodes that have an object."""
        return (record for record in self.nodes.values() if record.observed is not None)

    def by_name(self, name: str) -> NodeRecord | None:
        """Give the node of an object."""
        return self.nodes.get(self._by_name.get(name, ""))

    def defer(self, now: float, *, whole: bool = False, unrepeated: bool = False) -> None:
        """Let nobody's silence count before one and a half intervals: nobody could be heard.

        With ``whole`` not before the whole timeout: nor is it known how long they had been silent.
        With ``unrepeated`` only of agents without a boot id: they do not send again what was lost.
        """
        for record in self.nodes.values():
            if unrepeated and record.live.boot_id is not None:
                continue
            policy = record.live.policy
            until = now + (policy.timeout if whole else policy.stale_after)
            record.live = deferred(record.live, until)
            self.vigil.defer(record.node_id, record.live, until)

    def shift(self, seconds: float, *, woke: float = float("inf")) -> None:
        """Let all deadlines come later: this process itself stood still until it woke."""
        for record in self.nodes.values():
            live = record.live
            if live.deadline is not None:
                record.live = postponed(live, seconds, woke=woke)
                self.vigil.silences.set(record.node_id, record.live.deadline)

    def redate(self, ms: int) -> None:
        """Tell all moments by the stream server's clock anew: it was set by so much."""
        for record in self.nodes.values():
            if ms and record.heard_ms is not None:
                record.heard_ms = max(0, record.heard_ms + ms)

    def _new(self, node_id: str, now: float) -> NodeRecord:
        name = keys.object_name(node_id)
        if name in self._by_name:
            other = self._by_name[name]
            raise WireError("NameCollision", "nodeId", f"{other!r} has the object {name!r} already")
        live = created(self.policy, now)
        kube_node = self.kube_nodes.get(node_id)
        live = noticed(live, now, ready=kube_node.ready if kube_node else None)
        record = NodeRecord(node_id, name, live, kept_spec=self._given_back(name))
        return self._add(record)

    def _add(self, record: NodeRecord) -> NodeRecord:
        self.nodes[record.node_id] = record
        self._by_name[record.name] = record.node_id
        self.tally[record.live.state] += 1
        self.vigil.follow(record.node_id, None, record.live)
        return record

    def _drop(self, record: NodeRecord) -> None:
        del self.nodes[record.node_id]
        if self._by_name.get(record.name) == record.node_id:
            del self._by_name[record.name]
        self.tally[record.live.state] -= 1
        self.checks.set(record.node_id, None)
        self.vigil.forget(record.node_id)

    def _given_back(self, name: str) -> dict[str, Any]:
        return keptspecs.given_back(self.kept_specs, name, self.clock.now())

    def _keep_spec(self, record: NodeRecord) -> None:
        if record.kept_spec:
            self.kept_specs[record.name] = KeptSpec(record.kept_spec, self.clock.now())
        if len(self.kept_specs) > keptspecs.SPARE + len(self._by_name):
            for name in keptspecs.outlived(self.kept_specs, self._by_name, self.clock.now()):
                del self.kept_specs[name]

    def _update(self, record: NodeRecord, live: Liveness, facts: NodeFacts | None) -> None:
        before, old_facts = record.live, record.facts
        record.live, record.facts = live, facts
        self.vigil.follow(record.node_id, before, live)
        if live.state is not before.state:
            self.tally[before.state] -= 1
            self.tally[live.state] += 1
        kind = kind_of_news(before, live, old_facts, facts)
        if kind is not None:
            self._check_by(record, kind)
        if live.state is not before.state or live.reason != before.reason:
            self._on_transition(record, before)

    def _check_by(self, record: NodeRecord, kind: WriteKind) -> None:
        now = self.clock.monotonic()
        if kind is WriteKind.DETAIL and record.written.dirty_since is None:
            record.written = replace(record.written, dirty_since=now)
        fleet, restless = len(self.nodes), record.live.restless
        due = max(now, due_at(kind, record.written, fleet, now, restless=restless))
        known = self.checks.get(record.node_id)
        self.checks.set(record.node_id, due if known is None else min(known, due))
