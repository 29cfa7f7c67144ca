"""What may be asked of lists, and the answers that `models.views` has no shape for."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel, StringConstraints
from pydantic.alias_generators import to_camel

from citadel_k8s.api.fabric.cursor import CURSOR_MAX
from citadel_k8s.api.fabric.selecting import FILTER_MAX
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.models.views import GpuCount, View

Text = Annotated[str, StringConstraints(min_length=1, max_length=FILTER_MAX)]
"""A filter."""

Cursor = Annotated[str, StringConstraints(min_length=1, max_length=CURSOR_MAX)]
"""Where a list goes on."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]{1,64}$")]
"""A node's id, or its id in the mesh."""


class Query(BaseModel):
    """A query: unknown names are refused, or a slip would give the whole list."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


class NodesQuery(Query):
    """Which nodes, in which order, how many."""

    state: Text | None = None
    model: Text | None = None
    gpu: Text | None = None
    label: Text | None = None
    q: Text | None = None
    sort: Annotated[str, StringConstraints(max_length=32)] | None = None
    limit: int = Field(default=1000, ge=1, le=5000)
    cursor: Cursor | None = None


class EventsQuery(Query):
    """Which events; ``kind`` may name several, separated by commas."""

    node: Name | None = None
    kind: Text | None = None
    reason: Text | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    limit: int = Field(default=100, ge=1, le=1000)
    cursor: Cursor | None = None


class HistoryQuery(Query):
    """How far back."""

    range: Literal["1h", "6h", "24h", "7d", "14d", "30d"] = "6h"


class AuditQuery(Query):
    """Which entries of the audit log."""

    subject: Text | None = None
    action: Text | None = None
    limit: int = Field(default=100, ge=1, le=500)
    cursor: Cursor | None = None


class DiscoverQuery(Query):
    """Which peers. Source: the wire contract."""

    capability: Text | None = None
    include_status: bool = False
    online_only: bool = False


class ModelsQuery(Query):
    """Which models: a part of the name."""

    q: Text | None = None


class Document(RootModel[dict[str, Any]]):
    """Any JSON object; whoever takes it checks it."""


class HistoryView(View):
    """Figures in buckets of the same length, the oldest first; null is a gap.

    ``start`` is that of the first bucket. ``beats`` are the heartbeats in each.
    """

    start: str
    bucket_seconds: int
    beats: list[int | None]
    cpu: list[float | None]
    memory: list[float | None]
    util: list[float | None]
    util_max: list[float | None]
    vram: list[float | None]
    power: list[float | None]
    running: list[float | None]


class ConfigView(View):
    """What is asked of a node, and what it says it has. ``unsupported``: what no agent can do."""

    revision: str | None = None
    config: dict[str, Any] | None = None
    changed_at: str | None = None
    changed_by: str | None = None
    applied: bool | None = None
    reported_revision: str | None = None
    reported_error: str | None = None
    unsupported: list[str] | None = None


class StateCount(View):
    """How many nodes are in a state."""

    state: NodeState
    count: int


class SummaryView(View):
    """The fleet in a few numbers.

    Figures that move are of nodes that speak now; ``gpus_unknown`` are those of which it is not
    known whether they are busy, those of silent nodes among them. ``as_of`` is the moment up to
    which all heartbeats are counted; ``ingest_lag`` the seconds since that was told.
    """

    nodes: int
    states: list[StateCount]
    gpus: int
    gpus_busy: int
    gpus_idle: int
    gpus_unknown: int
    gpu_models: list[GpuCount]
    vram_bytes: int | None = None
    vram_used_bytes: int | None = None
    power: float | None = None
    models: int
    running: float | None = None
    waiting: float | None = None
    as_of: str | None = None
    ingest_lag: float | None = None
    time: str


class AuditView(View):
    """One entry of the audit log."""

    id: str
    time: str
    subject: str
    action: str
    target: str = ""
    outcome: str
    detail: dict[str, Any] | None = None
    address: str | None = None
    request_id: str | None = None


class PeerStatus(View):
    """The figures of a peer, in percent. Source: the wire contract."""

    cpu_usage: float | None = None
    memory_usage: float | None = None
    disk_usage: float | None = None
    gpu_usage: float | None = None
    gpu_memory_usage: float | None = None
    gpu_temperature: float | None = None
    is_online: bool
    reported_at: str | None = None


class Peer(View):
    """A node as its peers see it. Source: the wire contract."""

    id: str
    hostname: str
    given_name: str
    online: bool
    last_seen: str | None = None
    ip_addresses: list[str]
    tags: list[str]
    capabilities: list[str]
    status: PeerStatus | None = None


class Peers(View):
    """All of them. Source: the wire contract."""

    nodes: list[Peer]
    total: int
