"""What a node's state means to who looks at a fleet: what comes first, and what counts as now.

Plain words, and nothing imported: a shell that completes a word waits for all that is.
"""

from typing import Final

ATTENTION: Final = (
    "Offline", "Degraded", "Stale", "Unknown", "Draining", "Online", "Decommissioned",
)  # fmt: skip
"""Which state is looked at first."""

CURRENT: Final = frozenset({"Online", "Degraded", "Draining"})
"""States of a node whose last figures are those of now."""

SORTS: Final = ("state", "name", "id", "since", "gpus", "vram", "memory", "agent", "models")
"""What a list of nodes can be sorted by."""


def rank(state: object) -> int:
    """Give the place of a state in `ATTENTION`; one that is not there counts as Unknown."""
    return ATTENTION.index(state if state in ATTENTION else "Unknown")
