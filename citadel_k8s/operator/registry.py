"""All nodes that the operator knows, and what each piece of news makes of them.

Everything here is synchronous: a piece of news is applied whole or not at all, and no task can
see half of it. Who is to be written when is kept in `checks`; who falls silent when, in
`silences`.
"""

import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Literal

from citadel_k8s.aio.clock import Clock
from citadel_k8s.aio.deadlines import Deadlines
from citadel_k8s.domain import keys
from citadel_k8s.domain.facts import NodeFacts, facts_from
from citadel_k8s.domain.liveness import (
    ALIVE,
    Beat,
    Goodbye,
    Liveness,
    Policy,
    answering,
    beaten,
    created,
    deferred,
    expired,
    rejection,
    restored,
)
from citadel_k8s.domain.pipe import Ruling
from citadel_k8s.domain.reconcile import WriteKind, Written, due_at
from citadel_k8s.domain.verdicts import faults_of
from citadel_k8s.errors import WireError
from citadel_k8s.models.codec import parse_timestamp
from citadel_k8s.models.fabricnode import FabricNodeStatus, NodeState
from citadel_k8s.models.lean import LeanMessage, decode_lean
from citadel_k8s.operator.records import (
    KeptSpec,
    KubeNode,
    Memory,
    NodeRecord,
    ObservedObject,
    policy_of,
)
from citadel_k8s.stores.entries import Entry

_FIGURES: Final = frozenset(
    {"utilization", "vram_used", "running", "waiting", "disk_ratio", "clock_offset"}
)
"""What of facts moves with each heartbeat and shows as a column's text at most."""

OnTransition = Callable[[NodeRecord, Liveness], None]
"""Told of each change of state or of its reason, with what was before."""

Judge = Callable[[NodeRecord, float], Ruling]
"""Says what becomes of a node whose deadline has come by a moment, in monotonic seconds."""

UnknownNodes = Literal["adopt", "quarantine", "ignore"]
"""What becomes of ids that neither the cluster nor an object knows."""

_OFFLINE: Final = Ruling("offline")


def always_offline(record: NodeRecord, now: float) -> Ruling:  # noqa: ARG001 - a judge's shape
    """Judge by silence alone."""
    return _OFFLINE


class Registry:
    """Nodes by id.

    Parameters
    ----------
    clock : Clock
        The operator's clock.
    policy : Policy
        For nodes that name none of their own.
    org_id : str or None
        Entries of other orgs are refused; None takes only entries without one.
    on_transition : callable
        Told of each change of state or of its reason.
    expects_kube_nodes : bool
        Whether each Node of the cluster is to be heard of: it gets an object before it speaks.
    unknown_nodes : str
        What becomes of ids that neither the cluster nor an object knows: ``adopt`` makes objects
        for them, ``quarantine`` remembers them, ``ignore`` does not.

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
    quarantined
        Unknown ids that spoke, with the moment of the last word (monotonic seconds); few.
    kept_specs
        What people said of nodes, by the name of the object.
    """

    def __init__(
        self,
        clock: Clock,
        policy: Policy,
        org_id: str | None,
        on_transition: OnTransition,
        *,
        expects_kube_nodes: bool = False,
        unknown_nodes: UnknownNodes = "adopt",
    ) -> None:
        self.clock = clock
        self.policy = policy
        self.org_id = org_id
        self.nodes: dict[str, NodeRecord] = {}
        self.kube_nodes: dict[str, KubeNode] = {}
        self.checks = Deadlines()
        self.suspects = Deadlines()
        self.late: set[str] = set()
        self.tally: Counter[NodeState] = Counter()
        self.quarantined: dict[str, float] = {}
        self.kept_specs: dict[str, KeptSpec] = {}
        self.expects_kube_nodes = expects_kube_nodes
        self.unknown_nodes: UnknownNodes = unknown_nodes
        self._silences = Deadlines()
        self._by_name: dict[str, str] = {}
        self._on_transition = on_transition

    # --- heartbeats

    def hear(self, entry: Entry, age: float) -> None:
        """Take one entry of the stream, ``age`` seconds old by the receiver's clock.

        Raises
        ------
        WireError
            If it must not count; nothing has changed then.
        """
        keys.check_node_id(entry.node_id)
        if entry.org_id != self.org_id and not (entry.org_id is None and entry.principal is None):
            raise WireError("WrongOrg", "orgId", f"{entry.org_id!r} is not served here")
        message = decode_lean(entry.payload, node_id=entry.node_id)
        if message["node_id"] != entry.node_id:
            raise WireError("WrongNode", "nodeId", "payload and entry name different nodes")
        now = self.clock.monotonic()
        known = self.nodes.get(entry.node_id)
        facts = facts_from(
            message,
            clock_offset=_clock_offset(message, entry),
            before=known.facts if known else None,
        )
        interval = message.get("interval_seconds")
        if known is None and age >= self.policy.paced(interval).timeout:
            return  # dead and without an object: whoever deleted that does not want it back
        record = known or self._known(entry.node_id, now)
        beat = _beat(message, facts, now - age)
        refused = rejection(record.live, beat)
        if refused:
            raise WireError(refused, "seq", f"boot {beat.boot_id}, seq {beat.seq}")
        record.heard_ms = entry.id.ms
        record.last_id = entry.id
        record.held_since = None
        record.interval = interval
        self._update(record, beaten(record.live, beat, now), facts)

    def fall_silent(self, now: float, proved_until: float, judge: Judge = always_offline) -> None:
        """Judge the nodes whose silence counts by now.

        Parameters
        ----------
        now : float
            Monotonic seconds.
        proved_until : float
            Moment up to which the stream is known to have been read to its end: whoever's
            deadline lies behind it may have spoken without having been heard yet.
        judge : callable
            Says what each silence means; by itself, that the node has failed.
        """
        for node_id in list(self._silences.pop_due(min(now, proved_until))):
            record = self.nodes[node_id]
            self._update(record, _ruled(record, judge(record, now), now), record.facts)

    def defer(self, now: float) -> None:
        """Let nobody's silence count before one and a half intervals: nobody could be heard."""
        for record in self.nodes.values():
            record.live = deferred(record.live, now + record.live.policy.stale_after)
            self._silences.set(record.node_id, record.live.deadline)

    def shift(self, seconds: float) -> None:
        """Let all deadlines come later: this process itself stood still for so long."""
        for record in self.nodes.values():
            live = record.live
            if live.deadline is not None:
                record.live = deferred(live, live.deadline + seconds)
                self._silences.set(record.node_id, record.live.deadline)

    # --- what an operator before this one knew

    def recall(self, node_id: str, memory: Memory) -> None:
        """Take a node as the snapshot has it; before the stream is read, after the objects."""

    def keep_specs(self, kept: Mapping[str, KeptSpec]) -> None:
        """Take what people said of nodes whose objects may be gone; before the stream is read."""
        self.kept_specs.update(kept)

    # --- objects

    def observe(self, raw: dict[str, Any]) -> None:
        """Take a FabricNode as the API server has it now."""
        observed = ObservedObject.parse(raw)
        now = self.clock.monotonic()
        try:
            node_id = keys.check_node_id(observed.node_id)
        except WireError:
            return
        if observed.name != keys.object_name(node_id):
            return  # made by hand: whichever a LIST gave first would leave the other as it stands
        record = self.nodes.get(node_id)
        if record is None:
            record = self._restored(node_id, observed, now)
        elif _outdated(observed, record.observed):
            return  # news that came late
        record.observed = observed
        record.kept_spec = observed.kept_spec
        policy = policy_of(observed, self.policy).paced(record.interval)
        record.live = replace(record.live, policy=policy)
        self._by_name[observed.name] = node_id
        self.checks.set(node_id, now)

    def forget_object(self, name: str, uid: str | None = None) -> None:
        """Take note that an object is gone. A living node gets a new one, a dead one is dropped."""
        record = self.nodes.get(self._by_name.get(name, ""))
        if record is None or record.observed is None:
            return
        if uid is not None and record.observed.uid != uid:
            return
        record.observed = None
        record.written = Written()
        if record.live.state in ALIVE:
            self.checks.set(record.node_id, self.clock.monotonic())
            return
        del self.nodes[record.node_id]
        del self._by_name[name]
        self.checks.set(record.node_id, None)
        self._silences.set(record.node_id, None)

    def objects(self) -> Iterator[NodeRecord]:
        """Give the nodes that have an object."""
        return (record for record in self.nodes.values() if record.observed is not None)

    def by_name(self, name: str) -> NodeRecord | None:
        """Give the node of an object."""
        return self.nodes.get(self._by_name.get(name, ""))

    # --- Nodes of the cluster

    def observe_kube_node(self, raw: dict[str, Any]) -> None:
        """Take a Node of the cluster."""
        node = KubeNode.parse(raw)
        self.kube_nodes[node.node_id] = node
        record = self.nodes.get(node.node_id)
        if record and (record.observed is None or record.observed.owner_uid != node.uid):
            self.checks.set(node.node_id, self.clock.monotonic())

    def forget_kube_node(self, name: str) -> None:
        """Take note that a Node is gone; what became of its object, the sweep sees to."""
        self.kube_nodes.pop(keys.node_id_from_name(name), None)

    # --- one change

    def _known(self, node_id: str, now: float) -> NodeRecord:
        record = self.nodes.get(node_id)
        if record is None:
            name = keys.object_name(node_id)
            record = NodeRecord(node_id, name, created(self.policy, now))
            self.nodes[node_id] = record
            self._by_name[name] = node_id
        return record

    def _restored(self, node_id: str, observed: ObservedObject, now: float) -> NodeRecord:
        status = observed.status()
        policy = policy_of(observed, self.policy)
        reason, message = _ready_claim(status)
        live = restored(policy, now, state=status.state, reason=reason, message=message)
        written = Written(at=now - self._age_of(status.confirmed_time))
        record = NodeRecord(node_id, observed.name, live, observed=observed, written=written)
        self.nodes[node_id] = record
        self._silences.set(node_id, live.deadline)
        return record

    def _update(self, record: NodeRecord, live: Liveness, facts: NodeFacts | None) -> None:
        before, old_facts = record.live, record.facts
        record.live, record.facts = live, facts
        self._silences.set(record.node_id, live.deadline)
        if live.state is not before.state or live.reason != before.reason:
            self._on_transition(record, before)
        kind = _kind_of_news(before, live, old_facts, facts)
        if kind is not None:
            self._check_by(record, kind)

    def _check_by(self, record: NodeRecord, kind: WriteKind) -> None:
        now = self.clock.monotonic()
        if kind is WriteKind.DETAIL and record.written.dirty_since is None:
            record.written = replace(record.written, dirty_since=now)
        due = max(now, due_at(kind, record.written, len(self.nodes), now))
        known = self.checks.get(record.node_id)
        self.checks.set(record.node_id, due if known is None else min(known, due))

    def _age_of(self, confirmed: str | None) -> float:
        try:
            return max(0.0, self.clock.now() - parse_timestamp(confirmed or ""))
        except WireError:
            return 0.0


def _ruled(record: NodeRecord, ruling: Ruling, now: float) -> Liveness:
    match ruling.verdict:
        case "answers":
            return answering(record.live, now)
        case "hold":
            record.held_since = now if record.held_since is None else record.held_since
            return deferred(record.live, ruling.until)
        case "offline":
            record.held_since = None
            return expired(record.live, now, reason=ruling.reason, message=ruling.message)


def _outdated(news: ObservedObject, known: ObservedObject | None) -> bool:
    return known is not None and known.uid == news.uid and news.version < known.version


def _ready_claim(status: FabricNodeStatus) -> tuple[str, str]:
    """Give reason and message as they stand: a restart is nothing to write home about."""
    ready = next((c for c in status.conditions if c.type == "Ready"), None)
    if ready is None:
        return "Restored", f"was {status.state} before this operator started"
    return ready.reason, ready.message


def _beat(message: LeanMessage, facts: NodeFacts, at: float) -> Beat:
    goodbye = message.get("goodbye")
    return Beat(
        at=at,
        boot_id=message.get("boot_id"),
        seq=message.get("seq"),
        interval=message.get("interval_seconds"),
        goodbye=Goodbye(goodbye["reason"], goodbye.get("expected_back_seconds"))
        if goodbye
        else None,
        faults=faults_of(facts),
    )


def _clock_offset(message: LeanMessage, entry: Entry) -> float | None:
    try:
        return parse_timestamp(message["timestamp"]) - entry.id.ms / 1000
    except WireError:
        return None  # a date that is none, such as 30 February: the node speaks all the same


def _kind_of_news(
    before: Liveness, live: Liveness, old: NodeFacts | None, facts: NodeFacts | None
) -> WriteKind | None:
    if live.state is not before.state:
        return WriteKind.STATE
    if live.reason != before.reason or live.boot_id != before.boot_id:
        return WriteKind.DETAIL
    if old is None or facts is None:
        return None if old is facts else WriteKind.DETAIL
    if _details(old) != _details(facts):
        return WriteKind.DETAIL
    return None if old == facts else WriteKind.TEXT


_details = operator.attrgetter(*(NodeFacts.__dataclass_fields__.keys() - _FIGURES))
"""Gives of facts what is no figure."""
