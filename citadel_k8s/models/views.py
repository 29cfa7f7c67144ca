"""What the API tells of nodes: the shapes of its answers and streams, and of stored summaries.

Absent means unknown, never zero. Units: bytes, ratios of 0 to 1, watts, degrees Celsius, seconds;
moments are RFC 3339 in UTC.
"""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from citadel_k8s.models.base import CamelModel
from citadel_k8s.models.fabricnode import NodeState


class View(CamelModel):
    """An answer: absent is left out, unknown keys are refused, so that the description is true."""

    model_config = ConfigDict(extra="forbid")


class Pulse(View):
    """What moves with each heartbeat: the body of a delta, at most 300 bytes of JSON.

    ``gpu`` has one ``[utilization %, memory %, mark]`` for each GPU in the order of their indexes;
    null where unknown; the mark is 0 healthy, 1 degraded, 2 failed, null unknown.
    """

    cpu: float | None = None
    memory: float | None = None
    disk: float | None = None
    power: float | None = None
    gpu: list[tuple[int | None, int | None, int | None]] | None = None
    running: float | None = None
    waiting: float | None = None


class GpuCount(View):
    """So many GPUs of one model."""

    model: str
    count: int


class Profile(View):
    """What a node is: changes seldom."""

    name: str
    address: str | None = None
    agent: str | None = None
    gpus: list[GpuCount] | None = None
    vram_bytes: int | None = None
    memory_bytes: int | None = None
    models: list[str] | None = None
    services: int | None = None
    transport: str | None = None
    driver: str | None = None


class NodeSummary(View):
    """One row of the list.

    ``state`` is judged when it is read: a node that has been silent for longer than its timeout is
    Offline whatever it said last. ``age`` is in seconds, by the server's clock; None if it never
    spoke.
    """

    id: str
    state: NodeState
    reason: str | None = None
    message: str | None = None
    since: str | None = None
    last_heartbeat: str | None = None
    age: float | None = None
    headscale_id: str | None = None
    labels: dict[str, str] | None = None
    profile: Profile
    pulse: Pulse


class NodeDetail(View):
    """One node: its row and the last status that it sent, as it travelled.

    ``complete`` says whether the status is whole: figures that move are lost with Redis. ``beats``
    are its last heartbeats, 60 at most, the newest last: when each arrived, in milliseconds since
    the epoch, and the node's own count, null if it does not count. ``skew_seconds`` is by how much
    its clock is ahead of the server's. Both are left out if they are not known.
    """

    node: NodeSummary
    status: dict[str, Any] | None = None
    complete: bool = False
    config: dict[str, Any] | None = None
    beats: list[tuple[int, int | None]] | None = None
    skew_seconds: float | None = None


class FleetEvent(View):
    """Something that happened to a node."""

    id: str
    time: str
    node: str
    kind: Literal["state", "fault", "xid", "config", "node"]
    state: NodeState | None = None
    before: NodeState | None = None
    reason: str
    message: str = ""
    count: int = 1


class Delta(View):
    """One message of an org's stream.

    ``node``: a node's row changed (``profile`` only where that did); ``gone``: it is no more;
    ``event``: something happened.
    """

    type: Literal["node", "gone", "event"]
    id: str
    state: NodeState | None = None
    reason: str | None = None
    since: str | None = None
    seen: str | None = None
    pulse: Pulse | None = None
    profile: Profile | None = None
    event: FleetEvent | None = None


class ModelView(View):
    """One model and who serves it now."""

    model: str
    nodes: list[str]
    replicas: int
    engines: list[str] = Field(default_factory=list[str])
    healthy: int | None = None


class Refusal(View):
    """The body of every answer of 400 and more. Source: the wire contract."""

    error: str
    error_description: str | None = None
    limit: int | None = None
    window: int | None = None
    retry_after: int | None = None
    reset_at: str | None = None
    request_id: str | None = None

    model_config = ConfigDict(alias_generator=None)
