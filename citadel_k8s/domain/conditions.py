"""From a node's state and facts to Kubernetes conditions; every one carries a reason.

Silence renders ``Unknown``, never ``False``: the node controller says the same of a silent
kubelet. A condition about things of which nothing is known is ``Unknown`` too.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from citadel_k8s.constants import CLOCK_SKEW_MAX, LIST_MAX
from citadel_k8s.domain import flapping
from citadel_k8s.domain.facts import NOT_REPORTED, NodeFacts, clip
from citadel_k8s.domain.life import Liveness
from citadel_k8s.models.fabricnode import Condition, NodeState

Truth = Literal["True", "False", "Unknown"]


MESSAGE_MAX: Final = 256
"""Characters kept of an error that is told in a condition."""


OURS: Final = frozenset(
    {
        "Ready",
        "HeartbeatFresh",
        "GPUHealthy",
        "ServicesHealthy",
        "ClockSynced",
        "ConfigApplied",
        "Flapping",
        "Maintenance",
    }
)
"""Types of the conditions that are claimed here; all others are other programs'."""

CONDITIONS_MAX: Final = 16
"""Conditions of one object. Source: the definition, which refuses more."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The configuration that a node is to have.

    Attributes
    ----------
    revision
        What was sent; None if nothing is wanted.
    error
        Why the object's configuration cannot be sent; None if it can.
    unsupported
        What of it means nothing on Kubernetes; said beside the revision.
    """

    revision: str | None = None
    error: str | None = None
    unsupported: tuple[str, ...] = ()


NOTHING_WANTED: Final = Wanted()
"""Of a node whose object asks for no configuration."""


class Claim(NamedTuple):
    """A condition without its times."""

    type: str
    status: Truth
    reason: str
    message: str


def conditions_of(
    node: Liveness,
    facts: NodeFacts | None,
    previous: Iterable[Condition],
    *,
    now: str,
    generation: int | None,
    wanted: Wanted = NOTHING_WANTED,
) -> list[Condition]:
    """Give all conditions of a node; a time moves only when its status does.

    ``Flapping`` is there from the first time on, ``Maintenance`` only as long as it lasts. What
    other programs say stays as it is, behind ours and as far as there is room.

    Parameters
    ----------
    node, facts : Liveness, NodeFacts or None
        What is known.
    previous : iterable of Condition
        What the object says now.
    now : str
        RFC 3339.
    generation : int or None
        The object's generation that was looked at.
    wanted : Wanted
        The configuration that it is to have.
    """
    before = {condition.type: condition for condition in previous}
    found = claims(node, facts, wanted=wanted, known=before)
    ours = [_timed(claim, before.get(claim.type), now, generation) for claim in found]
    theirs = [condition for kind, condition in before.items() if kind not in OURS]
    return [*ours, *theirs[: CONDITIONS_MAX - len(ours)]]


def claims(
    node: Liveness,
    facts: NodeFacts | None,
    *,
    wanted: Wanted = NOTHING_WANTED,
    known: Container[str] = (),
) -> Sequence[Claim]:
    """Give what is claimed of a node, without times; ``known`` are the types that it has."""
    passing = _passing(node, known)
    if not node.fresh or facts is None:
        silent = (
            Claim(kind, "Unknown", node.reason, "not known while the node is silent")
            for kind in ("GPUHealthy", "ServicesHealthy", "ClockSynced", "ConfigApplied")
        )
        return [_ready(node), _heartbeat_fresh(node), *silent, *passing]
    return [
        _ready(node),
        _heartbeat_fresh(node),
        _gpu_healthy(facts),
        _services_healthy(facts),
        _clock(facts),
        _config_applied(facts, wanted),
        *passing,
    ]


def _ready(node: Liveness) -> Claim:
    match node.state:
        case NodeState.ONLINE:
            status: Truth = "True"
        case NodeState.DEGRADED | NodeState.DRAINING | NodeState.DECOMMISSIONED:
            status = "False"
        case NodeState.UNKNOWN | NodeState.STALE | NodeState.OFFLINE:
            status = "Unknown"
    return Claim("Ready", status, node.reason, node.message)


def _heartbeat_fresh(node: Liveness) -> Claim:
    if node.fresh:
        return Claim("HeartbeatFresh", "True", "Heartbeat", "reports on time")
    status: Truth = "False" if node.last_beat is not None else "Unknown"
    return Claim("HeartbeatFresh", status, node.reason, node.message)


def _gpu_healthy(facts: NodeFacts) -> Claim:
    kind = "GPUHealthy"
    source = facts.gpu_source
    if not facts.gpus:
        reason = source.reason if source else ("NoGPU" if facts.gpus == () else NOT_REPORTED)
        return Claim(kind, "Unknown", reason, "no GPU is reported")
    bad = [gpu for gpu in facts.gpus if gpu.health in {"failed", "degraded"}]
    if bad:
        which = ", ".join(str(gpu.index) for gpu in bad[:LIST_MAX])
        more = f" and {len(bad) - LIST_MAX} more" if len(bad) > LIST_MAX else ""
        message = f"GPU {which}{more} of {_all(facts)}"
        return Claim(kind, "False", bad[0].reason or "GpuFailed", message)
    if any(gpu.health == "unknown" for gpu in facts.gpus):
        reason = source.reason if source else NOT_REPORTED
        return Claim(kind, "Unknown", reason, "health is not known of every GPU")
    return Claim(kind, "True", "AllHealthy", f"{_all(facts)} GPUs are healthy")


def _services_healthy(facts: NodeFacts) -> Claim:
    kind = "ServicesHealthy"
    if not facts.services:
        reason = "NoServices" if facts.services == () else NOT_REPORTED
        return Claim(kind, "Unknown", reason, "no service is reported")
    wanted = [s for s in facts.services if s.status != "stopped" or s.reason]
    bad = [s for s in wanted if not s.serving]
    if bad:
        words = ", ".join(f"{s.name} {s.health}" for s in bad[:4])
        status: Truth = "Unknown" if all(s.health == "unknown" for s in bad) else "False"
        return Claim(kind, status, bad[0].reason or "NotServing", words)
    return Claim(kind, "True", "AllServing", f"{len(wanted)} serving")


def _clock(facts: NodeFacts) -> Claim:
    offset = facts.clock_offset
    if offset is None:
        return Claim("ClockSynced", "Unknown", NOT_REPORTED, "the node did not say its time")
    if abs(offset) > CLOCK_SKEW_MAX:
        return Claim("ClockSynced", "False", "ClockSkew", f"off by {offset:+.0f} s")
    return Claim("ClockSynced", "True", "InSync", f"within {CLOCK_SKEW_MAX:.0f} s")


def _config_applied(facts: NodeFacts, wanted: Wanted) -> Claim:
    kind, reported = "ConfigApplied", facts.config_revision
    if wanted.error is not None:
        return Claim(kind, "False", "Refused", clip(wanted.error, MESSAGE_MAX))
    if wanted.revision is None:
        # Whatever the node has, nobody asked for it here.
        message = "no configuration is asked for"
        return Claim(kind, "Unknown", "NoConfig", message)
    if reported == wanted.revision:
        without = f"; without {', '.join(wanted.unsupported)}" if wanted.unsupported else ""
        message = clip(f"revision {reported}{without}", MESSAGE_MAX)
        return Claim(kind, "True", "Applied", message)
    if facts.config_error is not None:
        return Claim(kind, "False", "Refused", clip(facts.config_error, MESSAGE_MAX))
    has = "none" if reported is None else reported
    return Claim(kind, "False", "Pending", f"wanted {wanted.revision}, the node has {has}")


def _passing(node: Liveness, known: Container[str]) -> Iterator[Claim]:
    """Give what most nodes never have."""
    if node.flapping:
        minutes = flapping.FLAPPING_WINDOW / 60
        message = f"{flapping.FLAPPING_CHANGES} changes of state or more within {minutes:.0f} min"
        yield Claim("Flapping", "True", "StateChanges", message)
    elif "Flapping" in known:
        yield Claim("Flapping", "False", "Settled", "its state has settled")
    if node.maintenance:
        message = "spec.maintenance is set: silence is no outage, and nobody is alerted"
        yield Claim("Maintenance", "True", "Asked", message)


def _all(facts: NodeFacts) -> int:
    return len(facts.gpus or ())


def _timed(claim: Claim, before: Condition | None, now: str, generation: int | None) -> Condition:
    same = before is not None and before.status == claim.status
    return Condition(
        type=claim.type,
        status=claim.status,
        reason=claim.reason,
        message=claim.message,
        last_transition_time=before.last_transition_time if same and before else now,
        observed_generation=generation,
    )
