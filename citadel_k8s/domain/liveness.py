"""The state machine of one node: what a heartbeat, a silence or a goodbye makes of it.

All moments are seconds of the operator's own monotonic clock. The age of a heartbeat comes from
the receiver's side (its entry in the stream), never from the sender's clock. Functions give a new
`Liveness`; nothing here waits, reads or writes. `absence` has what people and the cluster say,
`restoring` what an operator before this one knew, `doubles` what gives a second agent away.

The deadline of a node is when its silence counts. Reaching it is necessary and not sufficient:
the caller proves first that the pipe was open past the deadline (see `expired`).
"""

from dataclasses import replace
from typing import Final

from citadel_k8s.constants import GOODBYE_MAX_SECONDS, GOODBYE_SECONDS
from citadel_k8s.domain import flapping
from citadel_k8s.domain.facts import clip, reason_word
from citadel_k8s.domain.life import (
    ALIVE,
    NEVER,
    NEVER_YET,
    ON_TIME,
    PUBLISH_FAILING,
    Beat,
    Goodbye,
    Liveness,
    Phase,
    Policy,
    Words,
    shown,
)
from citadel_k8s.models.fabricnode import NodeState

__all__ = [
    "ALIVE",
    "Beat",
    "Goodbye",
    "Liveness",
    "Phase",
    "Policy",
    "answering",
    "beaten",
    "created",
    "deferred",
    "expired",
    "postponed",
    "rejection",
]

CONFIRMING_REPORTS: Final = 2
"""Reports in a row that make a soft fault, or its end, believed; and heartbeats in a row that
bring back a node that never restarted: one may be a straggler in the pipe."""

AGES_DIFFER: Final = 1.0
"""Seconds by which two ages of one entry may differ, asked at different times; entries of one node
are further apart."""

FORMER_BOOTS_MAX: Final = 8
"""Boot ids remembered of a node. A crash loop makes one in 10 s at most, and a straggler from
before 80 s is older than every retry."""


def created(policy: Policy, now: float) -> Liveness:
    """Give a node of which nothing is known yet; it has one timeout to speak."""
    return Liveness(
        policy=policy,
        state=NodeState.UNKNOWN,
        reason=NEVER_YET.reason,
        message=NEVER_YET.message,
        since=now,
        deadline=now + policy.timeout,
        phase=Phase.NEW,
        counted_from=now,
    )


def rejection(node: Liveness, beat: Beat, now: float) -> str | None:
    """Say why a message must not count: a duplicate, a straggler or a former process.

    What is older than a word that counted was counted before it: a stream is in order, and begins
    anew only where it is read again, by an operator that knows more than its beginning.

    A former process counts again once the one after it has been silent for one and a half
    intervals: whoever still speaks then is no straggler, but the node's own agent, after somebody
    tried out a second one, or after a last word of the process before it arrived late.
    """
    known = node.last_seq(beat.boot_id)
    if known is not None and beat.seq is not None and beat.seq <= known:
        return "Replayed"
    if beat.boot_id is not None and beat.boot_id == node.boot_id:
        return None
    if node.last_beat is not None and beat.at < node.last_beat - AGES_DIFFER:
        return "Outdated"
    if beat.boot_id is None or beat.boot_id not in node.former_boots or _was_silent(node, beat):
        return None
    # That there are two is known: whoever stays when one says goodbye is the node's own.
    stays = node.phase is Phase.LEAVING and node.doubled_until > now
    return None if stays else "FormerBoot"


def beaten(node: Liveness, beat: Beat, now: float) -> Liveness:
    """Take a heartbeat into account; one that `rejection` refuses changes nothing."""
    if rejection(node, beat, now):
        return node
    heard = _introduced(node, beat, now)
    late = now - heard.quiet_since
    if heard.phase is Phase.SPEAKING and not beat.goodbye:
        # The steady case, 333 times a second in a large fleet: nothing but what was heard moves.
        steady = not beat.faults and _untroubled(heard, now)
        return heard if steady else shown(_judged(heard, beat), now)
    if _is_old_news(heard, late, leaving=beat.goodbye is not None):
        return _told_late(node, heard)
    if beat.goodbye:
        return _leaving(heard, beat.goodbye, now)
    if heard.phase is Phase.DOWN and heard.streak < _reports_needed(heard):
        return heard
    back = replace(heard, phase=Phase.SPEAKING, suspects=frozenset(), clean=0, believed=())
    return shown(_judged(back, beat), now)


def expired(
    node: Liveness, now: float, *, reason: str | None = None, message: str | None = None
) -> Liveness:
    """Take silence into account. The caller has proved that the pipe was open.

    Before the deadline, and for a node whose silence is known, nothing changes. A reason given is
    that of evidence from elsewhere, such as ``NodeNotReady``.
    """
    if node.deadline is None or now < node.deadline:
        return node
    words = node.words if node.phase is Phase.DOWN and node.words else _silence_of(node, now)
    words = Words(reason or words.reason, message or words.message)
    down = replace(
        node, phase=Phase.DOWN, words=words, deadline=None, streak=0,
        suspects=frozenset(), clean=0, believed=(), left_at=None,
    )  # fmt: skip
    return shown(down, now)


def answering(node: Liveness, now: float, *, message: str | None = None) -> Liveness:
    """Take note that a silent node answers when asked; it is asked again an interval later."""
    words = Words(PUBLISH_FAILING.reason, message) if message else None
    asked = replace(
        node, phase=Phase.ANSWERING, words=words, deadline=now + node.policy.interval,
        suspects=frozenset(), clean=0, believed=(), left_at=None,
    )  # fmt: skip
    return shown(asked, now)


def postponed(node: Liveness, seconds: float, *, woke: float = float("inf")) -> Liveness:
    """Let silence count later: the one who listens stood still for so long.

    What has been deferred since it woke counts from then, and does not add up with the pause.
    """
    if node.deadline is None:
        return node
    if node.not_before - node.policy.stale_after >= woke:
        awaited = node.phase in {Phase.SPEAKING, Phase.NEW}
        due = node.quiet_since + node.policy.timeout + seconds if awaited else node.deadline
        return replace(node, deadline=max(node.deadline, due))
    return replace(node, deadline=node.deadline + seconds, not_before=node.not_before + seconds)


def deferred(node: Liveness, until: float) -> Liveness:
    """Let silence not count before a moment: the pipe was closed, nobody could be heard."""
    if node.deadline is None or node.not_before >= until:
        return node
    return replace(node, not_before=until, deadline=max(node.deadline, until))


def _was_silent(node: Liveness, beat: Beat) -> bool:
    """Say whether the node was silent for longer than a living one is, before this word.

    A stream that is read again tells of such a silence when it is long over.
    """
    if node.phase is Phase.DOWN:
        return True
    return node.last_beat is not None and beat.at - node.last_beat >= node.policy.stale_after


def _untroubled(node: Liveness, now: float) -> bool:
    return (
        node.state is NodeState.ONLINE
        and node.reason == ON_TIME.reason
        and node.message == ON_TIME.message
        and not node.suspects
        and not node.flapping
        and node.node_ready is not False
        and node.doubled_until <= now
    )


def _introduced(node: Liveness, beat: Beat, now: float) -> Liveness:
    """Take down who spoke and when; what that means, others say."""
    last = node.last_beat
    # Nobody speaks in the future, and what comes late does not make an earlier word younger.
    at = min(beat.at, now) if last is None else max(last, min(beat.at, now))
    in_a_row = last is None or at - last <= node.policy.stale_after
    streak = (node.streak if in_a_row else 0) + 1
    if beat.boot_id is not None and beat.boot_id != node.boot_id:
        if beat.boot_id not in node.former_boots:
            # A new process cannot be a straggler of the old one: its first word is enough. One
            # after the other for a quarter of an hour is a crash loop, which has to settle first.
            streak = 1 if node.flapping else CONFIRMING_REPORTS
        node = _followed(node, beat.boot_id)
    policy = node.policy.paced(beat.interval)
    # A fresh word shows that one can be heard; old news from the backlog does not.
    not_before = NEVER if now - at <= policy.stale_after else node.not_before
    return replace(
        node,
        policy=policy,
        last_beat=at,
        seq=beat.seq if beat.boot_id else node.seq,
        streak=streak,
        not_before=not_before,
        deadline=max(at + policy.timeout, not_before),
        words=None if node.phase is Phase.SPEAKING else node.words,
    )


def _followed(node: Liveness, boot_id: str) -> Liveness:
    """Give the node with another process, and what is known of those before it."""
    if node.boot_id is None:
        return replace(node, boot_id=boot_id)
    former = zip(node.former_boots, node.former_seqs, strict=False)
    kept = [(boot, seq) for boot, seq in former if boot != boot_id]
    kept = [*kept, (node.boot_id, node.seq)][-FORMER_BOOTS_MAX:]
    return replace(
        node,
        boot_id=boot_id,
        former_boots=tuple(boot for boot, _ in kept),
        former_seqs=tuple(seq for _, seq in kept),
    )


def _is_old_news(node: Liveness, late: float, *, leaving: bool) -> bool:
    """Say whether a word was so long on its way that nothing follows from it for now."""
    if leaving:
        # Whoever is known to be down has been so since.
        return node.phase is Phase.DOWN and late > node.policy.stale_after
    return late >= node.policy.timeout


def _told_late(node: Liveness, heard: Liveness) -> Liveness:
    """Take old news from the backlog: when the node spoke last, not that it is back."""
    match node.phase:
        case Phase.DOWN:
            return replace(heard, deadline=node.deadline)
        case Phase.ANSWERING:
            later = max(node.deadline or 0.0, heard.deadline or 0.0)
            return replace(heard, deadline=later)
        case Phase.NEW | Phase.LEAVING | Phase.SPEAKING:
            return heard


def _reports_needed(node: Liveness) -> int:
    return flapping.FLAPPING_REPORTS if node.flapping else CONFIRMING_REPORTS


def _leaving(node: Liveness, goodbye: Goodbye, now: float) -> Liveness:
    seconds, at = goodbye.expected_back, node.quiet_since
    absence = GOODBYE_SECONDS if seconds is None else min(max(seconds, 0.0), GOODBYE_MAX_SECONDS)
    message = f"said goodbye ({clip(goodbye.reason)}), expected back within {absence:.0f} s"
    leaving = replace(
        node, phase=Phase.LEAVING, words=Words(reason_word(goodbye.reason), message), left_at=at,
        deadline=max(at + absence, node.not_before), suspects=frozenset(), clean=0, believed=(),
    )  # fmt: skip
    return shown(leaving, now)


def _judged(node: Liveness, beat: Beat) -> Liveness:
    """Weigh what the report says is wrong: definite faults count at once, soft ones repeated."""
    if not beat.faults:
        clean = node.clean + 1
        believed = () if clean >= CONFIRMING_REPORTS else node.believed
        return replace(node, words=None, suspects=frozenset(), clean=clean, believed=believed)
    believed = tuple(f for f in beat.faults if f.definite or f.reason in node.suspects)
    return replace(
        node,
        words=None,
        suspects=frozenset(f.reason for f in beat.faults),
        clean=0,
        believed=believed or node.believed,
    )


def _silence_of(node: Liveness, now: float) -> Words:
    if node.phase is Phase.LEAVING:
        return Words("GoodbyeExpired", "did not come back in the announced time")
    age = node.age(now)
    if age is None:
        return Words("NeverReported", f"no heartbeat within {node.policy.timeout:g} s")
    return Words("AgentSilent", f"no heartbeat for {age:.0f} s")
