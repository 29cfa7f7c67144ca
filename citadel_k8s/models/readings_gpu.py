"""What collectors read of GPUs, and who holds them. Units as in `citadel_k8s.models.readings`."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that the driver names on a GPU. ``kind``: ``compute``, ``graphics`` or ``mps``."""

    pid: int
    kind: str = "compute"
    memory_used_bytes: int | None = None
    utilization_ratio: float | None = None
    gpu_instance_id: int | None = None
    compute_instance_id: int | None = None


@dataclass(frozen=True, slots=True)
class MigInstance:
    """One slice of a GPU; its utilization cannot be had from the driver."""

    uuid: str
    profile: str | None = None
    gpu_instance_id: int | None = None
    compute_instance_id: int | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class EccErrors:
    """Memory errors counted by the GPU: volatile since the driver loaded, aggregate for life."""

    corrected_volatile: int | None = None
    uncorrected_volatile: int | None = None
    corrected_aggregate: int | None = None
    uncorrected_aggregate: int | None = None


@dataclass(frozen=True, slots=True)
class RowRemap:
    """Rows of memory out of use; ``pending`` ones need a reset, ``failed``: no spare is left."""

    corrected: int
    uncorrected: int
    pending: bool
    failed: bool


@dataclass(frozen=True, slots=True)
class Pcie:
    """The link to the host: generation and lanes now and at most, replays since the start."""

    generation: int | None = None
    generation_max: int | None = None
    width: int | None = None
    width_max: int | None = None
    replays: int | None = None
    rx_bytes_per_second: int | None = None
    tx_bytes_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class NvLink:
    """One link to another GPU or a switch, with its error counters since the driver loaded."""

    link: int
    up: bool
    crc_errors: int | None = None
    replay_errors: int | None = None
    recovery_errors: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a device, said so that a person knows what to do.

    ``severity``: ``info``, ``warning`` or ``fatal``. ``cause``: ``application``, ``driver``,
    ``hardware``, ``thermal``, ``power`` or ``unknown``. Only causes outside the application can
    make a GPU bad.
    """

    reason: str
    severity: str
    cause: str
    remedy: str
    message: str


@dataclass(frozen=True, slots=True)
class XidCount:
    """How often the driver reported an error of this number since the agent started.

    ``last_at`` is seconds since the epoch.
    """

    xid: int
    count: int
    last_at: float


@dataclass(frozen=True, slots=True)
class GpuEvent:
    """One event that the driver told by itself. ``kind``: ``xid``, ``ecc`` or ``lost-events``."""

    kind: str
    index: int | None
    uuid: str | None
    xid: int | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. ``health`` is ``ok``, ``degraded``, ``failed`` or ``unknown``, with its reason.

    ``memory_bus_ratio`` is how busy the memory's bus is, not how full the memory.
    ``processes`` is None where the driver does not say, which is not the same as none.
    ``age_seconds`` is set where values are not of the last reading. ``minor`` is the number of
    the device's node, as in ``/dev/nvidia3`` or ``card3``: some name devices by it.
    """

    index: int
    uuid: str | None = None
    name: str | None = None
    vendor: str = "nvidia"
    pci_bus_id: str | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    utilization_ratio: float | None = None
    memory_bus_ratio: float | None = None
    temperature_celsius: int | None = None
    memory_temperature_celsius: int | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    energy_joules: float | None = None
    clock_graphics_hertz: int | None = None
    clock_sm_hertz: int | None = None
    clock_memory_hertz: int | None = None
    throttle_reasons: tuple[str, ...] | None = None
    ecc_enabled: bool | None = None
    ecc: EccErrors | None = None
    row_remap: RowRemap | None = None
    pcie: Pcie | None = None
    nvlinks: tuple[NvLink, ...] | None = None
    mig_enabled: bool | None = None
    mig: tuple[MigInstance, ...] | None = None
    processes: tuple[GpuProcess, ...] | None = None
    xids: tuple[XidCount, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    health: str = "unknown"
    reason: str | None = None
    message: str | None = None
    age_seconds: float | None = None
    minor: int | None = None


@dataclass(frozen=True, slots=True)
class Gpus:
    """All GPUs of a node. ``cuda`` is the newest version that the driver can serve."""

    driver: str | None
    gpus: tuple[Gpu, ...] = field(default_factory=tuple)
    cuda: str | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a GPU or a slice of it.

    ``how``: ``exclusive``, ``time-sliced``, ``mps``, ``mig``, ``claim``, ``host`` (used outside
    any pod), ``unallocated`` (used by a pod that was not given it), ``process`` (used by this
    pod, nobody can say by what right) or ``unknown`` (nobody can say where the processes belong, or
    which of several has the device). ``idle_seconds``: how long it has been held without a process
    on it; None where it is in use or that is not known.
    """

    device: str
    how: str
    namespace: str | None = None
    pod: str | None = None
    pod_uid: str | None = None
    container: str | None = None
    pids: tuple[int, ...] = ()
    memory_used_bytes: int | None = None
    idle_seconds: float | None = None
