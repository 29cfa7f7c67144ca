"""What one scrape tells, and how a metric is made: no empty family, no label set twice."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from citadel_k8s.aio.outbox import Freshness
from citadel_k8s.domain.known import Known
from citadel_k8s.domain.report import Moment, Speaker
from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.models.wire import ConfigInfo
from citadel_k8s.telemetry.exposition import Family, Kind, finite

KEPT_INTERVALS: Final = 2
"""Heartbeat intervals after which an old value's series is dropped: one may be missed by chance,
and a graph must not draw a hung driver's last reading as a flat line."""

Sample: TypeAlias = tuple[tuple[str, ...], float | None]
"""Label values in the family's order, and the value; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Exposed:
    """What one scrape tells. ``config``: which configuration is applied, None for none."""

    speaker: Speaker
    snapshot: Snapshot
    moment: Moment
    freshness: Freshness | None
    transport: str
    waiting: int
    loop_lag: float
    config: ConfigInfo | None = None

    @property
    def limit(self) -> float:
        """Seconds after which a value is too old to be shown."""
        return KEPT_INTERVALS * self.speaker.interval_seconds

    def fresh(self, known: Known[Any]) -> bool:
        """Say whether a source's last reading is young enough to be shown."""
        age = known.age(self.moment.monotonic)
        return age is not None and age <= self.limit


def family(
    name: str,
    text: str,
    samples: Iterable[Sample],
    labels: tuple[str, ...] = (),
    *,
    kind: Kind = "gauge",
) -> Iterator[Family]:
    """Give one metric, or none if no value is known.

    Parameters
    ----------
    name, text : str
        Name in full, as in ``_total`` and ``_info``, and what it tells.
    samples : iterable of (label values, value)
        What is not known has no sample; of two with the same labels the first counts.
    labels : tuple of str
        The labels' names.
    kind : str
        ``unknown`` for a counter whose name, not ours, lacks the suffix.
    """
    values: dict[tuple[str, ...], float] = {}
    for key, value in samples:
        if value is not None and finite(value, kind):
            values.setdefault(key, value)
    if values:
        yield Family(name, text, kind, labels, values)
