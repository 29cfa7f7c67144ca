"""The FabricStatus object: the one that tells how the whole fabric fares."""

from typing import Final

from pydantic import Field

from citadel_k8s.models.fabricnode import Condition, LenientCamelModel

FABRIC_STATUS: Final = "fabric"
"""Name of the only one there is."""

FABRIC_STATUS_KIND: Final = "FabricStatus"
"""Kind of the object."""

PIPELINE: Final = "HeartbeatPipelineHealthy"
"""Type of its condition: True while heartbeats can arrive."""


class NodeCounts(LenientCamelModel):
    """Nodes by state; ``silent`` are living ones that have been silent for too long."""

    total: int = 0
    online: int = 0
    degraded: int = 0
    offline: int = 0
    draining: int = 0
    unknown: int = 0
    decommissioned: int = 0
    silent: int = 0


class FabricSummary(LenientCamelModel):
    """Text for the printer columns."""

    nodes: str


class FabricStatusStatus(LenientCamelModel):
    """What the operator knows of the whole."""

    conditions: list[Condition] = Field(default_factory=list[Condition])
    nodes: NodeCounts | None = None
    summary: FabricSummary | None = None
    quarantined: list[str] | None = None
    quarantined_count: int | None = None
    leader: str | None = None
    confirmed_time: str | None = None
