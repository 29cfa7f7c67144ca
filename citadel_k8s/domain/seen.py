"""Each GPU's memory: its last answer, its last good values, and what was noticed over time.

One lost or hung GPU neither hides the others nor takes back what it said before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from citadel_k8s.domain.gpuhealth import GpuHistory, watch
from citadel_k8s.domain.xidlog import key_of
from citadel_k8s.models.readings import Absent, Failed, Gpu, Gpus, Outcome

T = TypeVar("T")

MISSING_SECONDS: Final = 3 * 86_400.0
"""Seconds for which a GPU that is no longer listed is told: a weekend and a day. By then somebody
has seen it, or it was taken out for good."""

MISSING_MAX: Final = 16
"""GPUs told that are no longer listed: as many as the largest node has."""

_GONE = frozenset({"GpuLost", "GpuMissing", "ResetRequired"})
_IDENTITY = (
    "uuid", "name", "pci_bus_id", "memory_total_bytes", "power_limit_watts", "ecc_enabled",
    "mig_enabled",
)  # fmt: skip
_MEASURES = (
    "memory_used_bytes", "utilization_ratio", "memory_bus_ratio", "temperature_celsius",
    "memory_temperature_celsius", "power_watts", "energy_joules", "clock_graphics_hertz",
    "clock_sm_hertz", "clock_memory_hertz", "ecc", "row_remap", "pcie", "nvlinks", "mig",
    "processes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SeenGpu:
    """One GPU: its last answer, its last good values with their moment, what was noticed.

    ``missing_since`` is None while it is listed.
    """

    last: Gpu
    good: Gpu | None = None
    good_at: float | None = None
    history: GpuHistory = field(default_factory=GpuHistory)
    missing_since: float | None = None

    @property
    def place(self) -> str | None:
        """Its place on the bus, as far as it ever was told."""
        return self.last.pci_bus_id or (self.good.pci_bus_id if self.good else None)


@dataclass(frozen=True, slots=True)
class ToldGpu:
    """One GPU as it is to be told; ``since`` is the moment of its values if they are not fresh."""

    gpu: Gpu
    since: float | None = None
    history: GpuHistory = field(default_factory=GpuHistory)

    @property
    def key(self) -> str:
        """What its errors are counted under."""
        return key_of(self.gpu.uuid, self.gpu.index)


def see(before: Sequence[SeenGpu], gpus: Sequence[Gpu], at: float) -> tuple[SeenGpu, ...]:
    """Give the memory of all GPUs after this reading."""
    seen: list[SeenGpu] = []
    rest = list(before)
    for gpu in gpus:
        old = _find(rest, gpu)
        if old is not None:
            rest.remove(old)
        seen.append(_see_one(old, gpu, at))
    # A GPU that the driver no longer lists did not become well by that. The others may have moved
    # up, and each number is one GPU's.
    taken = {gpu.index for gpu in gpus}
    for old in _missed(rest, seen, at):
        index = max(taken) + 1 if old.last.index in taken else old.last.index
        taken.add(index)
        seen.append(_missing(old, index, at))
    return tuple(sorted(seen, key=lambda s: s.last.index))


def were_reset(
    before: Sequence[SeenGpu], after: Sequence[SeenGpu], *, reloaded: bool = False
) -> tuple[str, ...]:
    """Give the keys of the GPUs that were reset, or whose driver was loaded anew, in between.

    A GPU that was lost and answers again was reset; so was one whose counters began anew, and each
    that answers if the driver was ``reloaded``.
    """
    keys: list[str] = []
    for new in after:
        gpu, old = new.last, _find(before, new.last)
        if gpu.health != "ok" or old is None or old.good is None:
            continue
        gone = old.last.health == "failed" and old.last.reason in _GONE
        if gone or reloaded or _fell(old.good.energy_joules, gpu.energy_joules):
            keys.append(key_of(gpu.uuid, gpu.index))
    return tuple(keys)


def tell(seen: Sequence[SeenGpu], outcome: Outcome[Gpus] | None) -> tuple[ToldGpu, ...]:
    """Give each GPU with its fresh values, or with the last good ones and their moment."""
    told = tuple(_with_memory(one) for one in seen)
    match outcome:
        case Absent(reason, message) | Failed(reason, message):
            # The GPUs were there; that nobody can ask them now says nothing of their health.
            return tuple(
                replace(
                    one,
                    gpu=replace(one.gpu, health="unknown", reason=reason, message=message),
                    since=memory.good_at,
                )
                for one, memory in zip(told, seen, strict=True)
            )
        case _:
            return told


def _find(seen: Sequence[SeenGpu], gpu: Gpu) -> SeenGpu | None:
    for old in seen:
        uuid = (old.good or old.last).uuid
        if uuid == gpu.uuid if uuid and gpu.uuid else old.last.index == gpu.index:
            return old
    return None


def _see_one(old: SeenGpu | None, read: Gpu, at: float) -> SeenGpu:
    gpu = _with_link_errors(read, old.good if old else None)
    history = watch(GpuHistory() if old is None else old.history, gpu, at)
    if gpu.health == "ok" or old is None or old.good is None:
        good = gpu if gpu.health in {"ok", "unknown"} else None
        return SeenGpu(gpu, good, None if good is None else at, history)
    return SeenGpu(gpu, old.good, old.good_at, history)


def _with_link_errors(gpu: Gpu, before: Gpu | None) -> Gpu:
    """Give the GPU with the counts that its links had when they went down.

    Nobody can read them then, and a sum over the others would look like a counter that began anew.
    """
    links, known = gpu.nvlinks or (), (before.nvlinks if before else None) or ()
    if not known or all(link.up for link in links):
        return gpu
    old = {link.link: link for link in known}
    kept = (
        link if link.up or link.link not in old else replace(old[link.link], up=False)
        for link in links
    )
    return replace(gpu, nvlinks=tuple(kept))


def _missed(rest: Sequence[SeenGpu], seen: Sequence[SeenGpu], at: float) -> list[SeenGpu]:
    """Give those that are missing, of what is no longer listed: replaced ones are not."""
    places = {one.place for one in seen} - {None}
    missed = [
        old
        for old in rest
        if old.good is not None
        and old.place not in places
        and (old.missing_since is None or at - old.missing_since <= MISSING_SECONDS)
    ]
    missed.sort(key=lambda old: at if old.missing_since is None else old.missing_since)
    return missed[-MISSING_MAX:]


def _missing(old: SeenGpu, index: int, at: float) -> SeenGpu:
    since = old.missing_since
    gone = Gpu(
        index=index,
        vendor=old.last.vendor,
        health="failed",
        reason="GpuMissing",
        message="the driver no longer lists this GPU",
    )
    return replace(old, last=gone, missing_since=at if since is None else since)


def _with_memory(seen: SeenGpu) -> ToldGpu:
    last, good = seen.last, seen.good
    if last.health == "ok" or good is None:
        return ToldGpu(last, history=seen.history)
    identity = _filled(last, good, _IDENTITY)
    if last.reason in _GONE:
        # What is gone uses nothing and has no temperature.
        return ToldGpu(identity, history=seen.history)
    filled = _filled(identity, good, _MEASURES)
    return ToldGpu(filled, None if filled == identity else seen.good_at, seen.history)


def _filled(gpu: Gpu, good: Gpu, names: Sequence[str]) -> Gpu:
    missing = {name: getattr(good, name) for name in names if getattr(gpu, name) is None}
    return replace(gpu, **missing)


def _fell(before: float | None, after: float | None) -> bool:
    # A counter of nothing is one that could not be read: a GPU that just came up has used some.
    return before is not None and after is not None and 0 < after < before
