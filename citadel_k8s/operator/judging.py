"""What a ruling makes of a node whose deadline has come."""

from collections.abc import Callable
from typing import Final

from citadel_k8s.domain.liveness import Liveness, answering, deferred, expired
from citadel_k8s.domain.pipe import Ruling
from citadel_k8s.operator.records import NodeRecord

Judge = Callable[[NodeRecord, float], Ruling]
"""Says what becomes of a node whose deadline has come by a moment, in monotonic seconds."""

_OFFLINE: Final = Ruling("offline")


def always_offline(record: NodeRecord, now: float) -> Ruling:  # noqa: ARG001 - a judge's shape
    """Judge by silence alone."""
    return _OFFLINE


def ruled(record: NodeRecord, ruling: Ruling, now: float) -> Liveness:
    """Give the node as it is after the ruling; the record keeps since when it is held."""
    match ruling.verdict:
        case "answers":
            record.held_since = None
            return answering(record.live, now, message=ruling.message)
        case "hold":
            record.held_since = now if record.held_since is None else record.held_since
            return deferred(record.live, ruling.until)
        case "offline":
            record.held_since = None
            return expired(record.live, now, reason=ruling.reason, message=ruling.message)
