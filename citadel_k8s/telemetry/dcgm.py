"""The same GPUs under the names, labels and units of NVIDIA's dcgm-exporter.

For dashboards and alerts that are already there. Off by default: on a node that also runs
dcgm-exporter each series would be there twice.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.snapshot import Snapshot, gpus_now
from citadel_k8s.models.readings import EccErrors, Gpu
from citadel_k8s.telemetry.exposed import Exposed, family
from citadel_k8s.telemetry.exposition import Family, Kind
from citadel_k8s.telemetry.gpu_metrics import driver_of

LABELS: Final = (
    "gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname", "DCGM_FI_DRIVER_VERSION",
    "namespace", "pod", "container",
)  # fmt: skip
"""Labels of each series; the last three are empty where no one container holds the whole GPU."""

_MIB: Final = 1024**2
_MHZ: Final = 1_000_000
_MILLI: Final = 1000

Value: TypeAlias = Callable[[Gpu], float | None]


def _last_xid(gpu: Gpu) -> int:
    return max(gpu.xids, key=lambda one: one.last_at).xid if gpu.xids else 0


def _free(gpu: Gpu) -> float | None:
    if gpu.memory_used_bytes is None or gpu.memory_total_bytes is None:
        return None
    return (gpu.memory_total_bytes - gpu.memory_used_bytes) // _MIB


_FIELDS: Final[tuple[tuple[str, Kind, str, Value], ...]] = (
    ("GPU_UTIL", "gauge", "Utilization in percent.", lambda g: _times(g.utilization_ratio, 100)),
    ("MEM_COPY_UTIL", "gauge", "Utilization of the memory bus in percent.",
     lambda g: _times(g.memory_bus_ratio, 100)),
    ("FB_USED", "gauge", "Memory used in MiB.", lambda g: _whole(g.memory_used_bytes, _MIB)),
    ("FB_FREE", "gauge", "Memory free in MiB.", _free),
    ("FB_TOTAL", "gauge", "Memory in MiB.", lambda g: _whole(g.memory_total_bytes, _MIB)),
    ("GPU_TEMP", "gauge", "Temperature in degrees Celsius.", lambda g: g.temperature_celsius),
    ("MEMORY_TEMP", "gauge", "Temperature of the memory in degrees Celsius.",
     lambda g: g.memory_temperature_celsius),
    ("POWER_USAGE", "gauge", "Power drawn in watts.", lambda g: g.power_watts),
    ("TOTAL_ENERGY_CONSUMPTION", "unknown", "Energy since the driver loaded in mJ.",
     lambda g: _times(g.energy_joules, _MILLI)),
    ("SM_CLOCK", "gauge", "Clock of the multiprocessors in MHz.",
     lambda g: _whole(g.clock_sm_hertz, _MHZ)),
    ("MEM_CLOCK", "gauge", "Clock of the memory in MHz.",
     lambda g: _whole(g.clock_memory_hertz, _MHZ)),
    ("XID_ERRORS", "gauge", "Number of the last XID; 0 for none.", _last_xid),
    ("ECC_SBE_VOL_TOTAL", "unknown", "Single-bit errors since the driver loaded.",
     lambda g: _ecc(g, lambda e: e.corrected_volatile)),
    ("ECC_DBE_VOL_TOTAL", "unknown", "Double-bit errors since the driver loaded.",
     lambda g: _ecc(g, lambda e: e.uncorrected_volatile)),
    ("ECC_SBE_AGG_TOTAL", "unknown", "Single-bit errors in the GPU's life.",
     lambda g: _ecc(g, lambda e: e.corrected_aggregate)),
    ("ECC_DBE_AGG_TOTAL", "unknown", "Double-bit errors in the GPU's life.",
     lambda g: _ecc(g, lambda e: e.uncorrected_aggregate)),
    ("CORRECTABLE_REMAPPED_ROWS", "unknown", "Rows remapped for correctable errors.",
     lambda g: g.row_remap.corrected if g.row_remap else None),
    ("UNCORRECTABLE_REMAPPED_ROWS", "unknown", "Rows remapped for uncorrectable errors.",
     lambda g: g.row_remap.uncorrected if g.row_remap else None),
    ("ROW_REMAP_FAILURE", "gauge", "Whether remapping of rows has failed.",
     lambda g: g.row_remap.failed if g.row_remap else None),
    ("ROW_REMAP_PENDING", "gauge", "Whether a row waits for a reset to be remapped.",
     lambda g: g.row_remap.pending if g.row_remap else None),
    ("PCIE_REPLAY_COUNTER", "unknown", "Replays on the PCIe link.",
     lambda g: g.pcie.replays if g.pcie else None),
    ("NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", "unknown", "CRC errors on all NVLinks.",
     lambda g: _links(g, "crc_errors")),
    ("NVLINK_REPLAY_ERROR_COUNT_TOTAL", "unknown", "Replays on all NVLinks.",
     lambda g: _links(g, "replay_errors")),
    ("NVLINK_RECOVERY_ERROR_COUNT_TOTAL", "unknown", "Recoveries on all NVLinks.",
     lambda g: _links(g, "recovery_errors")),
)  # fmt: skip


def dcgm_metrics(now: Exposed) -> Iterator[Family]:
    """Give the aliases of NVIDIA's GPUs while their source is fresh."""
    if not now.fresh(now.snapshot.gpus):
        return
    told = gpus_now(now.snapshot, now.moment.monotonic)[: len(now.snapshot.seen)]
    gpus = [gpu for gpu in told if (gpu.age_seconds or 0.0) <= now.limit]
    labels = {id(gpu): _labels(now, gpu) for gpu in gpus}
    for name, kind, text, value in _FIELDS:
        samples = [(labels[id(gpu)], value(gpu)) for gpu in gpus]
        yield from family(f"DCGM_FI_DEV_{name}", text, samples, LABELS, kind=kind)


def _labels(now: Exposed, gpu: Gpu) -> tuple[str, ...]:
    number = gpu.index if gpu.minor is None else gpu.minor
    return (
        str(gpu.index),
        clip(gpu.uuid or ""),
        clip(gpu.pci_bus_id or ""),
        f"nvidia{number}",
        clip(gpu.name or ""),
        clip(now.speaker.node_name),
        driver_of(now.snapshot, gpu),
        *_holder(now.snapshot, gpu),
    )


def _holder(snapshot: Snapshot, gpu: Gpu) -> tuple[str, str, str]:
    holders = [one for one in snapshot.holders.get(gpu.index) or () if one.pod]
    if len(holders) != 1 or holders[0].device.startswith("MIG-"):
        return ("", "", "")
    one = holders[0]
    return clip(one.namespace or ""), clip(one.pod or ""), clip(one.container or "")


def _ecc(gpu: Gpu, part: Callable[[EccErrors], int | None]) -> int | None:
    return part(gpu.ecc) if gpu.ecc else None


def _links(gpu: Gpu, name: str) -> int | None:
    counts: Iterable[int | None] = (getattr(link, name) for link in gpu.nvlinks or ())
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _times(value: float | None, factor: int) -> float | None:
    return None if value is None else round(value * factor, 3)


def _whole(value: int | None, unit: int) -> int | None:
    return None if value is None else value // unit
