"""A node as an operator before this one knew it: from its object alone, or from the snapshot."""

from dataclasses import dataclass, replace
from typing import Final

from citadel_k8s.constants import GOODBYE_SECONDS
from citadel_k8s.domain import flapping
from citadel_k8s.domain.absence import REJUDGE_SECONDS
from citadel_k8s.domain.doubles import DOUBLED_SECONDS
from citadel_k8s.domain.facts import clip, reason_word
from citadel_k8s.domain.life import (
    DUPLICATE_AGENT,
    MAINTENANCE,
    NODE_NOT_READY,
    PUBLISH_FAILING,
    Liveness,
    Phase,
    Policy,
    Words,
    shown,
)
from citadel_k8s.domain.liveness import CONFIRMING_REPORTS, created
from citadel_k8s.domain.verdicts import Fault
from citadel_k8s.models.fabricnode import NodeState

MESSAGE_MAX: Final = 500
"""Characters kept of a message that somebody may have written into an object."""


@dataclass(frozen=True, slots=True)
class Past:
    """Who spoke last, and when, as the operator before this one counted it.

    Attributes
    ----------
    last_beat
        When; monotonic seconds of this operator.
    boot_id, seq
        Who, and the number of the word.
    former_boots, former_seqs
        Who before, and each one's last number.
    back_by
        When an announced absence ends, or the time that was given as nobody could be heard; None
        if there is neither.
    changes
        Moments of the last changes of state.
    streak
        Words in a row since it was down.
    """

    last_beat: float
    boot_id: str | None
    seq: int | None
    former_boots: tuple[str, ...]
    back_by: float | None = None
    changes: tuple[float, ...] = ()
    former_seqs: tuple[int | None, ...] = ()
    streak: int = 0


def restored(
    policy: Policy,
    now: float,
    *,
    state: NodeState,
    reason: str,
    message: str,
    maintenance: bool = False,
    decommission: bool = False,
) -> Liveness:
    """Give a node as its object tells it, without evidence of our own.

    A node that was alive or leaving stays so for a full timeout; one that was Offline stays so
    until it speaks; anything else is as good as new. What follows from what people want meanwhile,
    `shown` says.
    """
    fresh = replace(created(policy, now), maintenance=maintenance, decommission=decommission)
    words = Words(reason_word(reason), clip(message, MESSAGE_MAX))
    # Whose process it was the object knows, but not which ones came before: the stream is read
    # again from there, and a former one in it would pass for the next.
    told = replace(fresh, state=state, reason=words.reason, message=words.message)
    match state:
        case NodeState.OFFLINE:
            return replace(told, phase=Phase.DOWN, words=words, deadline=None)
        case NodeState.DRAINING:
            return _restored_draining(told, words, now)
        case NodeState.DEGRADED:
            return _restored_degraded(told, words, now)
        case NodeState.ONLINE:
            return replace(told, phase=Phase.SPEAKING, words=words)
        case NodeState.UNKNOWN | NodeState.STALE | NodeState.DECOMMISSIONED:
            return fresh


def _restored_draining(node: Liveness, words: Words, now: float) -> Liveness:
    if words.reason == MAINTENANCE.reason:
        # Down, and known to be; if the maintenance is over meanwhile, it is judged soon.
        deadline = None if node.maintenance else now + REJUDGE_SECONDS
        return replace(node, phase=Phase.DOWN, deadline=deadline)
    deadline = now + max(node.policy.timeout, GOODBYE_SECONDS)
    return replace(node, phase=Phase.LEAVING, words=words, left_at=now, deadline=deadline)


def _restored_degraded(node: Liveness, words: Words, now: float) -> Liveness:
    if words.reason == PUBLISH_FAILING.reason:
        return replace(node, phase=Phase.ANSWERING, words=words)
    if words.reason == DUPLICATE_AGENT.reason:
        return replace(node, phase=Phase.SPEAKING, doubled_until=now + DOUBLED_SECONDS)
    if words.reason == NODE_NOT_READY.reason:
        # That is for the cluster to say again: no report of the node began it, and none ends it.
        return replace(node, phase=Phase.SPEAKING)
    fault = Fault(words.reason, words.message, definite=True)
    return replace(node, phase=Phase.SPEAKING, believed=(fault,))


def recalled(node: Liveness, past: Past, now: float) -> Liveness:
    """Give a restored node what the snapshot knows of its last word.

    Its age counts, and not the restart: whoever died before that is found in time. Whoever was
    down stays so.
    """
    at = min(past.last_beat, now)
    unnumbered = [None] * (len(past.former_boots) - len(past.former_seqs))
    heard = replace(
        node,
        last_beat=at,
        boot_id=past.boot_id,
        seq=past.seq,
        former_boots=past.former_boots,
        former_seqs=(*past.former_seqs, *unnumbered),
        streak=past.streak if node.phase is Phase.DOWN else CONFIRMING_REPORTS,
        changes=past.changes[-flapping.FLAPPING_CHANGES :],
        flapping=flapping.is_flapping(past.changes, now),
    )
    match node.phase:
        case Phase.DOWN:
            return heard
        case Phase.LEAVING:
            back_by = at + GOODBYE_SECONDS if past.back_by is None else past.back_by
            return replace(heard, deadline=back_by, left_at=at)
        case Phase.NEW | Phase.SPEAKING | Phase.ANSWERING:
            return _given(heard, past.back_by, now)


def _given(node: Liveness, until: float | None, now: float) -> Liveness:
    """Give a node with the time that was given to it, in so far as it may be right."""
    due = node.quiet_since + node.policy.timeout
    if until is None or until <= due:
        return replace(node, deadline=due)
    # Nobody was ever given more; the clock that told it may have been set since.
    until = min(until, max(due, now + node.policy.timeout))
    return replace(node, not_before=until, deadline=until)


def resumed(node: Liveness, now: float) -> Liveness:
    """Give a restored node in the state that follows from all that is known of it by now."""
    return node if node.to_be_judged else shown(node, now)
