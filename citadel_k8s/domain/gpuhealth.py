"""From what a GPU reports to what is wrong with it, why, and what to do.

A reading alone misses what only shows over time: counters that rise, links that were up before.
`watch` keeps that much of the past; `judge` is a function of both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from citadel_k8s.domain import findings
from citadel_k8s.domain.findings import Finding
from citadel_k8s.domain.xids import rule_of
from citadel_k8s.models.readings import Gpu, NvLink, XidCount

HOLD_SECONDS: Final = 90.0
"""Seconds for which a sampled symptom counts after it was last seen. A clock that is lowered each
other second would else send a fault and a recovery with each reading."""

CONFIRM_SECONDS: Final = 5.0
"""Seconds after which a second sample confirms what one sample showed: a sensor may err once,
clocks are lowered for a moment, and a link changes its speed while the load is measured."""

LINK_SECONDS: Final = 70.0
"""Seconds for which a link has to be narrow at full speed, or short of NVLinks after the GPU was
sliced: lanes and links are read each minute, speed and slices more often."""

RISE_SECONDS: Final = 600.0
"""Seconds within which two rises of the count of uncorrected memory errors mean that memory is
dying: a single one is dealt with by remapping its row."""

REPLAY_SECONDS: Final = 60.0
"""Least seconds over which the rate of replays is measured: one burst is no rate."""

REPLAYS_PER_MINUTE: Final = 8.0
"""Replays on the PCIe link per minute above which it is bad. Source: DCGM's limit."""

BUSY_RATIO: Final = 0.2
"""Utilization from which the link's generation is judged: an idle GPU lowers it to save power, and
some take lanes away too."""

HOT_CELSIUS: Final = 90
"""Temperature of the chip that is too high: data-centre GPUs slow down at 87 to 93."""

HOT_MEMORY_CELSIUS: Final = 110
"""Temperature of the memory that is too high: HBM slows down at 95 to 105, GDDR6X at 110, and
GDDR6X works at 100 for years."""


_PATIENCE: Final = {"PcieWidth": LINK_SECONDS, "SwThermalSlowdown": 0.0}
"""Seconds after which a symptom that is still there is told, if not `CONFIRM_SECONDS`."""


@dataclass(frozen=True, slots=True)
class GpuHistory:
    """What was noticed of one GPU over time; moments are of the clock of durations.

    ``rises``: the last two moments at which its uncorrected errors rose. ``replays`` were counted
    at ``replays_at``. ``links_up``: most links that were up at once. ``symptoms``: what samples
    showed for certain, and when last. ``suspects``: what they showed, and when first and last.
    ``sliced_at``: when it was last sliced.
    """

    uncorrected: int | None = None
    rises: tuple[float, ...] = ()
    replays: int | None = None
    replays_at: float = 0.0
    links_up: int = 0
    symptoms: tuple[tuple[str, float], ...] = ()
    suspects: tuple[tuple[str, float, float], ...] = ()
    sliced_at: float | None = None


def watch(history: GpuHistory, gpu: Gpu, at: float) -> GpuHistory:
    """Give the history after this reading."""
    uncorrected = gpu.ecc.uncorrected_volatile if gpu.ecc else None
    rises = history.rises
    if uncorrected is not None:
        if history.uncorrected is not None and uncorrected > history.uncorrected:
            rises = (*rises, at)[-2:]
        elif uncorrected < (history.uncorrected or 0):
            rises = ()  # counted anew since a reset
    replays, replays_at, many = _replays(history, gpu, at)
    suspects = _suspects(history, gpu, at)
    sure = [
        name
        for name, first, last in suspects
        if last == at and at - first >= _PATIENCE.get(name, CONFIRM_SECONDS)
    ]
    seen = [*sure, *(["PcieReplays"] if many else [])]
    kept = {name: when for name, when in history.symptoms if at - when <= HOLD_SECONDS}
    return GpuHistory(
        uncorrected=history.uncorrected if uncorrected is None else uncorrected,
        rises=rises,
        replays=replays,
        replays_at=replays_at,
        links_up=max(history.links_up, up_links(gpu.nvlinks)),
        symptoms=tuple(sorted((kept | dict.fromkeys(seen, at)).items())),
        suspects=suspects,
        sliced_at=at if gpu.mig_enabled else history.sliced_at,
    )


def judge(
    gpu: Gpu,
    history: GpuHistory,
    xids: Sequence[XidCount] = (),
    *,
    now: float = 0.0,
    links: int = 0,
) -> Gpu:
    """Give the GPU with its verdicts, the gravest first, and with its final health.

    Parameters
    ----------
    gpu : Gpu
        As read. A GPU whose reading failed stays failed for the reading's reason; of one whose
        health is not known, only what makes it fail for certain is told.
    history : GpuHistory
        What was noticed of it before, this reading included.
    xids : sequence of XidCount
        The driver's errors that still weigh.
    now : float
        The moment on the clock of durations.
    links : int
        How many NVLinks most other GPUs of this kind on the node have up.
    """
    found = sorted(_findings(gpu, history, xids, now, links), key=lambda f: f.rank)
    worst = next((f for f in found if f.marks != "none"), None)
    verdicts = tuple(f.verdict for f in found)
    judged = replace(gpu, verdicts=verdicts) if verdicts != gpu.verdicts else gpu
    if worst is None or gpu.health == "failed":
        return judged
    if gpu.health == "unknown" and worst.marks != "failed":
        return judged
    reason, message = worst.verdict.reason, worst.verdict.message
    return replace(judged, health=worst.marks, reason=reason, message=message)


def usual_links(gpus: Sequence[Gpu], name: str | None) -> int:
    """Give how many NVLinks more than half of the GPUs of this name have up; 0 if none do."""
    counts = [up_links(gpu.nvlinks) for gpu in gpus if gpu.name == name]
    usual = sorted(counts)[len(counts) // 2] if counts else 0
    return usual if counts.count(usual) * 2 > len(counts) else 0


def up_links(links: Sequence[NvLink] | None) -> int:
    """Give how many links are up."""
    return sum(link.up for link in links or ())


def _findings(
    gpu: Gpu, history: GpuHistory, xids: Sequence[XidCount], now: float, links: int
) -> Iterator[Finding]:
    if gpu.health == "failed":
        yield findings.of_reading(gpu)
    yield from _of_memory(gpu, history, now)
    yield from _of_links(gpu, history, now, links)
    for name, when in history.symptoms:
        if now - when <= HOLD_SECONDS:
            yield findings.of(name, _lanes(gpu) if name == "PcieWidth" else None)
    for told in xids:
        yield findings.of_xid(rule_of(told.xid), told.count)


def _of_memory(gpu: Gpu, history: GpuHistory, now: float) -> Iterator[Finding]:
    uncorrected = (gpu.ecc.uncorrected_volatile if gpu.ecc else None) or 0
    recent = [when for when in history.rises if now - when <= RISE_SECONDS]
    if uncorrected and len(recent) > 1:
        yield findings.of("EccErrorsGrowing", f"{uncorrected} uncorrected memory errors, rising")
    elif uncorrected:
        yield findings.of("EccErrors", f"{uncorrected} uncorrected memory errors")
    if gpu.row_remap is not None and gpu.row_remap.failed:
        yield findings.of("RowRemapFailed")
    elif gpu.row_remap is not None and gpu.row_remap.pending:
        yield findings.of("RowRemapPending")


def _of_links(gpu: Gpu, history: GpuHistory, now: float, links: int) -> Iterator[Finding]:
    expected = max(history.links_up, links)
    # A sliced GPU has its links off, and those of one that was sliced are not up at once.
    sliced = history.sliced_at is not None and now - history.sliced_at <= LINK_SECONDS
    if gpu.nvlinks is not None and not sliced and up_links(gpu.nvlinks) < expected:
        up = up_links(gpu.nvlinks)
        yield findings.of("NvLinkDown", f"{up} NVLinks are up, {expected} are expected")


def _lanes(gpu: Gpu) -> str | None:
    pcie = gpu.pcie
    narrow = pcie is not None and _below(pcie.width, pcie.width_max)
    return f"{pcie.width} of {pcie.width_max} PCIe lanes" if pcie and narrow else None


def _symptoms(gpu: Gpu) -> Iterator[str]:
    reasons = {reason.lower().replace("_", "-") for reason in gpu.throttle_reasons or ()}
    specific = reasons & {"hw-thermal-slowdown", "hw-power-brake-slowdown"}
    if "hw-thermal-slowdown" in reasons:
        yield "HwThermalSlowdown"
    if "hw-power-brake-slowdown" in reasons:
        yield "HwPowerBrake"
    if "hw-slowdown" in reasons and not specific:
        yield "HwSlowdown"
    if "sw-thermal-slowdown" in reasons:
        yield "SwThermalSlowdown"
    if (gpu.temperature_celsius or 0) >= HOT_CELSIUS:
        yield "TemperatureHigh"
    if (gpu.memory_temperature_celsius or 0) >= HOT_MEMORY_CELSIUS:
        yield "MemoryTemperatureHigh"
    slow = gpu.pcie is not None and _below(gpu.pcie.generation, gpu.pcie.generation_max)
    if slow and (gpu.utilization_ratio or 0.0) >= BUSY_RATIO:
        yield "PcieGeneration"
    # Whoever saves power lowers both: at full speed nothing is saved.
    if not slow and _lanes(gpu) is not None:
        yield "PcieWidth"


def _suspects(history: GpuHistory, gpu: Gpu, at: float) -> tuple[tuple[str, float, float], ...]:
    now = set(_symptoms(gpu))
    kept = {
        name: (first, last)
        for name, first, last in history.suspects
        if at - last <= HOLD_SECONDS and (name != "PcieWidth" or name in now)
    }
    kept |= {name: (kept.get(name, (at, at))[0], at) for name in now}
    return tuple((name, *kept[name]) for name in sorted(kept))


def _replays(history: GpuHistory, gpu: Gpu, at: float) -> tuple[int | None, float, bool]:
    """Give the count to measure from, its moment, and whether the rate since is too high."""
    count = gpu.pcie.replays if gpu.pcie else None
    if count is None:
        return history.replays, history.replays_at, False
    if history.replays is None or count < history.replays:
        return count, at, False
    span = at - history.replays_at
    if span < REPLAY_SECONDS:
        return history.replays, history.replays_at, False
    return count, at, (count - history.replays) / span * 60 > REPLAYS_PER_MINUTE


def _below(value: int | None, most: int | None) -> bool:
    # Zero lanes or no generation is a link that could not be read, not one that is slow.
    return value is not None and most is not None and 0 < value < most
