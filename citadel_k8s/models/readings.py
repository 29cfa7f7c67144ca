"""What collectors read, in base units: bytes, ratios 0-1, degrees Celsius, watts, seconds.

Plain dataclasses of plain values, so that a child process that reads them stays small and its
answers travel as JSON. ``None`` is "not known", never zero.
"""

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from citadel_k8s.models.readings_gpu import (
    EccErrors,
    Gpu,
    GpuEvent,
    GpuProcess,
    Gpus,
    Holder,
    MigInstance,
    NvLink,
    Pcie,
    RowRemap,
    Verdict,
    XidCount,
)

__all__ = [
    "Absent",
    "Allocation",
    "ContainerUsage",
    "EccErrors",
    "Engine",
    "Failed",
    "Gpu",
    "GpuEvent",
    "GpuProcess",
    "Gpus",
    "Holder",
    "Host",
    "Listener",
    "MigInstance",
    "NvLink",
    "Outcome",
    "Pcie",
    "Pod",
    "Pods",
    "Process",
    "Processes",
    "Reading",
    "RowRemap",
    "Verdict",
    "XidCount",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A source answered."""

    value: T


@dataclass(frozen=True, slots=True)
class Absent:
    """There is nothing to read here, and that is known: no driver, no such device."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """There may be something to read, but the source did not answer as it should."""

    reason: str
    message: str


Outcome: TypeAlias = Reading[T] | Absent | Failed
"""What a source gives: absence and failure are answers too, and neither is health."""


@dataclass(frozen=True, slots=True)
class Host:
    """The host's figures. Memory used excludes buffers and reclaimable cache.

    A pressure is the share of the last ten seconds in which some task waited for the resource.
    The kubelet's disk is that of its folder, where images and volumes of pods lie.
    """

    cpu_ratio: float | None = None
    cpu_count: int | None = None
    load_1m: float | None = None
    load_5m: float | None = None
    load_15m: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    swap_used_bytes: int | None = None
    swap_total_bytes: int | None = None
    disk_used_bytes: int | None = None
    disk_available_bytes: int | None = None
    disk_total_bytes: int | None = None
    kubelet_disk_used_bytes: int | None = None
    kubelet_disk_available_bytes: int | None = None
    kubelet_disk_total_bytes: int | None = None
    network_rx_bytes: int | None = None
    network_tx_bytes: int | None = None
    cpu_pressure_ratio: float | None = None
    memory_pressure_ratio: float | None = None
    io_pressure_ratio: float | None = None
    uptime_seconds: float | None = None
    boot_id: str | None = None
    kernel: str | None = None
    mesh_addresses: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the host, told apart from a later one of the same number by its start.

    ``started`` is in clock ticks since the host booted. ``ancestors`` begins with the parent.
    ``pod_uid`` is None where the process is in no pod; ``known`` is False where its cgroup could
    not be read, so that nobody can say.
    """

    pid: int
    started: int
    name: str | None = None
    command: str | None = None
    ancestors: tuple[int, ...] = ()
    pod_uid: str | None = None
    container_id: str | None = None
    known: bool = True


@dataclass(frozen=True, slots=True)
class Listener:
    """A TCP port that something listens on, and the address at which it can be asked from here.

    ``pid`` and ``command`` are None where the process behind it is not known.
    """

    port: int
    address: str
    pid: int | None = None
    command: str | None = None
    pod_uid: str | None = None
    container_id: str | None = None


@dataclass(frozen=True, slots=True)
class Processes:
    """What is known of the processes that were asked for, and of the engines among them."""

    processes: tuple[Process, ...] = ()
    listeners: tuple[Listener, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """What one container uses, from its cgroup. ``cpu_cores`` spans the time since the last look.

    ``working_set_bytes`` is memory less the file cache that can be dropped at once, as the
    kubelet counts it. A limit that is None is not set or not known.
    """

    pod_uid: str
    container_id: str
    cpu_seconds: float | None = None
    cpu_cores: float | None = None
    cpu_limit_cores: float | None = None
    working_set_bytes: int | None = None
    memory_limit_bytes: int | None = None
    oom_kills: int | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """Devices that the kubelet gave to one container.

    ``resource`` is that of the device plugin, such as ``nvidia.com/gpu``, or the driver's name
    where the devices came by a resource claim (``claim``).
    """

    namespace: str
    pod: str
    container: str
    resource: str
    devices: tuple[str, ...]
    claim: str | None = None


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of this node, as far as this node can name it. ``containers``: id to name."""

    uid: str
    namespace: str
    name: str
    containers: tuple[tuple[str, str], ...] = ()
    ip: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    restarts: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods of this node and what they hold.

    ``allocations`` is None where the kubelet could not be asked: nobody can say then what is
    allocated. ``allocatable`` has the ids of all devices by resource.
    """

    pods: tuple[Pod, ...] = ()
    allocations: tuple[Allocation, ...] | None = None
    allocatable: tuple[tuple[str, tuple[str, ...]], ...] | None = None


@dataclass(frozen=True, slots=True)
class Engine:
    """One service. ``health`` uses the wire's words: ok, degraded, unhealthy, starting, unknown.

    ``models`` can be asked for, ``loaded_models`` are in memory now, ``adapters`` are those of
    ``models`` that are LoRA adapters. Rates and medians span the time since the last look.
    ``pid`` is the listening process, where that is known.
    """

    name: str
    type: str
    status: str
    health: str
    engine: str | None = None
    port: int | None = None
    models: tuple[str, ...] | None = None
    requests_running: float | None = None
    requests_waiting: float | None = None
    address: str | None = None
    version: str | None = None
    loaded_models: tuple[str, ...] | None = None
    adapters: tuple[str, ...] | None = None
    kv_cache_ratio: float | None = None
    generation_tokens_per_second: float | None = None
    prompt_tokens_per_second: float | None = None
    ttft_seconds_p50: float | None = None
    e2e_seconds_p50: float | None = None
    idle_seconds: float | None = None
    pid: int | None = None
    pod_uid: str | None = None
    container_id: str | None = None
    namespace: str | None = None
    pod: str | None = None
    container: str | None = None
    gpus: tuple[int, ...] | None = None
    canary_seconds: float | None = None
    reason: str | None = None
    message: str | None = None
