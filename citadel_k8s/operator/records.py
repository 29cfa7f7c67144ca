"""What the operator keeps of each node and of each object."""

from dataclasses import dataclass, field
from typing import Any, Final, cast

import pydantic
import pydantic_core

from citadel_k8s.domain import keys
from citadel_k8s.domain.absence import noticed
from citadel_k8s.domain.facts import NodeFacts
from citadel_k8s.domain.liveness import Liveness, Phase, Policy
from citadel_k8s.domain.reconcile import Written
from citadel_k8s.domain.restoring import Past, recalled, restored, resumed
from citadel_k8s.models.fabricnode import FabricNodeSpec, FabricNodeStatus, HeartbeatSpec, NodeState
from citadel_k8s.stores.entries import EntryId

_KEPT_SPEC: Final = ("heartbeat", "config", "maintenance")
"""What people said of a node, and what its object gets back when it has to be made anew."""

_STATES: Final = frozenset(state.value for state in NodeState)


@dataclass(frozen=True, slots=True)
class ObservedObject:
    """A FabricNode as the API server has it. The status is kept as JSON: a tenth of the memory."""

    name: str
    uid: str
    node_id: str
    node_name: str | None
    version: int
    generation: int | None
    owner_uid: str | None
    heartbeat: HeartbeatSpec | None
    kept_spec: dict[str, Any]
    status_json: bytes
    maintenance: bool = False
    decommission: bool = False
    state: str | None = None

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> "ObservedObject":
        """Read a raw object; what people made unreadable in it counts as not being there."""
        metadata = _mapping(raw.get("metadata"))
        spec = _mapping(raw.get("spec"))
        status = _mapping(raw.get("status"))
        return cls(
            name=str(metadata.get("name", "")),
            uid=str(metadata.get("uid", "")),
            node_id=str(spec.get("nodeId") or metadata.get("name", "")),
            node_name=spec.get("nodeName"),
            version=version_of(metadata.get("resourceVersion")),
            generation=metadata.get("generation"),
            owner_uid=owner_uid(raw),
            heartbeat=_heartbeat(spec),
            kept_spec={key: spec[key] for key in _KEPT_SPEC if key in spec},
            status_json=pydantic_core.to_json(status),
            maintenance=spec.get("maintenance") is True,
            decommission=spec.get("decommission") is True,
            state=_text(status.get("state")),
        )

    def status_document(self) -> dict[str, Any]:
        """Give the raw status."""
        return _mapping(pydantic_core.from_json(self.status_json))

    def status(self) -> FabricNodeStatus:
        """Give the status; a part that is unreadable counts as missing and will be written anew.

        The rest stays: an older definition drops what is needed in one part, and without the
        conditions every write would be a new transition.
        """
        document = self.status_document()
        try:
            return FabricNodeStatus.model_validate(document)
        except pydantic.ValidationError as error:
            unreadable = {problem["loc"][0] for problem in error.errors(include_url=False)}
            readable = {key: part for key, part in document.items() if key not in unreadable}
            return FabricNodeStatus.model_validate(readable)


@dataclass(frozen=True, slots=True)
class KubeNode:
    """A Node of the cluster."""

    name: str
    uid: str
    node_id: str
    ready: bool | None = None
    unschedulable: bool = False

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> "KubeNode":
        """Read a raw Node.

        Raises
        ------
        WireError
            If it has no name that can be one.
        """
        metadata = _mapping(raw.get("metadata"))
        name = str(metadata.get("name", ""))
        return cls(
            name=name,
            uid=str(metadata.get("uid", "")),
            node_id=keys.node_id_from_name(name),
            ready=_is_ready(_mapping(raw.get("status")).get("conditions")),
            unschedulable=_mapping(raw.get("spec")).get("unschedulable") is True,
        )


@dataclass(frozen=True, slots=True)
class KeptSpec:
    """What people said of a node, for an object made anew; ``at`` is seconds since the epoch."""

    spec: dict[str, Any]
    at: float


@dataclass(frozen=True, slots=True)
class Memory:
    """What the operator before this one knew of a node.

    Attributes
    ----------
    id_ms
        The last counted entry's id, in milliseconds of the stream server's clock.
    boot_id, seq, former_boots, former_seqs
        Who spoke last and who before, and each one's last sequence number.
    state, reason
        As they were.
    interval
        Seconds between heartbeats, by the node's own word; None if it had none.
    age
        Seconds from that entry until now, by the stream server's clock.
    back_ms
        When an announced absence ends, or the time that was given as nobody could be heard, by the
        same clock; None if there is neither.
    changes_ms
        When its state changed last, by the same clock.
    position
        That entry's id as it lies in the stream. Where the server's clock was set back since the
        stream began, its milliseconds stand ahead of ``id_ms``; None if it is not known.
    streak
        Words in a row since it was down.
    """

    id_ms: int
    boot_id: str | None
    seq: int | None
    former_boots: tuple[str, ...]
    state: str
    reason: str
    interval: float | None = None
    age: float = 0.0
    back_ms: int | None = None
    changes_ms: tuple[int, ...] = ()
    former_seqs: tuple[int | None, ...] = ()
    position: EntryId | None = None
    streak: int = 0

    @classmethod
    def of(cls, record: "NodeRecord") -> "Memory | None":
        """Give what is worth remembering of a node; None if it was not heard yet.

        It changes only when something is heard or changes: the age is left at 0.
        """
        live, heard_ms = record.live, record.heard_ms
        if heard_ms is None or live.last_beat is None:
            return None
        return cls(
            id_ms=heard_ms,
            boot_id=live.boot_id,
            seq=live.seq,
            former_boots=live.former_boots,
            former_seqs=live.former_seqs,
            state=live.state.value,
            reason=live.reason,
            interval=record.interval,
            back_ms=back_ms(record),
            changes_ms=tuple(_moment_ms(record, moment) for moment in live.changes),
            position=record.last_id,
            streak=live.streak if live.down else 0,
        )

    @property
    def readable(self) -> bool:
        """Whether its state is one that this operator knows."""
        return self.state in _STATES

    def applied(self, node: Liveness, now: float) -> Liveness:
        """Give a node, as its object has it, with what is remembered of it.

        What is remembered counts more, but for a node that its object knows to be down since.
        """
        past = self._past(now)
        policy = node.policy.paced(self.interval)
        absence = policy.timeout
        if self.back_ms is not None:
            absence = min(absence, (self.back_ms - self.id_ms) / 1000)
        if node.phase is Phase.DOWN and self.age >= absence:
            return recalled(node, past, now)
        same = (self.state, self.reason) == (node.state.value, node.reason)
        told = restored(
            policy,
            now,
            state=NodeState(self.state),
            reason=self.reason,
            message=node.message if same else f"was {self.state} before this operator started",
            maintenance=node.maintenance,
            decommission=node.decommission,
        )
        return resumed(recalled(noticed(told, now, ready=node.node_ready), past, now), now)

    def _past(self, now: float) -> Past:
        last_beat = now - max(0.0, self.age)

        def moment(ms: int) -> float:
            return last_beat + (ms - self.id_ms) / 1000

        return Past(
            last_beat=last_beat,
            boot_id=self.boot_id,
            seq=self.seq,
            former_boots=self.former_boots,
            former_seqs=self.former_seqs,
            streak=self.streak,
            back_by=None if self.back_ms is None else moment(self.back_ms),
            changes=tuple(moment(ms) for ms in self.changes_ms),
        )


@dataclass(slots=True)
class NodeRecord:
    """All that is known of one node.

    Its last word came at ``heard_ms``, by the stream server's clock; ``last_id`` is where it lies
    in the stream, which says when only as long as that clock is not set back.
    """

    node_id: str
    name: str
    live: Liveness
    facts: NodeFacts | None = None
    heard_ms: int | None = None
    interval: float | None = None
    observed: ObservedObject | None = None
    kept_spec: dict[str, Any] = field(default_factory=dict[str, Any])
    written: Written = field(default_factory=Written)
    settled: int | None = None
    held_since: float | None = None
    config_wanted: str | None = None
    config_error: str | None = None
    config_unsupported: tuple[str, ...] = ()
    last_id: EntryId | None = None
    expected: bool = False


def back_ms(record: NodeRecord) -> int | None:
    """Give until when a node's silence is borne, by the stream server's clock.

    None if that follows from its last word alone, or there was none.
    """
    live = record.live
    if live.deadline is None or live.last_beat is None:
        return None
    borne = live.phase is Phase.LEAVING or live.held
    return _moment_ms(record, live.deadline) if borne else None


def _moment_ms(record: NodeRecord, moment: float) -> int:
    heard, beat = record.heard_ms, record.live.last_beat
    return 0 if heard is None or beat is None else heard + round((moment - beat) * 1000)


def owner_uid(raw: dict[str, Any]) -> str | None:
    """Give the uid of the Node that a raw object belongs to, None if it belongs to none."""
    metadata = _mapping(raw.get("metadata"))
    owners = cast("list[dict[str, Any]]", metadata.get("ownerReferences") or [])
    return next((owner.get("uid") for owner in owners if owner.get("kind") == "Node"), None)


def policy_of(observed: ObservedObject | None, default: Policy) -> Policy:
    """Give the policy for a node: its object's word where it has one, else the operator's."""
    spec = observed.heartbeat if observed else None
    if spec is None:
        return default
    return Policy(
        interval=_or(spec.interval_seconds, default.interval),
        missed=_or(spec.missed_heartbeats, default.missed),
        skew=_or(spec.skew_seconds, default.skew),
    )


def _is_ready(conditions: Any) -> bool | None:
    """Give what a Node's Ready condition says: Unknown is the node controller's word for silent."""
    known: list[Any] = conditions if isinstance(conditions, list) else []  # pyright: ignore[reportUnknownVariableType]
    found = (_mapping(one) for one in known)
    word = next((one.get("status") for one in found if one.get("type") == "Ready"), None)
    return None if word is None else word == "True"


def version_of(text: Any) -> int:
    """Give a resource version as a number; 0 if it is none."""
    # Resource versions of one resource can be compared as numbers since Kubernetes 1.35, and
    # etcd's revisions always could; whatever is no number counts as oldest.
    return int(text) if isinstance(text, str) and text.isdecimal() else 0


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _heartbeat(spec: dict[str, Any]) -> HeartbeatSpec | None:
    try:
        parsed = FabricNodeSpec.model_validate({"nodeId": "x", "heartbeat": spec.get("heartbeat")})
    except pydantic.ValidationError:
        return None
    return parsed.heartbeat


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
