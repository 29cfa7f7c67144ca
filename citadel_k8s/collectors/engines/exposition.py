"""A few series out of a Prometheus exposition, without reading the rest of it.

vLLM tells 600 series in 60 kB, of which a dozen matter. So the wanted names are searched for as
plain bytes and only their lines are taken apart.
"""

import math
import re
from dataclasses import dataclass
from typing import Final, TypeAlias

SAMPLES_MAX: Final = 4096
"""Samples taken of one name: replicas and reasons are tens, and an engine may repeat itself."""

Buckets: TypeAlias = tuple[tuple[float, float], ...]
"""A histogram: upper bounds in ascending order, each with the count of what is not above it."""

_REST: Final = re.compile(
    rb'(?:\{([^"\n}]*+(?:"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"[^"\n}]*+)*+)\})? +([^ \n]++)[^\n]*+'
)
"""What follows a name in a line: labels, the value, perhaps a time. Nothing is tried twice, so
that a line of megabytes takes no longer than many short ones."""

_BOUND: Final = re.compile(rb'(?:^|,)le="([^"]*)"')
_RANK: Final = re.compile(rb'(?:^|,)(?:tp|pp)_rank="(?!0")')


@dataclass(frozen=True, slots=True)
class Metric:
    """A series by its name; only those with the label, and in base units by the scale."""

    name: bytes
    label: bytes = b""
    scale: float = 1.0


class Exposition:
    """One answer to ``GET /metrics``."""

    def __init__(self, text: bytes) -> None:
        self._text = b"\n" + text

    def __contains__(self, prefix: bytes) -> bool:
        """Whether some series begins with the prefix."""
        return b"\n" + prefix in self._text

    def total(self, *metrics: Metric) -> float | None:
        """Give the sum over all replicas of the first metric that is there.

        Returns
        -------
        float or None
            None if none is there, or the sum is no finite number.
        """
        return _finite(sum(values)) if (values := self._first(metrics)) else None

    def highest(self, *metrics: Metric) -> float | None:
        """Give the highest value of the first metric that is there."""
        return _finite(max(values)) if (values := self._first(metrics)) else None

    def buckets(self, metric: Metric) -> Buckets | None:
        """Give a histogram summed over all replicas, with bounds in base units."""
        counts: dict[float, float] = {}
        for labels, value in self._samples(metric.name + b"_bucket"):
            bound = _BOUND.search(labels)
            if bound is None or metric.label not in labels:
                continue
            try:
                upper = float(bound[1]) * metric.scale
            except ValueError:
                continue
            counts[upper] = counts.get(upper, 0.0) + value
        usable = not any(math.isnan(v) for pair in counts.items() for v in pair)
        return tuple(sorted(counts.items())) if counts and usable else None

    def _first(self, metrics: tuple[Metric, ...]) -> list[float]:
        for metric in metrics:
            values = [
                value * metric.scale
                for labels, value in self._samples(metric.name)
                if metric.label in labels
            ]
            if values:
                return values
        return []

    def _samples(self, name: bytes) -> list[tuple[bytes, float]]:
        text, line = self._text, b"\n" + name
        found: list[tuple[bytes, float]] = []
        at = text.find(line)
        while at >= 0 and len(found) < SAMPLES_MAX:
            rest = _REST.match(text, at + len(line))
            if rest is None:  # a longer name, or no sample at all
                at = text.find(line, at + 1)
                continue
            labels = rest[1] or b""
            # Every rank of one model repeats what rank 0 says; replicas are added up.
            if b"_rank" not in labels or _RANK.search(labels) is None:
                _keep(found, labels, rest[2])
            at = rest.end() if text.startswith(line, rest.end()) else text.find(line, rest.end())
        return found


def _keep(found: list[tuple[bytes, float]], labels: bytes, number: bytes) -> None:
    try:
        found.append((labels, float(number)))
    except ValueError:
        return


def _finite(value: float) -> float | None:
    # JSON has no word for infinity; a report that held one could not be sent.
    return value if math.isfinite(value) else None
