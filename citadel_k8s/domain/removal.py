"""Whose object is taken away: of nodes that somebody decommissioned, or that nobody misses."""

from dataclasses import dataclass
from typing import Final

from citadel_k8s.domain.liveness import Liveness
from citadel_k8s.models.fabricnode import NodeState

WATCHED: Final = 600.0
"""Seconds for which this very operator must have known a node as Offline before it believes dates
that say that it has been so for days: they come from a clock that may have been wrong."""


@dataclass(frozen=True, slots=True)
class Absence:
    """How long a node has been away, in seconds; None where nothing says so.

    Attributes
    ----------
    proved
        For how long the stream is proved not to have had a word of it, in this operator's life.
    dated
        Since the last word by the dates of the stream's server or of the object.
    in_cluster
        Whether a Node of the cluster stands behind it: then the object lives as long as that.
    """

    proved: float
    dated: float | None
    in_cluster: bool


def removal(live: Liveness, absence: Absence, after: float) -> str | None:
    """Say why a node's object is to be deleted, None if it is not.

    Parameters
    ----------
    live : Liveness
        The node.
    absence : Absence
        How long it has been away.
    after : float
        Seconds after which a node that is Offline is given up.
    """
    if absence.in_cluster:
        return None
    if live.state is NodeState.DECOMMISSIONED:
        return "Decommissioned" if absence.proved > live.policy.timeout else None
    if live.state is not NodeState.OFFLINE or absence.dated is None:
        return None
    long = absence.dated > after and absence.proved > min(WATCHED, after)
    return "OfflineTooLong" if long else None
