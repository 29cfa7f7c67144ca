"""Five-minute sums of what nodes say, additive: in any order, and from any number of workers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, cast

BUCKET_MS: Final = 300_000
"""Width of a bucket, in milliseconds of the stream's clock: ten heartbeats, and 288 rows a day."""

FIGURES: Final = ("cpu", "memory", "util", "vram", "power", "running")
"""What is summed; ratios of 0 to 1, watts, and requests."""


class BucketKey(NamedTuple):
    """Whose, and when the bucket begins, in milliseconds; sorts as rows are locked."""

    org_id: str
    node_id: str
    bucket_ms: int


class Sample(NamedTuple):
    """What one heartbeat said: ``pulse`` in the shape of `models.views.Pulse`."""

    org_id: str
    node_id: str
    stream_ms: int
    pulse: Mapping[str, Any]


@dataclass(slots=True)
class Sums:
    """Sums and counts of one bucket; what was not known adds to no count."""

    beats: int = 0
    sums: dict[str, float] = field(default_factory=dict[str, float])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    util_max: float | None = None

    def add(self, values: Mapping[str, float | None]) -> None:
        """Add one heartbeat."""
        self.beats += 1
        for name, value in values.items():
            if value is not None:
                self.sums[name] = self.sums.get(name, 0.0) + value
                self.counts[name] = self.counts.get(name, 0) + 1
        util = values.get("util")
        if util is not None:
            self.util_max = util if self.util_max is None else max(self.util_max, util)

    def merge(self, other: "Sums") -> None:
        """Add what another has summed."""
        self.beats += other.beats
        for name, value in other.sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + other.counts[name]
        if other.util_max is not None:
            self.util_max = max(other.util_max, self.util_max or 0.0)


def summed(samples: Iterable[Sample]) -> dict[BucketKey, Sums]:
    """Give the sums of some heartbeats by their buckets."""
    found: dict[BucketKey, Sums] = {}
    for sample in samples:
        start = sample.stream_ms - sample.stream_ms % BUCKET_MS
        key = BucketKey(sample.org_id, sample.node_id, start)
        found.setdefault(key, Sums()).add(figures(sample.pulse))
    return found


def figures(pulse: Mapping[str, Any]) -> dict[str, float | None]:
    """Give what is summed of a pulse; GPUs by their mean."""
    gpus = cast("Sequence[Sequence[int | None]]", pulse.get("gpu") or ())
    return {
        "cpu": pulse.get("cpu"),
        "memory": pulse.get("memory"),
        "util": _mean(gpu[0] for gpu in gpus),
        "vram": _mean(gpu[1] for gpu in gpus),
        "power": pulse.get("power"),
        "running": pulse.get("running"),
    }


def _mean(percents: Iterable[int | None]) -> float | None:
    known = [percent for percent in percents if percent is not None]
    return sum(known) / len(known) / 100 if known else None
