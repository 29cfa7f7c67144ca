"""From messages of a stream to rows of tables: what each says, and which of many counts.

A definite fault counts at once. A soft one counts when the report before named it too; whether one
did, only the node's row knows, so that the message carries its suspicion there (`Word.suspect`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from citadel_k8s.constants import (
    GOODBYE_MAX_SECONDS,
    GOODBYE_SECONDS,
    INTERVAL_MAX,
    INTERVAL_MIN,
)
from citadel_k8s.domain.arrivals import Arrival
from citadel_k8s.domain.facts import clip, facts_from, reason_word
from citadel_k8s.domain.happenings import Happening, told_by
from citadel_k8s.domain.life import ON_TIME
from citadel_k8s.domain.position import Position, Standing, followed, wins
from citadel_k8s.domain.pulse import compact, digest_of, profile_of, pulse_of
from citadel_k8s.domain.verdicts import faults_of
from citadel_k8s.errors import WireError
from citadel_k8s.models.codec import parse_timestamp
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.models.lean import LeanGoodbye, LeanMessage

MESSAGE_MAX: Final = 256
"""Characters kept of why a node is as it is."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a message says of its sender.

    ``suspect`` names the worst fault that needs a second report, where no other counts.
    """

    state: NodeState
    reason: str | None = None
    message: str | None = None
    suspect: str | None = None
    draining_until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """One message of a node of a known org, ready to be kept.

    Attributes
    ----------
    position
        Where it stands among the node's messages.
    headscale_id, interval
        The node's id in the mesh, and its heartbeat in seconds; None if it does not say.
    verdict
        What it says of the node.
    pulse, profile
        As `models.views.Pulse` and `Profile`; the latter as JSON.
    digest
        Of all that changes seldom.
    document
        The message as it travelled: an envelope, whatever its age.
    happenings
        Errors and faults that it tells of.
    former
        Processes of the node before this one, as far as messages beside this one told.
    offset_ms
        The sender's clock less the stream's, as it seemed; None if it named no moment.
    """

    org_id: str
    node_id: str
    position: Position
    headscale_id: str | None
    interval: float | None
    verdict: Verdict
    pulse: dict[str, Any]
    profile: str
    digest: bytes
    document: bytes
    happenings: tuple[Happening, ...] = ()
    former: tuple[str, ...] = ()
    offset_ms: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The node."""
        return self.org_id, self.node_id


@dataclass(slots=True)
class Course:
    """The messages of one node in one batch: those that counted in their turn, newest last.

    ``outrun`` are the others; what they tell of happened all the same.
    """

    steps: list[Word]
    outrun: list[Word] = field(default_factory=list[Word])

    @property
    def last(self) -> Word:
        """The one that is kept."""
        return self.steps[-1]


def word_of(org_id: str, said: LeanMessage, position: Position, document: bytes) -> Word:
    """Reduce a message to what is kept of it.

    Parameters
    ----------
    org_id : str
        Whose node it is, from the proxy's stamp or from what is known; never from the message.
    said : LeanMessage
        As decoded.
    position : Position
        Where it lay; process and count are taken from the message.
    document : bytes
        The message as it travelled.
    """
    where = position._replace(boot_id=said.get("boot_id"), seq=said.get("seq"))
    offset = _offset(said, where)
    facts = facts_from(said, clock_offset=offset)
    faults = faults_of(facts)
    profile = compact(profile_of(said))
    headscale = cast("dict[str, str | None]", said).get("headscale_node_id")
    return Word(
        org_id=org_id,
        node_id=said["node_id"],
        position=where,
        headscale_id=clip(headscale) if headscale else None,
        interval=_bounded(said.get("interval_seconds")),
        verdict=_verdict(said, where, [(f.reason, f.message, f.definite) for f in faults]),
        pulse=pulse_of(said),
        profile=profile,
        digest=digest_of(said, profile),
        document=enveloped(said, document),
        happenings=told_by(org_id, said, faults, where),
        offset_ms=None if offset is None else round(offset * 1000),
    )


def enveloped(said: LeanMessage, document: bytes) -> bytes:
    """Give a message in its envelope; the first senders had none."""
    if b'"nodeId"' in document:
        return document
    head = {"version": "1.0", "timestamp": said["timestamp"], "nodeId": said["node_id"]}
    return compact(head)[:-1].encode() + b',"status":' + document + b"}"


def coalesced(words: Iterable[Word], *, interval: float) -> list[Course]:
    """Give the messages by node, sorted by its key, without those that were outrun.

    Parameters
    ----------
    words : iterable of Word
        In the order of their entries.
    interval : float
        Heartbeat of nodes that name none, in seconds.
    """
    courses: dict[tuple[str, str], Course] = {}
    standings: dict[tuple[str, str], Standing] = {}
    for word in words:
        key = word.key
        known = standings.get(key)
        if known is None:
            courses[key] = Course([word])
            standings[key] = Standing(word.position, word.interval)
        elif wins(word.position, known, interval=interval):
            now = followed(word.position, known, interval=word.interval)
            standings[key] = now
            courses[key].steps.append(_after(courses[key].last, replace(word, former=now.former)))
        else:
            courses[key].outrun.append(word)
    return [courses[key] for key in sorted(courses)]


def arrivals_of(words: Iterable[Word]) -> dict[tuple[str, str], list[str]]:
    """Give when messages arrived, by node, in their order, as they are kept."""
    found: dict[tuple[str, str], list[str]] = {}
    for word in words:
        where = word.position
        text = Arrival(where.ms, where.seq, word.offset_ms).text()
        found.setdefault(word.key, []).append(text)
    return found


def happenings_of(courses: Sequence[Course]) -> list[Happening]:
    """Give what the messages tell of, each thing once."""
    found = {
        (happening.org_id, happening.node_id, happening.dedup): happening
        for course in courses
        for word in reversed([*course.outrun, *course.steps])
        for happening in word.happenings
    }
    return list(found.values())


def _after(before: Word, word: Word) -> Word:
    """Let a suspicion count that the message before had too."""
    verdict = word.verdict
    if verdict.suspect is None or verdict.suspect != before.verdict.suspect:
        return word
    counted = replace(verdict, state=NodeState.DEGRADED, reason=verdict.suspect)
    return replace(word, verdict=counted)


def _verdict(said: LeanMessage, where: Position, faults: list[tuple[str, str, bool]]) -> Verdict:
    goodbye = said.get("goodbye")
    if goodbye:
        return _leaving(goodbye, where)
    if not faults:
        return Verdict(NodeState.ONLINE)
    reason, message, definite = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    text = clip(message + more, MESSAGE_MAX)
    if definite:
        return Verdict(NodeState.DEGRADED, reason, text)
    return Verdict(NodeState.ONLINE, None, text, suspect=reason)


def _leaving(goodbye: LeanGoodbye, where: Position) -> Verdict:
    asked = goodbye.get("expected_back_seconds")
    absence = GOODBYE_SECONDS if asked is None else min(max(asked, 0.0), GOODBYE_MAX_SECONDS)
    text = f"said goodbye ({clip(goodbye['reason'])}), expected back within {absence:.0f} s"
    return Verdict(
        NodeState.DRAINING,
        reason_word(goodbye["reason"]),
        text,
        draining_until_ms=where.ms + round(absence * 1000),
    )


def shown_reason(verdict: Verdict) -> str:
    """Give the reason that is shown of a verdict."""
    return verdict.reason or ON_TIME.reason


def _bounded(interval: float | None) -> float | None:
    return None if interval is None else min(max(interval, INTERVAL_MIN), INTERVAL_MAX)


def _offset(said: LeanMessage, where: Position) -> float | None:
    try:
        return parse_timestamp(said["timestamp"]) - where.ms / 1000
    except WireError:
        return None
