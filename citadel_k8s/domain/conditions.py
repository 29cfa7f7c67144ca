"""From a node's state and facts to Kubernetes conditions; every one carries a reason.

Silence renders ``Unknown``, never ``False``: the node controller says the same of a silent
kubelet. A condition about things of which nothing is known is ``Unknown`` too.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from citadel_k8s.constants import CLOCK_SKEW_MAX, LIST_MAX
from citadel_k8s.domain.facts import NOT_REPORTED, NodeFacts
from citadel_k8s.domain.liveness import ALIVE, Liveness
from citadel_k8s.models.fabricnode import Condition, NodeState

Truth = Literal["True", "False", "Unknown"]


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
) -> list[Condition]:
    """Give all conditions of a node; a time moves only when its status does.

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
    """
    before = {condition.type: condition for condition in previous}
    return [_timed(claim, before.get(claim.type), now, generation) for claim in claims(node, facts)]


def claims(node: Liveness, facts: NodeFacts | None) -> Sequence[Claim]:
    """Give what is claimed of a node, without times."""
    fresh = _heartbeat_fresh(node)
    if fresh.status != "True" or facts is None:
        silent = [
            Claim(kind, "Unknown", node.reason, "not known while the node is silent")
            for kind in ("GPUHealthy", "ServicesHealthy", "ClockSynced")
        ]
        return [_ready(node), fresh, *silent]
    return [_ready(node), fresh, _gpu_healthy(facts), _services_healthy(facts), _clock(facts)]


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
    if node.state in ALIVE:
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
