"""All nodes that the operator knows, and what each piece of news makes of them.

Everything here is synchronous: a piece of news is applied whole or not at all, and no task can
see half of it. Who is to be written when is kept in `checks`; who falls silent when, in
`silences`.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final, Literal

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain import keys
from citadel_k8s.domain.absence import drained, governed, instructed, noticed, upgraded
from citadel_k8s.domain.doubles import sighted
from citadel_k8s.domain.facts import facts_from
from citadel_k8s.domain.life import calmed
from citadel_k8s.domain.liveness import (
    ALIVE,
    Beat,
    Phase,
    Policy,
    beaten,
    rejection,
)
from citadel_k8s.domain.reconcile import Written
from citadel_k8s.domain.restoring import restored, resumed
from citadel_k8s.errors import WireError
from citadel_k8s.models.codec import parse_timestamp
from citadel_k8s.models.lean import decode_lean
from citadel_k8s.operator import keptspecs
from citadel_k8s.operator.counted import Counted
from citadel_k8s.operator.hearing import beat_of, clock_offset, continues, ready_claim
from citadel_k8s.operator.judging import Judge, always_offline, ruled
from citadel_k8s.operator.records import (
    KeptSpec,
    KubeNode,
    Memory,
    NodeRecord,
    ObservedObject,
    policy_of,
    version_of,
)
from citadel_k8s.operator.roster import OnTransition, Roster
from citadel_k8s.stores.entries import Entry, EntryId
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.registry")

QUARANTINE_MAX: Final = 64
"""Unknown ids remembered: a page of them is enough to see what is wrong, and a sender of made-up
ids fills no memory."""

RETRY_DELAY: Final = 1.0
"""Seconds after which a node whose judgement failed is judged again."""

UnknownNodes = Literal["adopt", "quarantine", "ignore"]
"""What becomes of ids that neither the cluster nor an object knows."""


class Registry(Roster):
    """Nodes by id, and what each piece of news makes of them.

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
    quarantined
        Unknown ids that spoke, with the moment of the last word (monotonic seconds); few.
    counted
        How far the operator before this one read, until all of that has been read again.
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
        super().__init__(clock, policy, on_transition)
        self.org_id = org_id
        self.quarantined: dict[str, float] = {}
        self.expects_kube_nodes = expects_kube_nodes
        self.unknown_nodes: UnknownNodes = unknown_nodes
        self.counted = Counted()
        self._unjudged = RepeatLog(_log, "node_not_judged", clock=clock)

    # --- heartbeats

    def hear(self, entry: Entry, age: float, *, position: EntryId | None = None) -> None:
        """Take one entry of the stream, ``age`` seconds old by the receiver's clock.

        ``position`` is its id as it lies there, if the entry's own was put right.

        Raises
        ------
        WireError
            If it must not count. Nothing has changed then but who else was heard of: a second
            agent for the same id, or an id that nobody knows.
        """
        node_id = entry.node_id
        known = self.nodes.get(node_id)
        if known is None:
            keys.check_node_id(node_id)
        if entry.org_id != self.org_id and not (entry.org_id is None and entry.principal is None):
            raise WireError("WrongOrg", "orgId", f"{entry.org_id!r} is not served here")
        now = self.clock.monotonic()
        place = entry.id if position is None else position
        if known is None or known.observed is None:
            self._admit(node_id, now - age)
        message = decode_lean(entry.payload, node_id=node_id)
        if message["node_id"] != node_id:
            raise WireError("WrongNode", "nodeId", "payload and entry name different nodes")
        facts = facts_from(
            message,
            clock_offset=clock_offset(message, entry),
            before=known.facts if known else None,
        )
        interval = message.get("interval_seconds")
        past = self.counted.covers(node_id, place)
        if known is None and (past or age >= self.policy.paced(interval).timeout):
            return  # dead and without an object: whoever deleted that does not want it back
        record = known or self._new(node_id, now)
        beat = beat_of(message, facts, now - age)
        again = past and not continues(record.live, beat)
        refused = rejection(record.live, beat, now) or ("Replayed" if again else None)
        if refused:
            self._suspect_double(record, place, beat, refused)
            raise WireError(refused, "seq", f"boot {beat.boot_id}, seq {beat.seq}")
        if record.live.phase is Phase.LEAVING and beat.goodbye is None:
            self._returns(record, facts.agent_version, now)
        record.heard_ms = entry.id.ms
        record.last_id = place
        record.held_since = None
        record.interval = interval
        live = beaten(record.live, beat, now)
        if beat.goodbye and self._cordoned(node_id):
            live = drained(live, now)
        self._update(record, live, facts)
        self.vigil.hear(node_id, live)

    def fall_silent(
        self,
        now: float,
        proved_until: float,
        judge: Judge = always_offline,
        *,
        limit: int | None = None,
    ) -> bool:
        """Judge the nodes whose silence counts by now, earliest first; tell if some may be left.

        Parameters
        ----------
        now : float
            Monotonic seconds.
        proved_until : float
            Moment up to which the stream is known to have been read to its end: whoever's
            deadline lies behind it may have spoken without having been heard yet.
        judge : callable
            Says what each silence means; by itself, that the node has failed.
        limit : int or None
            Nodes to judge at once; None for all.
        """
        moment = min(now, proved_until)
        self.vigil.note_late(moment)
        calm = list(islice(self.vigil.calms.pop_due(now), limit))
        due = list(islice(self.vigil.silences.pop_due(moment), limit))
        for node_id in calm:
            if record := self.nodes.get(node_id):
                self._update(record, calmed(record.live, now), record.facts)
        for node_id in due:
            record = self.nodes.get(node_id)
            if record is None:
                continue  # whoever was told of another one dropped it
            try:
                self._update(record, ruled(record, judge(record, now), now), record.facts)
            except Exception as error:  # noqa: BLE001 - told; one node must not keep all others waiting
                self._unjudged.failed(node=node_id, error=repr(error), exc_info=error)
                self.vigil.silences.set(node_id, now + RETRY_DELAY)
        return limit in {len(calm), len(due)}

    # --- what an operator before this one knew

    def recall(self, node_id: str, memory: Memory) -> None:
        """Take a node as the snapshot has it; before the stream is read, after the objects.

        One without an object that was not alive then, or cannot be by now, is left out: whoever
        deleted the object does not want it back. So is one that has spoken already.
        """
        now = self.clock.monotonic()
        self.counted.note(node_id, memory.position)
        record = self.nodes.get(node_id)
        if not memory.readable or (record and record.live.last_beat is not None):
            return
        if record is None:
            lost = memory.age >= self.policy.paced(memory.interval).timeout
            if lost or memory.state not in ALIVE:
                return
            try:
                self._admit(keys.check_node_id(node_id), now)
                record = self._new(node_id, now)
            except WireError:
                return
        record.interval, record.heard_ms = memory.interval, memory.id_ms
        record.last_id = memory.position
        self._update(record, memory.applied(record.live, now), None)

    def keep_specs(self, kept: Mapping[str, KeptSpec]) -> None:
        """Take what people said of nodes whose objects may be gone; before the stream is read."""
        for name, spec in kept.items():
            self.kept_specs.setdefault(name, spec)
        for record in self.nodes.values():
            if record.observed is None and not record.kept_spec:
                record.kept_spec = self._given_back(record.name)

    # --- objects

    def observe(self, raw: dict[str, Any]) -> None:
        """Take a FabricNode as the API server has it now."""
        if self._is_known(raw["metadata"]):
            return  # the echo of a write, or a LIST of what a watch told
        observed = ObservedObject.parse(raw)
        now = self.clock.monotonic()
        try:
            node_id = keys.check_node_id(observed.node_id)
        except WireError:
            return
        if observed.name != keys.object_name(node_id):
            return  # made by hand: whichever a LIST gave first would leave the other as it stands
        self._make_room(observed.name, node_id)
        self.quarantined.pop(node_id, None)
        keptspecs.seen(self.kept_specs, observed.name, observed.kept_spec, self.clock.now())
        record = self.nodes.get(node_id)
        if record is None:
            record = self._restored(node_id, observed, now)
        elif _outdated(observed, record.observed):
            return  # news that came late
        record.observed = observed
        record.kept_spec = observed.kept_spec
        live = governed(record.live, policy_of(observed, self.policy).paced(record.interval))
        live = instructed(
            live, maintenance=observed.maintenance, decommission=observed.decommission, now=now
        )
        self._update(record, live, record.facts)
        if live.to_be_judged:
            self.late.add(node_id)  # so that it is asked whether it answers
        self.checks.set(node_id, now)

    def _is_known(self, metadata: Mapping[str, Any]) -> bool:
        record = self.by_name(metadata["name"])
        known = record.observed if record else None
        return (
            known is not None
            and known.version > 0
            and known.version == version_of(metadata.get("resourceVersion"))
            and known.uid == metadata.get("uid")
        )

    def forget_object(self, name: str, uid: str | None = None) -> None:
        """Take note that an object is gone. A living node gets a new one, a dead one is dropped."""
        record = self.nodes.get(self._by_name.get(name, ""))
        if record is None or record.observed is None:
            return
        if uid is not None and record.observed.uid != uid:
            return
        self._keep_spec(record)
        record.observed = None
        record.written = Written()
        if record.expected or self._is_alive(record):
            self.checks.set(record.node_id, self.clock.monotonic())
        else:
            self._drop(record)

    # --- Nodes of the cluster

    def observe_kube_node(self, raw: dict[str, Any]) -> None:
        """Take a Node of the cluster."""
        now = self.clock.monotonic()
        try:
            node = KubeNode.parse(raw)
            self.kube_nodes[node.node_id] = node
            self.quarantined.pop(node.node_id, None)
            record = self.nodes.get(node.node_id)
            if record is None and self.expects_kube_nodes:
                record = self._new(node.node_id, now)
        except WireError:
            return
        if record is None:
            return
        record.expected = self.expects_kube_nodes
        live = noticed(record.live, now, ready=node.ready)
        self._update(record, drained(live, now) if node.unschedulable else live, record.facts)
        if record.observed is None or record.observed.owner_uid != node.uid:
            self.checks.set(node.node_id, now)

    def forget_kube_node(self, name: str) -> None:
        """Take note that a Node is gone; what became of its object, the sweep sees to."""
        try:
            node_id = keys.node_id_from_name(name)
        except WireError:
            return
        record = self.nodes.get(node_id)
        if self.kube_nodes.pop(node_id, None) is None or record is None:
            return
        record.expected = False
        self._update(record, noticed(record.live, self.clock.monotonic(), ready=None), record.facts)
        if record.observed is None and not self._is_alive(record):
            self._drop(record)

    # --- who belongs here

    def _admit(self, node_id: str, moment: float) -> None:
        if self.unknown_nodes == "adopt" or node_id in self.kube_nodes:
            return
        if self.unknown_nodes == "quarantine":
            self.quarantined.pop(node_id, None)
            self.quarantined[node_id] = moment
            if len(self.quarantined) > QUARANTINE_MAX:
                del self.quarantined[next(iter(self.quarantined))]
        raise WireError("UnknownNode", "nodeId", "neither the cluster nor an object knows it")

    def _is_alive(self, record: NodeRecord) -> bool:
        known = self.unknown_nodes == "adopt" or record.node_id in self.kube_nodes
        return known and record.live.state in ALIVE and record.live.last_beat is not None

    def _restored(self, node_id: str, observed: ObservedObject, now: float) -> NodeRecord:
        status = observed.status()
        reason, message = ready_claim(status)
        live = restored(
            policy_of(observed, self.policy),
            now,
            state=status.state,
            reason=reason,
            message=message,
            maintenance=observed.maintenance,
            decommission=observed.decommission,
        )
        kube_node = self.kube_nodes.get(node_id)
        written = Written(at=now - self._age_of(status.confirmed_time))
        record = NodeRecord(node_id, observed.name, live, observed=observed, written=written)
        self._add(record).expected = self.expects_kube_nodes and kube_node is not None
        live = resumed(noticed(live, now, ready=kube_node.ready if kube_node else None), now)
        self._update(record, live, None)
        return record

    def _make_room(self, name: str, node_id: str) -> None:
        """Let an object have its name: who else was about to get one of that name, does not."""
        other = self._by_name.get(name)
        if other is not None and other != node_id:
            _log.warning("object_name_taken", object=name, node=node_id, refused=other)
            self._drop(self.nodes[other])

    # --- what a word gives away besides

    def _suspect_double(self, record: NodeRecord, place: EntryId, beat: Beat, refused: str) -> None:
        newer = record.last_id is None or place > record.last_id
        if refused == "FormerBoot" and newer:
            now = self.clock.monotonic()
            self._update(record, sighted(record.live, beat, now), record.facts)

    def _returns(self, record: NodeRecord, version: str | None, now: float) -> None:
        if record.facts is not None:
            before = record.facts.agent_version
        else:
            agent = record.observed.status().agent if record.observed else None
            before = agent.version if agent else None
        self._update(record, upgraded(record.live, before, version, now), record.facts)

    def _cordoned(self, node_id: str) -> bool:
        kube_node = self.kube_nodes.get(node_id)
        return kube_node is not None and kube_node.unschedulable

    def _age_of(self, confirmed: str | None) -> float:
        try:
            return max(0.0, self.clock.now() - parse_timestamp(confirmed or ""))
        except WireError:
            return 0.0


def _outdated(news: ObservedObject, known: ObservedObject | None) -> bool:
    return known is not None and known.uid == news.uid and news.version < known.version
