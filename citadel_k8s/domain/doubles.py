"""Two agents that speak for one node id, and how they give themselves away.

Of two processes the one that was heard first counts as the former one from the other's first word
on, and its words are refused (`rejection`). A former process that goes on speaking is no straggler.
"""

from dataclasses import replace
from typing import Final

from citadel_k8s.domain.life import Beat, Liveness, Phase, Sighting, shown

SIGHTING_SECONDS: Final = 300.0
"""Seconds within which a former process must speak a second time to be believed to live."""

SIGHTING_INTERVALS_MAX: Final = 2.0
"""The same in intervals, for nodes that speak less often than that."""

SIGHTING_INTERVALS: Final = 0.5
"""Intervals between the two words: what a broken connection held back comes all at once."""

DOUBLED_SECONDS: Final = 600.0
"""Seconds after the last such word for which there still are two agents: two of the longest
intervals."""


def sighted(node: Liveness, beat: Beat, now: float) -> Liveness:
    """Take a word of a former process that is newer than the node's own last one."""
    if beat.boot_id is None:
        return node
    here = Sighting(beat.boot_id, beat.seq, now)
    if node.doubled_until > now:
        return replace(node, sighting=here, doubled_until=now + DOUBLED_SECONDS)
    before = node.sighting
    limit = max(SIGHTING_SECONDS, node.policy.interval * SIGHTING_INTERVALS_MAX)
    if before is None or now - before.at > limit:
        return replace(node, sighting=here)
    if not _goes_on(before, here, node.policy.interval):
        return node
    doubled = replace(node, sighting=here, doubled_until=now + DOUBLED_SECONDS)
    return shown(doubled, now) if node.phase is Phase.SPEAKING else doubled


def _goes_on(before: Sighting, here: Sighting, interval: float) -> bool:
    if here.at - before.at < interval * SIGHTING_INTERVALS:
        return False
    if before.boot_id != here.boot_id or before.seq is None or here.seq is None:
        return True
    # The same word again, or one from before it, is the network's doing and no second life.
    return here.seq > before.seq
