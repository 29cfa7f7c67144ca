"""The last word of each node: `fabric_node_status`, hot and narrow, and `fabric_node_detail`."""

from collections.abc import Mapping
from typing import Any, Final

from citadel_k8s.domain.freshness import StatusRow
from citadel_k8s.models.fabricnode import NodeState

STATUS_COLUMNS: Final = (
    "s.org_id, s.node_id, s.verdict, s.reason, s.message, s.stream_epoch, s.stream_ms,"
    " s.interval_seconds, s.draining_until_ms, s.state, s.state_reason, s.state_since,"
    " n.decommissioned_at IS NOT NULL AS decommissioned"
)
"""What `status_row` needs of ``fabric_node_status s JOIN nodes n USING (org_id, node_id)``; further
columns beside them do not disturb it."""


def status_row(row: Mapping[str, Any]) -> StatusRow:
    """Give what a node's state depends on, from a row with `STATUS_COLUMNS`."""
    return StatusRow(
        org_id=row["org_id"],
        node_id=row["node_id"],
        verdict=NodeState(row["verdict"]),
        reason=row["reason"],
        message=row["message"],
        stream_epoch=row["stream_epoch"],
        stream_ms=row["stream_ms"],
        interval_seconds=row["interval_seconds"],
        draining_until_ms=row["draining_until_ms"],
        state=NodeState(row["state"]),
        state_reason=row["state_reason"],
        state_since=row["state_since"],
        decommissioned=row["decommissioned"],
    )
