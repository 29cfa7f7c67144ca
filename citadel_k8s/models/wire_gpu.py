"""What a status message says of GPUs. Units as in `citadel_k8s.models.wire`."""

from citadel_k8s.models.base import Listed, Timestamp, Whole, WireModel


class EccInfo(WireModel):
    """Memory errors: volatile since the driver loaded, aggregate for the GPU's life."""

    corrected_volatile: Whole | None = None
    uncorrected_volatile: Whole | None = None
    corrected_aggregate: Whole | None = None
    uncorrected_aggregate: Whole | None = None


class RowRemapInfo(WireModel):
    """Rows of memory put out of use."""

    corrected: Whole
    uncorrected: Whole
    pending: bool
    failed: bool


class PcieInfo(WireModel):
    """The link to the host."""

    generation: Whole | None = None
    generation_max: Whole | None = None
    width: Whole | None = None
    width_max: Whole | None = None
    replays: Whole | None = None
    rx_bytes_per_second: Whole | None = None
    tx_bytes_per_second: Whole | None = None


class NvLinkInfo(WireModel):
    """The links to other GPUs: how many there are, how many are up, errors of all together."""

    links: Whole
    up: Whole
    errors: Whole | None = None


class MigInfo(WireModel):
    """One slice of a GPU."""

    uuid: str
    profile: str | None = None
    memory_used_mb: Whole | None = None
    memory_total_mb: Whole | None = None


class GpuProcessInfo(WireModel):
    """A process on a GPU; without a pod it runs outside any."""

    pid: Whole
    name: str | None = None
    kind: str | None = None
    memory_used_mb: Whole | None = None
    namespace: str | None = None
    pod: str | None = None
    container: str | None = None


class HolderInfo(WireModel):
    """Who holds a GPU or a slice of it; ``idle_seconds``: allocated, and unused since."""

    device: str
    how: str
    namespace: str | None = None
    pod: str | None = None
    container: str | None = None
    processes: Whole | None = None
    memory_used_mb: Whole | None = None
    idle_seconds: Whole | None = None


class XidInfo(WireModel):
    """How often the driver reported this error since the agent started."""

    xid: Whole
    count: Whole
    last_at: Timestamp
    name: str | None = None
    severity: str | None = None
    cause: str | None = None


class VerdictInfo(WireModel):
    """What is wrong with a device, and what to do."""

    reason: str
    severity: str
    cause: str
    remedy: str
    message: str


class GpuInfo(WireModel):
    """One GPU. The Go client leaves zeros out, so an absent key is unknown and never zero."""

    index: Whole
    name: str
    memory_used_mb: Whole | None = None
    memory_total_mb: Whole | None = None
    temperature_celsius: Whole | None = None
    utilization_percent: float | None = None
    driver: str | None = None
    uuid: str | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    vendor: str | None = None
    pci_bus_id: str | None = None
    memory_bus_percent: float | None = None
    memory_temperature_celsius: Whole | None = None
    energy_joules: float | None = None
    clock_graphics_mhz: Whole | None = None
    clock_sm_mhz: Whole | None = None
    clock_memory_mhz: Whole | None = None
    throttle_reasons: Listed[str] | None = None
    ecc: EccInfo | None = None
    row_remap: RowRemapInfo | None = None
    pcie: PcieInfo | None = None
    nvlink: NvLinkInfo | None = None
    mig_enabled: bool | None = None
    mig: Listed[MigInfo] | None = None
    processes: Listed[GpuProcessInfo] | None = None
    holders: Listed[HolderInfo] | None = None
    xids: Listed[XidInfo] | None = None
    verdicts: Listed[VerdictInfo] | None = None
    health: str | None = None
    reason: str | None = None
    message: str | None = None
    age_seconds: float | None = None
    ecc_enabled: bool | None = None
