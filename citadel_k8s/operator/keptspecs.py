"""What people said of nodes, kept for a while after the object that said it is gone.

A Node that is made anew under its name takes its object along: configuration and maintenance are
given back to the next one.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from citadel_k8s.operator.records import KeptSpec

KEPT_SECONDS: Final = 72 * 3600.0
"""Seconds for which it is kept: a machine that is repaired over a long weekend gets it back."""

CONFIRM_SECONDS: Final = 3600.0
"""Seconds after which an object that still says the same counts as seen again: the kept words of
10,000 nodes are then stored three times a second and not at each event."""

SPARE: Final = 4096
"""Objects that are gone whose words are kept; looked through when there are more, and then the
newer half of them is kept."""


def seen(kept: dict[str, KeptSpec], name: str, spec: dict[str, Any], now: float) -> None:
    """Take what an object says now; ``now`` is seconds since the epoch."""
    if not spec:
        kept.pop(name, None)
        return
    known = kept.get(name)
    # A clock that was set back must not keep old words for ever.
    if known is None or known.spec != spec or not 0 <= now - known.at < CONFIRM_SECONDS:
        kept[name] = KeptSpec(spec, now)


def given_back(kept: Mapping[str, KeptSpec], name: str, now: float) -> dict[str, Any]:
    """Give what a new object of that name is to say; empty if nothing, or too long ago."""
    known = kept.get(name)
    return {} if known is None or now - known.at > KEPT_SECONDS else known.spec


def outlived(kept: Mapping[str, KeptSpec], alive: Collection[str], now: float) -> list[str]:
    """Give the names to forget: of no object, and kept for long enough or too many to be kept."""
    spare = [name for name in kept if name not in alive]
    spare.sort(key=lambda name: kept[name].at, reverse=True)
    return [
        name
        for place, name in enumerate(spare)
        if place >= SPARE // 2 or now - kept[name].at > KEPT_SECONDS
    ]
