"""Pipe or node: what a silence means when the way to the node may be what is broken."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of a node whose deadline has come.

    Attributes
    ----------
    verdict
        ``offline``: it has failed. ``answers``: it is silent in the stream, yet it answers a
        direct question. ``hold``: nobody can tell yet; it is judged again at ``until``.
    reason, message
        In place of the words that silence alone has; None keeps those.
    until
        Monotonic seconds; of ``hold`` alone.
    """

    verdict: Literal["offline", "answers", "hold"]
    reason: str | None = None
    message: str | None = None
    until: float = 0.0
