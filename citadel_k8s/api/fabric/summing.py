"""``GET /api/fabric/summary``: the fleet in a few numbers, for a page's head."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, cast

from citadel_k8s.api.fabric.queries import StateCount, SummaryView
from citadel_k8s.api.fabric.rows import Item, moment
from citadel_k8s.api.fabric.shelf import Shelf
from citadel_k8s.api.frame.route import Call
from citadel_k8s.domain.standing import ATTENTION, CURRENT
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.models.views import GpuCount

BUSY_PERCENT: Final = 5
"""Utilization from which a GPU is busy. Source: the wire contract's idle rule."""


class Summary:
    """Answers with counts.

    Parameters
    ----------
    shelf : Shelf
        Has the nodes.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def __call__(self, call: Call) -> SummaryView:
        """Answer with the counts of all nodes that were not given up."""
        listing = await self._shelf.listing(call.who.org_id)
        items = list(listing.items.values())
        states = Counter(item.state for item in items)
        there = [item for item in items if item.state is not NodeState.DECOMMISSIONED]
        now = [item for item in there if item.state in CURRENT]
        busy, idle = _busy_and_idle(now)
        total = sum(item.gpu_count or 0 for item in there)
        return SummaryView(
            nodes=len(there),
            states=[
                StateCount(state=s, count=states[s]) for s in map(NodeState, ATTENTION) if states[s]
            ],
            gpus=total,
            gpus_busy=busy,
            gpus_idle=idle,
            gpus_unknown=max(0, total - busy - idle),
            gpu_models=_gpu_models(there),
            vram_bytes=_total(item.profile.get("vramBytes") for item in there),
            vram_used_bytes=_whole(_total(map(_vram_used, now))),
            power=_total(item.pulse.get("power") for item in now),
            models=len({name for item in now for name in item.models}),
            running=_total(item.pulse.get("running") for item in now),
            waiting=_total(item.pulse.get("waiting") for item in now),
            as_of=moment(listing.frontier_ms),
            ingest_lag=None if listing.lag_seconds is None else round(listing.lag_seconds, 1),
            time=moment(listing.ingested.now_ms) or "",
        )


def _busy_and_idle(items: Iterable[Item]) -> tuple[int, int]:
    busy = idle = 0
    for item in items:
        for used, _memory, _mark in _gpus(item):
            if used is not None:
                busy += used >= BUSY_PERCENT
                idle += used < BUSY_PERCENT
    return busy, idle


def _gpus(item: Item) -> list[tuple[int | None, int | None, int | None]]:
    return cast("list[tuple[int | None, int | None, int | None]]", item.pulse.get("gpu") or [])


def _vram_used(item: Item) -> float | None:
    """Give the memory in use, where it is known of each GPU."""
    total, gpus = item.profile.get("vramBytes"), _gpus(item)
    known = [memory for _used, memory, _mark in gpus if memory is not None]
    if total is None or not known or len(known) < len(gpus):
        return None
    return float(total * sum(known) / len(known) / 100)


def _gpu_models(items: Iterable[Item]) -> list[GpuCount]:
    counts: Counter[str] = Counter()
    for item in items:
        for gpu in item.profile.get("gpus") or ():
            counts[str(gpu.get("model", ""))] += int(gpu.get("count", 0))
    return [GpuCount(model=model, count=count) for model, count in counts.most_common()]


def _total(values: Iterable[Any]) -> Any:
    """Give the sum of what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
