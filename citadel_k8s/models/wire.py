"""The status message: what a node says of itself, as it travels.

Shapes and units are those of the wire contract: GiB for ``_gb``, MiB for ``_mb``, 0-100 for
``_percent``. ``None`` means that the key is absent, and absent means unknown, never zero. Keys
beyond the contract are additive; consumers of every age ignore what they do not know.
"""

from typing import Any

from pydantic import Field

from citadel_k8s.constants import WIRE_VERSION
from citadel_k8s.models.base import CamelModel, Listed, NodeId, Timestamp, Whole, WireModel
from citadel_k8s.models.wire_gpu import GpuInfo


class NodeInfo(WireModel):
    """Who speaks. ``uptime_seconds`` is that of the agent process, not of the host."""

    name: str
    network_ip: str | None = None
    tailscale_ip: str | None = None
    uptime_seconds: Whole | None = None
    display_name: str | None = None


class SystemInfo(WireModel):
    """The host's own figures; ``memory_used`` excludes buffers and reclaimable cache."""

    cpu_percent: float | None = None
    memory_used_gb: float | None = None
    memory_total_gb: float | None = None
    memory_percent: float | None = None
    disk_used_gb: float | None = None
    disk_total_gb: float | None = None
    disk_percent: float | None = None
    swap_used_gb: float | None = None
    swap_total_gb: float | None = None
    load_1m: float | None = None
    load_5m: float | None = None
    load_15m: float | None = None
    kubelet_disk_used_gb: float | None = None
    kubelet_disk_total_gb: float | None = None
    kubelet_disk_percent: float | None = None
    cpu_pressure_percent: float | None = None
    memory_pressure_percent: float | None = None
    io_pressure_percent: float | None = None
    kernel: str | None = None
    cpu_count: Whole | None = None
    host_uptime_seconds: Whole | None = None
    network_rx_bytes: Whole | None = None
    network_tx_bytes: Whole | None = None


class Footprint(WireModel):
    """What a service costs; -1 is the wire's word for unknown."""

    cpu_percent: float | None = None
    ram_bytes: Whole | None = None
    vram_bytes: Whole | None = None
    gpu_util_percent: float | None = None
    has_gpu: bool | None = None
    net_bytes: Whole | None = None


class ServiceInfo(WireModel):
    """One LLM server, database or other service. Ready means ``health == "ok"``, not running."""

    name: str
    type: str
    status: str
    port: Whole | None = None
    health: str | None = None
    models: Listed[str] | None = None
    idle: bool | None = None
    idle_seconds: Whole | None = None
    last_request_at: Timestamp | None = None
    footprint: Footprint | None = None
    pinned: bool | None = None
    resident: bool | None = None
    vram_estimate_mb: Whole | None = None
    engine: str | None = None
    reason: str | None = None
    message: str | None = None
    requests_running: float | None = None
    requests_waiting: float | None = None
    engine_version: str | None = None
    loaded_models: Listed[str] | None = None
    adapters: Listed[str] | None = None
    kv_cache_percent: float | None = None
    generation_tokens_per_second: float | None = None
    prompt_tokens_per_second: float | None = None
    ttft_ms_p50: float | None = None
    e2e_ms_p50: float | None = None
    canary_ms: float | None = None
    namespace: str | None = None
    pod: str | None = None
    container: str | None = None
    gpus: Listed[Whole] | None = None


class AppInfo(WireModel):
    """An application beside the services."""

    name: str
    status: str
    port: Whole | None = None
    idle: bool | None = None
    idle_seconds: Whole | None = None
    footprint: Footprint | None = None


class CapabilityGpu(WireModel):
    """One GPU as a capability."""

    name: str | None = None
    vram_mb: Whole | None = None
    tag: str | None = None
    vram_tag: str | None = None


class Hypervisor(WireModel):
    """A hypervisor on the host."""

    type: str
    version: str | None = None
    node_name: str | None = None
    node_count: Whole | None = None
    vm_count: Whole | None = None
    ct_count: Whole | None = None


class Capabilities(WireModel):
    """What the node can do; an absent bool is unknown."""

    gpus: Listed[CapabilityGpu] | None = None
    engines: Listed[str | dict[str, Any]] | None = None
    tags: Listed[str] | None = None
    hypervisor: Hypervisor | None = None
    available_services: Listed[str] | None = None
    console: bool | None = None
    desktop: bool | None = None
    files: bool | None = None
    gpu: bool | None = None
    h264: bool | None = None


class WorkerInfo(WireModel):
    """The job consumer of a bare-metal node."""

    consuming: bool
    in_flight: Whole
    last_job_consumed_at: Timestamp | None = None
    last_poll_at: Timestamp | None = None
    processed: Whole | None = None
    failed: Whole | None = None
    identity_unresolved: bool | None = None
    pubsub_transport: str | None = None


class CollectorInfo(WireModel):
    """How one source of this status fared: a failed source is told, not left out."""

    name: str
    state: str
    reason: str | None = None
    message: str | None = None
    age_seconds: float | None = None


class ContainerInfo(WireModel):
    """What one container of a pod uses; without names only its pod's uid is known."""

    pod_uid: str
    container_id: str
    namespace: str | None = None
    pod: str | None = None
    container: str | None = None
    cpu_cores: float | None = None
    cpu_limit_cores: float | None = None
    working_set_bytes: Whole | None = None
    memory_limit_bytes: Whole | None = None
    restarts: Whole | None = None


class ConfigInfo(WireModel):
    """Which configuration is applied; what does not apply on Kubernetes is named."""

    revision: str | None = None
    applied_at: Timestamp | None = None
    unsupported: Listed[str] | None = None
    error: str | None = None


class NodeStatus(WireModel):
    """The inner status; the oldest senders put it on the wire bare."""

    version: str = WIRE_VERSION
    timestamp: Timestamp
    node: NodeInfo
    system: SystemInfo
    gpu: Listed[GpuInfo] | None = None
    services: Listed[ServiceInfo] | None = None
    apps: Listed[AppInfo] | None = None
    capabilities: Capabilities | None = None
    desktop: dict[str, Any] | None = None
    desktop_capabilities: dict[str, Any] | None = None
    vnc_port: Whole = 0
    worker: WorkerInfo | None = None
    collectors: Listed[CollectorInfo] | None = None
    containers: Listed[ContainerInfo] | None = None
    config: ConfigInfo | None = None
    truncated: Listed[str] | None = None


class Permissions(WireModel):
    """What a remote user may do on the node."""

    console: bool
    desktop: bool
    files: bool
    services: bool
    ssh: bool
    shell: bool
    has_passcode: bool | None = None


class PulseGpu(WireModel):
    """One GPU in the stats block. Here a present 0 is real."""

    i: Whole
    util_pct: float | None = None
    mem_used_mb: Whole | None = None
    mem_total_mb: Whole | None = None
    temp_c: Whole | None = None
    power_w: float | None = None


class PulseInference(WireModel):
    """One engine in the stats block. Here a present 0 is real."""

    engine: str
    port: Whole
    model: str | None = None
    gen_tps: float | None = None
    prompt_tps: float | None = None
    kv_cache_pct: float | None = None
    running: int | float | None = None
    waiting: int | float | None = None
    ttft_ms_p50: float | None = None
    e2e_ms_p50: float | None = None


class Stats(WireModel):
    """The stats block; ``v`` moves only on a breaking change."""

    v: Whole
    ts: Whole
    gpus: Listed[PulseGpu] | None = None
    inference: Listed[PulseInference] | None = None


class AgentInfo(CamelModel):
    """The program that speaks, and by what way."""

    version: str
    transport: str | None = None


class Goodbye(CamelModel):
    """The last word of an agent that was asked to stop."""

    reason: str
    expected_back_seconds: float | None = Field(default=None, ge=0)


class StatusMessage(CamelModel):
    """The envelope around a status: one entry of the stream, one message of the channel."""

    version: str = WIRE_VERSION
    timestamp: Timestamp
    node_id: NodeId
    headscale_node_id: str | None = None
    device_code: str | None = None
    status: NodeStatus
    permissions: Permissions | None = None
    stats: Stats | None = None
    boot_id: str | None = Field(default=None, min_length=1, max_length=64)
    host_boot_id: str | None = Field(default=None, max_length=64)
    seq: Whole | None = Field(default=None, ge=1)
    interval_seconds: float | None = Field(default=None, gt=0)
    agent: AgentInfo | None = None
    goodbye: Goodbye | None = None
    addresses: Listed[str] | None = None
    status_port: Whole | None = Field(default=None, ge=1, le=65535)
