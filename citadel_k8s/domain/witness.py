"""What speaks for or against a silent node beside the stream: its own answer, its Node, its Lease.

A question that times out is evidence only where such questions are answered by nodes that live:
an operator whose network reaches no node at all would else find each of them dead.
"""

import ipaddress
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from citadel_k8s.domain.facts import clip

CONTROL_TTL: Final = 300.0
"""Seconds for which the answer of a node that lives says that such questions are answered. When a
whole fleet dies nobody is left to ask; its first deadlines come after 70 to 100 s."""

CONTROL_RESULTS: Final = 24
"""Latest answers of living nodes that count: those of a minute and a half at least, so that an
operator whose own network breaks knows it before the first deadline after that."""

REACHED_SHARE: Final = 0.75
"""Share of those answers that have to be ones: where every third living node cannot be reached, one
more that cannot be reached is no news."""

ADDRESSES_MAX: Final = 3
"""Addresses of one node that are asked: mesh, host and pod."""

DETAIL_MAX: Final = 200
"""Characters kept of what somebody else said."""


class Outcome(StrEnum):
    """What came of a question to a node's own server."""

    ANSWERS = "Answers"
    UNPROVED = "Unproved"
    GARBLED = "Garbled"
    SOMEBODY_ELSE = "SomebodyElse"
    REFUSED = "Refused"
    TIMED_OUT = "TimedOut"
    NO_ROUTE = "NoRoute"
    VOID = "Void"


REACHED: Final = frozenset(
    {Outcome.ANSWERS, Outcome.UNPROVED, Outcome.GARBLED, Outcome.SOMEBODY_ELSE}
)
"""Outcomes that show a way to the address, whoever sits there."""

_DOWN: Final = frozenset({Outcome.REFUSED, Outcome.TIMED_OUT, Outcome.NO_ROUTE})
"""Outcomes of an address where nobody answers."""

_ORDER: Final = tuple(Outcome)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from one address.

    Attributes
    ----------
    outcome
        ``UNPROVED`` for whatever speaks HTTP; who it is, `identified` says.
    detail
        One line for people.
    node_id, boot_id
        Who it says it is; None if it does not say.
    """

    outcome: Outcome
    detail: str
    node_id: str | None = None
    boot_id: str | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to one node; ``asked_at`` is monotonic seconds."""

    outcome: Outcome
    detail: str
    asked_at: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What all evidence comes to.

    Attributes
    ----------
    verdict
        ``none`` is not known, never "well".
    message
        One line for people; empty if there is nothing to tell.
    reason
        A condition's reason other than that of silence; None for that.
    rank
        Of ``none``: from 0, what speaks most against the node, to 2.
    """

    verdict: Literal["alive", "dead", "none"]
    message: str = ""
    reason: str | None = None
    rank: int = 1


NO_EVIDENCE: Final = Finding("none")
"""Nobody was asked, or nobody knows."""


def askable(addresses: tuple[str, ...], *, loopback: bool = False) -> tuple[str, ...]:
    """Give those of a node's own addresses that may be asked: of this network, not of this host.

    Names are none of them: what a name means is not the node's to say.
    """
    found: list[str] = []
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if _allowed(address, loopback=loopback) and text not in found:
            found.append(text)
    return tuple(found[:ADDRESSES_MAX])


def _allowed(address: ipaddress.IPv4Address | ipaddress.IPv6Address, *, loopback: bool) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return _allowed(inner, loopback=loopback)
    if address.is_loopback:
        return loopback
    return not (
        address.is_unspecified
        or address.is_link_local
        or address.is_multicast
        or (address.version == 4 and address.is_reserved)  # noqa: PLR2004 - the protocol's number
    )


def identified(answer: Answer, node_id: str, boot_id: str | None) -> Answer:
    """Say whether it was the node itself that answered.

    A new process of the node is the node: it lives, though nobody has heard of it yet.
    """
    if answer.outcome is not Outcome.UNPROVED or answer.node_id is None:
        return answer
    if answer.node_id != node_id:
        detail = f"{answer.detail} as {clip(answer.node_id, 64)!r}"
        return Answer(Outcome.SOMEBODY_ELSE, detail, answer.node_id, answer.boot_id)
    changed = boot_id is not None and answer.boot_id not in {None, boot_id}
    detail = f"{answer.detail} as a new process" if changed else answer.detail
    return Answer(Outcome.ANSWERS, detail, answer.node_id, answer.boot_id)


def most_telling(answers: list[Answer]) -> Answer:
    """Give of one node's addresses the answer that says most: one that is answered is enough."""
    return min(answers, key=lambda answer: _ORDER.index(answer.outcome))


@dataclass(slots=True)
class Control:
    """What nodes that live answer when they are asked the same."""

    results: deque[tuple[float, Outcome]] = field(
        default_factory=lambda: deque[tuple[float, Outcome]](maxlen=CONTROL_RESULTS)
    )

    def note(self, moment: float, outcome: Outcome) -> None:
        """Take what a node answered that certainly lived then."""
        if outcome is not Outcome.VOID:
            self.results.append((moment, outcome))

    def vouches(self, outcome: Outcome, now: float) -> bool:
        """Say whether an outcome of a silent node tells it from nodes that live."""
        recent = [kind for moment, kind in self.results if now - moment <= CONTROL_TTL]
        if outcome is Outcome.SOMEBODY_ELSE:
            # Whoever has the address now, the node has it not; unless they always shared one.
            return outcome not in recent
        if outcome not in _DOWN:
            return False
        # A wall refuses in the name of those behind it, so that a refusal proves no more by itself.
        reached = sum(1 for kind in recent if kind in REACHED)
        return reached > 0 and reached >= REACHED_SHARE * len(recent)

    def is_silent(self, now: float, seconds: float) -> bool:
        """Say whether nobody that lives could be asked for so long."""
        return not self.results or now - self.results[-1][0] > seconds


def weighed(
    probe: Probe | None,
    *,
    vouched: bool,
    node_ready: bool | None = None,
    lease_stopped: bool | None = None,
) -> Finding:
    """Sum up the evidence about one silent node.

    Parameters
    ----------
    probe : Probe or None
        The last question since its last word.
    vouched : bool
        Whether the question's outcome tells a dead node from a living one (`Control.vouches`).
    node_ready : bool or None
        The Ready condition of its Node; None if there is none.
    lease_stopped : bool or None
        Whether its kubelet has stopped renewing its Lease; None if not known.
    """
    outcome = None if probe is None else probe.outcome
    detail = "" if probe is None else clip(probe.detail, DETAIL_MAX)
    if outcome is Outcome.ANSWERS:
        return Finding("alive", detail)
    if node_ready is False:
        return Finding("dead", "its Node is not Ready", "NodeNotReady")
    if vouched:
        return Finding("dead", detail)
    if lease_stopped:
        return Finding("dead", "its kubelet renews its Lease no more")
    return Finding("none", detail, rank=_rank(outcome))


def _rank(outcome: Outcome | None) -> int:
    """Give how little speaks against a node: what cannot be counted against it still hints."""
    if outcome in _DOWN:
        return 0
    return 2 if outcome in REACHED else 1
