"""Who may take the Lease of the writing operator, and until when its holder may write.

All moments are seconds of the observer's own monotonic clock. No date in a Lease is ever compared
with a clock: a renewal is a Lease that reads otherwise than before, and what counts is when the
observer first saw it so. Clocks may therefore be wrong, apart, or set back by an hour.

Why two never write at once: a holder counts its lease from before it asked for the renewal, and
stops `MARGIN` early; whoever waits counts from after it saw the renewal, and waits all of it. The
first always ends before the second begins. A Lease that names nobody says nothing of who held it a
moment ago (somebody may have deleted or emptied it under its holder, more than once), so whoever
takes that one waits afterwards: it leads by a renewal that it asks for when all who may have held
the Lease before have ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

DURATION: Final = 15
"""Seconds that a Lease holds without a renewal. As client-go's, and as decided."""

MARGIN: Final = 2.0
"""Seconds before its end at which the holder stops writing: clocks of two machines run apart by
less than 1 ms in 15 s, so that this is for requests on their way when the holder gave them up."""

RETRY: Final = 2.0
"""Seconds between two renewals of the holder, and between two looks of whoever waits."""

RETRY_FAILED: Final = 1.0
"""Seconds before a renewal that failed is tried again: with an API server that was away for 9 s,
2 s since the last renewal and this, 12 of the 13 s are gone."""

DURATION_MAX: Final = 60
"""Longest duration that is believed, in seconds: one that a typing error made an hour long must
not leave a fleet without a writer for an hour."""

COURTESY: Final = 3.0
"""Seconds for which a Lease that names nobody is left to its holder, who sees it within `RETRY`."""

RELEASED: Final = 1
"""Duration, in seconds, that a holder leaves behind with no name when it ends: free at once.
Source: client-go does the same. A Lease without a name and with another duration was made by
hand, while its holder may still write, and has to be waited for."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a Lease says; None for what it does not say, or not in a form that can be read."""

    uid: str | None = None
    holder: str | None = None
    acquired: str | None = None
    renewed: str | None = None
    duration: int | None = None
    transitions: int = 0

    @property
    def released(self) -> bool:
        """Whether its last holder gave it back."""
        return self.holder is None and self.duration == RELEASED

    @property
    def vacant(self) -> bool:
        """Whether it does not say who holds it, or since when."""
        return not self.released and (self.holder is None or self.renewed is None)


NOTHING: Final = Claim()
"""What is there when there is no Lease."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A claim, and the moment at which the observer first saw it so."""

    claim: Claim
    since: float


def claim_of(lease: Mapping[str, Any] | None) -> Claim:
    """Read a Lease as the API server gave it; garbage reads as nothing."""
    if lease is None:
        return NOTHING
    metadata, spec = _mapping(lease.get("metadata")), _mapping(lease.get("spec"))
    return Claim(
        uid=_text(metadata.get("uid")),
        holder=_text(spec.get("holderIdentity")),
        acquired=_text(spec.get("acquireTime")),
        renewed=_text(spec.get("renewTime")),
        duration=_whole(spec.get("leaseDurationSeconds")),
        transitions=_whole(spec.get("leaseTransitions")) or 0,
    )


def sighted(before: Sighting | None, claim: Claim, now: float) -> Sighting:
    """Take a look into account, whose answer came at ``now``; only a change restarts the wait."""
    return before if before is not None and before.claim == claim else Sighting(claim, now)


def free_at(sighting: Sighting, identity: str) -> float:
    """Give the moment from which ``identity`` may take the Lease; see `proven_at` for the rest."""
    claim = sighting.claim
    if claim.released or claim.holder == identity:
        return sighting.since
    if claim.vacant:
        return sighting.since + COURTESY
    return sighting.since + max(DURATION, min(claim.duration or DURATION, DURATION_MAX))


def proven_at(taken_at: float) -> float:
    """Give the moment from which a renewal makes a leader of who took a Lease that was vacant."""
    return taken_at + DURATION


def leads_until(asked_at: float) -> float:
    """Give the moment until which whoever renewed may write; ``asked_at``: before the request."""
    return asked_at + DURATION - MARGIN


def renewed_spec(claim: Claim, identity: str, now: float) -> dict[str, Any]:
    """Give the spec of a Lease that ``identity`` takes or renews.

    Parameters
    ----------
    claim : Claim
        What it says now.
    identity : str
        The new or old holder.
    now : float
        Seconds since the epoch; for people, and to be another than before.
    """
    written = micro_time(now)
    if written == claim.renewed:  # a clock that stands still, or was set back by just as much
        written = micro_time(now + 1e-6)
    mine = claim.holder == identity
    return {
        "holderIdentity": identity,
        "leaseDurationSeconds": DURATION,
        "acquireTime": claim.acquired if mine and claim.acquired else written,
        "renewTime": written,
        "leaseTransitions": claim.transitions + (0 if mine else 1),
    }


def released_spec(claim: Claim, now: float) -> dict[str, Any]:
    """Give the spec of a Lease whose holder gives it back."""
    return {
        "leaseDurationSeconds": RELEASED,
        "renewTime": micro_time(now),
        "leaseTransitions": claim.transitions,
    }


def micro_time(now: float) -> str:
    """Give a date as the API server wants it: six digits behind the point, always."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(now * 1e6))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: Any) -> int | None:
    # A bool is an int to Python.
    return value if type(value) is int and value > 0 else None
