"""Series of GPUs, in base units. Labels ``gpu`` (index) and ``uuid`` are on each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.snapshot import Snapshot, gpus_now
from citadel_k8s.domain.units import figure
from citadel_k8s.models.readings import Gpu, NvLink
from citadel_k8s.telemetry.exposed import Exposed, Sample, family
from citadel_k8s.telemetry.exposition import Family

KEY: Final = ("gpu", "uuid")

Value: TypeAlias = Callable[[Gpu], float | None]

Parts: TypeAlias = Callable[[Gpu], Iterable[tuple[str, float | None]]]

_GAUGES: Final[tuple[tuple[str, str, Value], ...]] = (
    ("utilization_ratio", "Share of time with a kernel running.", lambda g: g.utilization_ratio),
    ("memory_bus_ratio", "Share of time with the memory bus busy.", lambda g: g.memory_bus_ratio),
    ("memory_used_bytes", "Memory in use.", lambda g: g.memory_used_bytes),
    ("memory_total_bytes", "Memory installed.", lambda g: g.memory_total_bytes),
    ("memory_used_ratio", "Used share of the memory.",
     lambda g: _ratio(g.memory_used_bytes, g.memory_total_bytes)),
    ("temperature_celsius", "Temperature of the chip.", lambda g: g.temperature_celsius),
    ("memory_temperature_celsius", "Temperature of the memory.",
     lambda g: g.memory_temperature_celsius),
    ("power_watts", "Power drawn.", lambda g: g.power_watts),
    ("power_limit_watts", "Power limit in force.", lambda g: g.power_limit_watts),
    ("processes", "Processes that the driver names.",
     lambda g: None if g.processes is None else len(g.processes)),
    ("mig_enabled", "Whether the GPU is sliced.", lambda g: g.mig_enabled),
    ("row_remap_pending", "Whether a memory row waits for a reset to be remapped.",
     lambda g: g.row_remap.pending if g.row_remap else None),
    ("row_remap_failed", "Whether a memory row could not be remapped.",
     lambda g: g.row_remap.failed if g.row_remap else None),
    ("pcie_generation", "Generation of the PCIe link.",
     lambda g: g.pcie.generation if g.pcie else None),
    ("pcie_generation_max", "Newest generation that GPU and slot can do.",
     lambda g: g.pcie.generation_max if g.pcie else None),
    ("pcie_lanes", "Lanes of the PCIe link.", lambda g: g.pcie.width if g.pcie else None),
    ("pcie_lanes_max", "Most lanes that GPU and slot can do.",
     lambda g: g.pcie.width_max if g.pcie else None),
)  # fmt: skip

_COUNTERS: Final[tuple[tuple[str, str, Value], ...]] = (
    ("energy_joules_total", "Energy drawn since the driver loaded.", lambda g: g.energy_joules),
    ("pcie_replays_total", "Replays on the PCIe link.",
     lambda g: g.pcie.replays if g.pcie else None),
)  # fmt: skip

_PARTED: Final[tuple[tuple[str, str, str, Parts], ...]] = (
    ("clock_hertz", "Clock frequency.", "type", lambda g: (
        ("graphics", g.clock_graphics_hertz), ("sm", g.clock_sm_hertz),
        ("memory", g.clock_memory_hertz))),
    ("remapped_rows", "Memory rows put out of use.", "type", lambda g: () if not g.row_remap else (
        ("corrected", g.row_remap.corrected), ("uncorrected", g.row_remap.uncorrected))),
    ("pcie_bytes_per_second", "Traffic on the PCIe link.", "direction", lambda g: () if not g.pcie
     else (("receive", g.pcie.rx_bytes_per_second), ("transmit", g.pcie.tx_bytes_per_second))),
    ("nvlinks", "NVLinks by state.", "state", lambda g: () if g.nvlinks is None else (
        ("up", sum(k.up for k in g.nvlinks)), ("down", sum(not k.up for k in g.nvlinks)))),
)  # fmt: skip

THROTTLE: Final = (
    "gpu-idle", "applications-clocks", "sw-power-cap", "hw-slowdown", "sync-boost",
    "sw-thermal-slowdown", "hw-thermal-slowdown", "hw-power-brake-slowdown", "display-clocks",
)  # fmt: skip
"""Reasons for lower clocks that the driver can give."""


def gpu_metrics(now: Exposed) -> Iterator[Family]:
    """Give all series of GPUs whose source is fresh, and the counts of errors in any case."""
    told = gpus_now(now.snapshot, now.moment.monotonic)
    nvidia = len(now.snapshot.seen)
    shown = [
        *(told[:nvidia] if now.fresh(now.snapshot.gpus) else ()),
        *(told[nvidia:] if now.fresh(now.snapshot.drm) else ()),
    ]
    fresh = [gpu for gpu in shown if (gpu.age_seconds or 0.0) <= now.limit]
    yield from _identity(now.snapshot, shown)
    yield from _health(shown)
    yield from _measures(fresh)
    yield from _errors(fresh)
    yield from _xids(told)
    yield from _slices(fresh)
    yield from _holders(now.snapshot, fresh)


def key(gpu: Gpu) -> tuple[str, str]:
    """Give the label values that every series of a GPU begins with."""
    return str(gpu.index), clip(gpu.uuid or "")


def driver_of(snapshot: Snapshot, gpu: Gpu) -> str:
    """Give the version of a GPU's driver; empty if it is not known."""
    source = snapshot.gpus if gpu.vendor == "nvidia" else snapshot.drm
    return clip((source.good.driver if source.good else None) or "")


def _identity(snapshot: Snapshot, gpus: Sequence[Gpu]) -> Iterator[Family]:
    labels = (*KEY, "pci_bus_id", "model", "driver_version", "mig_profile")
    samples: list[Sample] = []
    for gpu in gpus:
        rest = clip(gpu.pci_bus_id or ""), clip(gpu.name or ""), driver_of(snapshot, gpu)
        samples.append(((*key(gpu), *rest, ""), 1))
        samples.extend(
            ((str(gpu.index), clip(mig.uuid), *rest, clip(mig.profile or "")), 1)
            for mig in gpu.mig or ()
        )
    yield from family("citadel_gpu_info", "What the GPU or its slice is.", samples, labels)


def _health(gpus: Sequence[Gpu]) -> Iterator[Family]:
    yield from family(
        "citadel_gpu_healthy",
        "1 healthy, 0 degraded or failed; no series where it is not known.",
        [(key(g), float(g.health == "ok")) for g in gpus if g.health != "unknown"],
        KEY,
    )
    yield from family(
        "citadel_gpu_verdict",
        "What is wrong with the GPU.",
        [((*key(g), clip(v.reason), v.severity, v.cause), 1.0) for g in gpus for v in g.verdicts],
        (*KEY, "reason", "severity", "cause"),
    )
    known = [g for g in gpus if g.throttle_reasons is not None]
    yield from family(
        "citadel_gpu_throttle",
        "Why the clocks are lower than they could be: 1 for each reason that holds.",
        [
            ((*key(g), clip(reason)), float(reason in (g.throttle_reasons or ())))
            for g in known
            for reason in dict.fromkeys((*THROTTLE, *(g.throttle_reasons or ())))
        ],
        (*KEY, "reason"),
    )


def _measures(gpus: Sequence[Gpu]) -> Iterator[Family]:
    for name, text, value in _GAUGES:
        yield from family(f"citadel_gpu_{name}", text, [(key(g), value(g)) for g in gpus], KEY)
    for name, text, value in _COUNTERS:
        samples = [(key(g), value(g)) for g in gpus]
        yield from family(f"citadel_gpu_{name}", text, samples, KEY, kind="counter")
    for name, text, label, parts in _PARTED:
        split = [((*key(g), part), amount) for g in gpus for part, amount in parts(g)]
        yield from family(f"citadel_gpu_{name}", text, split, (*KEY, label))


def _errors(gpus: Sequence[Gpu]) -> Iterator[Family]:
    yield from family(
        "citadel_gpu_ecc_errors_total",
        "Memory errors: volatile since the driver loaded, aggregate for the GPU's life.",
        [
            ((*key(g), kind, persistence), getattr(g.ecc, f"{kind}_{persistence}"))
            for g in gpus
            if g.ecc
            for kind in ("corrected", "uncorrected")
            for persistence in ("volatile", "aggregate")
        ],
        (*KEY, "type", "persistence"),
        kind="counter",
    )
    yield from family(
        "citadel_gpu_nvlink_errors_total",
        "Errors on all NVLinks of the GPU together.",
        [
            ((*key(g), kind), _sum(g.nvlinks, f"{kind}_errors"))
            for g in gpus
            if g.nvlinks
            for kind in ("crc", "replay", "recovery")
        ],
        (*KEY, "type"),
        kind="counter",
    )


def _xids(gpus: Sequence[Gpu]) -> Iterator[Family]:
    # Counted by the agent itself: they stay true while the driver gives no answer.
    labels = (*KEY, "xid")
    counts = [((*key(g), str(x.xid)), x) for g in gpus for x in g.xids]
    yield from family("citadel_gpu_xid_errors_total", "Errors that the driver told, by number.",
                      [(k, x.count) for k, x in counts], labels, kind="counter")  # fmt: skip
    yield from family("citadel_gpu_xid_last_timestamp_seconds", "Date of the last such error.",
                      [(k, x.last_at) for k, x in counts], labels)  # fmt: skip
    last = [(key(g), max(g.xids, key=lambda x: x.last_at).xid) for g in gpus if g.xids]
    yield from family("citadel_gpu_last_xid", "Number of the last such error.", last, KEY)


def _slices(gpus: Sequence[Gpu]) -> Iterator[Family]:
    labels = (*KEY, "mig_profile")
    slices = [
        ((str(g.index), clip(m.uuid), clip(m.profile or "")), m) for g in gpus for m in g.mig or ()
    ]
    yield from family("citadel_gpu_mig_memory_used_bytes", "Memory in use in a slice.",
                      [(k, m.memory_used_bytes) for k, m in slices], labels)  # fmt: skip
    yield from family("citadel_gpu_mig_memory_total_bytes", "Memory of a slice.",
                      [(k, m.memory_total_bytes) for k, m in slices], labels)  # fmt: skip


def _holders(snapshot: Snapshot, gpus: Sequence[Gpu]) -> Iterator[Family]:
    labels = ("uuid", "namespace", "pod", "container")
    held = [
        ((uuid_of(g, h.device), clip(h.namespace), clip(h.pod), clip(h.container or "")), h)
        for g in gpus
        for h in snapshot.holders.get(g.index) or ()
        if h.namespace and h.pod
    ]
    yield from family("citadel_gpu_pod_info", "A container that holds the GPU or its slice.",
                      [(k, 1) for k, _ in held], labels)  # fmt: skip
    yield from family("citadel_gpu_pod_memory_used_bytes", "GPU memory that a container uses.",
                      [(k, h.memory_used_bytes) for k, h in held], labels)  # fmt: skip
    yield from family("citadel_gpu_pod_idle_seconds", "How long it has been held without use.",
                      [(k, h.idle_seconds) for k, h in held], labels)  # fmt: skip


def uuid_of(gpu: Gpu, device: str) -> str:
    """Give the uuid of what is held: the slice's own, or the GPU's."""
    return clip(device if device.startswith("MIG-") else gpu.uuid or "")


def _ratio(part: int | None, whole: int | None) -> float | None:
    known, most = figure(part), figure(whole)
    return known / most if known is not None and most else None


def _sum(links: Iterable[NvLink] | None, name: str) -> int | None:
    known = [count for link in links or () if (count := getattr(link, name)) is not None]
    return sum(known) if known else None
