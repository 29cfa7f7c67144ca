"""What an org's stream says of a node that changed: small, since each heartbeat is one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from citadel_k8s.domain.happenings import Happening
from citadel_k8s.domain.pulse import compact
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.fabricnode import NodeState


def node_delta(
    node_id: str,
    state: NodeState,
    reason: str,
    *,
    since: datetime | None = None,
    seen_ms: int | None = None,
    pulse: Mapping[str, Any] | None = None,
    profile: str | None = None,
) -> str:
    """Give a delta of a node as JSON, in the shape of `models.views.Delta`.

    Parameters
    ----------
    node_id : str
        The node.
    state : NodeState
        Its state now.
    reason : str
        Why; left out of a node that is well.
    since : datetime or None
        Since when, where the state has changed.
    seen_ms : int or None
        When it spoke, where it did.
    pulse : mapping or None
        What moves, where it spoke.
    profile : str or None
        What it is, as JSON, where that has changed.
    """
    delta: dict[str, Any] = {"type": "node", "id": node_id, "state": str(state)}
    if state is not NodeState.ONLINE:
        delta["reason"] = reason
    if since is not None:
        delta["since"] = format_timestamp(since.timestamp())
    if seen_ms is not None:
        delta["seen"] = format_timestamp(seen_ms / 1000)
    if pulse is not None:
        delta["pulse"] = pulse
    text = compact(delta)
    return text if profile is None else f'{text[:-1]},"profile":{profile}}}'


def event_delta(event_id: int, happening: Happening) -> str:
    """Give a delta of something that happened."""
    event: dict[str, Any] = {
        "id": str(event_id),
        "time": format_timestamp(happening.at_ms / 1000),
        "node": happening.node_id,
        "kind": happening.kind,
        "reason": happening.reason,
        "message": happening.message,
        "count": happening.times,
    }
    states = {"state": happening.state, "before": happening.before}
    event |= {key: str(state) for key, state in states.items() if state is not None}
    return compact({"type": "event", "id": happening.node_id, "event": event})
