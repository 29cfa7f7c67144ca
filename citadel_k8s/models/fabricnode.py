"""The FabricNode object as the API server keeps it; ``manifests/crds`` holds its schema."""

from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field

from citadel_k8s.models.base import CamelModel

GROUP: Final = "fabric.aceteam.ai"
"""API group of all objects of this project."""

VERSION: Final = "v1alpha1"
"""Served and stored version."""

PLURAL: Final = "fabricnodes"
"""Resource name of FabricNode in URLs and in RBAC rules."""

KIND: Final = "FabricNode"
"""Kind of the object."""


class NodeState(StrEnum):
    """The one word for a node. Stale is a reader's word and never written to an object."""

    UNKNOWN = "Unknown"
    ONLINE = "Online"
    DEGRADED = "Degraded"
    STALE = "Stale"
    OFFLINE = "Offline"
    DRAINING = "Draining"
    DECOMMISSIONED = "Decommissioned"


class LenientCamelModel(CamelModel):
    """An object that people may have edited: values are coerced where they can be."""

    model_config = ConfigDict(strict=False)


class HeartbeatSpec(LenientCamelModel):
    """How often the node speaks and how long its silence is borne; seconds and counts."""

    interval_seconds: float | None = Field(default=None, ge=5, le=300)
    missed_heartbeats: int | None = Field(default=None, ge=1, le=20)
    skew_seconds: float | None = Field(default=None, ge=0, le=120)


class FabricNodeSpec(LenientCamelModel):
    """What people (and the operator, once) say of a node."""

    node_name: str | None = None
    node_id: str
    org_id: str | None = None
    heartbeat: HeartbeatSpec | None = None
    config: dict[str, Any] | None = None
    maintenance: bool | None = None
    decommission: bool | None = None


class Condition(LenientCamelModel):
    """A Kubernetes condition; ``reason`` is always set."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    last_transition_time: str
    observed_generation: int | None = None


class AgentStatus(LenientCamelModel):
    """The agent that spoke last."""

    version: str | None = None
    boot_id: str | None = None


class Hardware(LenientCamelModel):
    """What the node is made of."""

    gpu_count: int | None = None
    gpu_model: str | None = None
    gpu_memory_bytes: int | None = None
    driver: str | None = None
    cpu_count: int | None = None
    memory_bytes: int | None = None


class GpuStatus(LenientCamelModel):
    """One GPU; no utilization, which would make every heartbeat a write."""

    index: int
    uuid: str | None = None
    name: str | None = None
    health: str
    reason: str | None = None


class ServiceStatus(LenientCamelModel):
    """One service with the models that it serves now."""

    name: str
    type: str
    health: str
    port: int | None = None
    models: list[str] | None = None


class Summary(LenientCamelModel):
    """Text for the printer columns, which cannot compute; an unknown is the word itself."""

    gpus: str
    util: str
    vram: str
    models: str
    requests: str
    address: str | None = None
    gpu_model: str | None = None
    driver: str | None = None
    agent: str | None = None
    reason: str | None = None


class FabricNodeStatus(LenientCamelModel):
    """What the operator knows of a node; at most 4 kB of JSON."""

    state: NodeState = NodeState.UNKNOWN
    conditions: list[Condition] = Field(default_factory=list[Condition])
    agent: AgentStatus | None = None
    addresses: list[str] | None = None
    hardware: Hardware | None = None
    gpus: list[GpuStatus] | None = None
    more_gpus: int | None = None
    services: list[ServiceStatus] | None = None
    more_services: int | None = None
    summary: Summary | None = None
    confirmed_time: str | None = None
    last_heartbeat_time: str | None = None
    config_revision: str | None = None
    observed_generation: int | None = None
