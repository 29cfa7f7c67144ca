"""Errors that the driver told by itself, counted per occurrence and per GPU.

A reader that polls a "last error" sees two equal ones as one, and an old one for ever. Here each
counts, and weighs only as long as its rule says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from citadel_k8s.domain.xids import rule_of
from citadel_k8s.models.readings import GpuEvent, XidCount

XIDS_MAX: Final = 32
"""Distinct errors kept of one GPU: a dying one tells a dozen; the least recent makes room."""

GPUS_MAX: Final = 64
"""GPUs of which errors are kept: four of the largest nodes on sale."""

WEIGHT_INTERVALS: Final = 1.5
"""Heartbeat intervals for which an error that is over by itself is still told as a verdict: the
GPUs are judged a second before a heartbeat, so that two of the grid tell it and never a third."""

BURST_SECONDS: Final = 60.0
"""Seconds without an error of a number after which the next one is news again."""

BURST_TOLD: Final = 16
"""Errors of one number in a burst that are each told at once; then only at each doubling. A
kernel in a loop can make thousands a second, and the grid tells the count anyway."""


@dataclass(frozen=True, slots=True)
class XidEntry:
    """One number on one GPU.

    ``last_at`` is a date, ``seen_at`` of the clock of durations; ``mark`` moves when an occurrence
    is to be told at once; ``spent``: the GPU was reset since.
    """

    xid: int
    count: int
    last_at: float
    seen_at: float
    burst: int = 1
    mark: int = 1
    spent: bool = False


@dataclass(frozen=True, slots=True)
class XidLog:
    """All counted errors by GPU: its uuid, or its index where the driver gave none.

    ``lost`` counts how often the driver said that it dropped events.
    """

    entries: Mapping[str, tuple[XidEntry, ...]] = field(
        default_factory=dict[str, tuple[XidEntry, ...]]
    )
    lost: int = 0

    def learn(self, event: GpuEvent, *, at: float, date: float) -> "XidLog":
        """Give the log after this event.

        Parameters
        ----------
        event : GpuEvent
            What the driver told; only errors with a number are counted.
        at, date : float
            The moment on the clock of durations, and as seconds since the epoch.
        """
        if event.kind == "lost-events":
            return replace(self, lost=self.lost + 1)
        if event.kind != "xid" or event.xid is None:
            return self
        key = key_of(event.uuid, event.index)
        kept = {k: v for k, v in self.entries.items() if k != key}
        while len(kept) >= GPUS_MAX:
            del kept[min(kept, key=lambda k: max(e.seen_at for e in kept[k]))]
        kept[key] = _counted(self.entries.get(key, ()), event.xid, at, date)
        return replace(self, entries=kept)

    def clear(self, key: str) -> "XidLog":
        """Give the log after a reset of this GPU: its errors still count, and weigh no more."""
        if all(entry.spent for entry in self.entries.get(key, ())):
            return self
        spent = tuple(replace(entry, spent=True) for entry in self.entries[key])
        return replace(self, entries={**self.entries, key: spent})

    def counts(self, key: str) -> tuple[XidCount, ...]:
        """Give how often each error was told of this GPU, by number."""
        return tuple(_count(entry) for entry in self.entries.get(key, ()))

    def active(self, key: str, now: float, interval: float) -> tuple[XidCount, ...]:
        """Give the errors that still weigh, by number.

        Parameters
        ----------
        key : str
            See `key_of`.
        now, interval : float
            The moment on the clock of durations; seconds between heartbeats.
        """
        limit = now - WEIGHT_INTERVALS * interval
        return tuple(
            _count(entry)
            for entry in self.entries.get(key, ())
            if not entry.spent and (entry.seen_at >= limit or not rule_of(entry.xid).clears)
        )

    def marks(self) -> tuple[tuple[str, int, int], ...]:
        """Give what differs after an occurrence that is to be told at once."""
        return tuple(
            (key, entry.xid, entry.mark)
            for key in sorted(self.entries)
            for entry in self.entries[key]
        )


def key_of(uuid: str | None, index: int | None) -> str:
    """Give what a GPU's errors are counted under; empty for an error of no GPU."""
    return uuid or ("" if index is None else f"#{index}")


def _counted(
    entries: tuple[XidEntry, ...], xid: int, at: float, date: float
) -> tuple[XidEntry, ...]:
    old = next((entry for entry in entries if entry.xid == xid), None)
    others = sorted((e for e in entries if e.xid != xid), key=lambda e: e.seen_at)
    kept = others[-(XIDS_MAX - 1) :]
    return tuple(sorted([*kept, _again(old, xid, at, date)], key=lambda entry: entry.xid))


def _again(old: XidEntry | None, xid: int, at: float, date: float) -> XidEntry:
    if old is None:
        return XidEntry(xid, 1, date, at)
    burst = old.burst + 1 if at - old.seen_at <= BURST_SECONDS else 1
    news = burst <= BURST_TOLD or burst.bit_count() == 1
    return XidEntry(xid, old.count + 1, date, at, burst, old.mark + news)


def _count(entry: XidEntry) -> XidCount:
    return XidCount(entry.xid, entry.count, entry.last_at)
