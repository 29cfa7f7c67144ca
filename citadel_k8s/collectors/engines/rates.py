"""What can only be told from two looks: rates, medians, and how long nothing was asked."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from citadel_k8s.collectors.engines.exposition import Buckets, Exposition, Metric
from citadel_k8s.collectors.engines.tables import Series

START: Final = Metric(b"process_start_time_seconds")
"""When the engine's process began, by its own client library, where it is told."""


@dataclass(frozen=True, slots=True)
class Load:
    """How busy an engine is. None is "not told", or "not before the next look".

    ``asleep``: the engine says that it has put its weights aside. ``started`` is when its process
    began, in seconds since the epoch.
    """

    running: float | None = None
    waiting: float | None = None
    kv_cache_ratio: float | None = None
    generation_rate: float | None = None
    prompt_rate: float | None = None
    ttft_p50: float | None = None
    e2e_p50: float | None = None
    idle_seconds: float | None = None
    asleep: bool = False
    started: float | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """The counters of one look, at a moment of the clock of durations."""

    at: float
    started: float | None
    generation: float | None
    prompt: float | None
    requests: float | None
    activity: tuple[float | None, ...]
    ttft: Buckets | None
    e2e: Buckets | None


class Rates:
    """Keeps the last look at one engine, and the moment since which it has been idle."""

    def __init__(self) -> None:
        self._last: Look | None = None
        self._quiet_since: float | None = None

    def forget(self) -> None:
        """Begin anew: between this look and the next something was not seen."""
        self._last = None
        self._quiet_since = None

    def learn(
        self, told: Exposition, series: Series, at: float, own_requests: int = 0
    ) -> tuple[Load, bool]:
        """Give the load, and whether the engine was restarted since the last look.

        Parameters
        ----------
        told : Exposition
            What the engine tells now.
        series : Series
            What its family calls things.
        at : float
            Seconds on the clock of durations.
        own_requests : int
            Requests that this agent made itself since the last look; they are no use of it.
        """
        look = _look(told, series, at, self._last)
        running, waiting = told.total(*series.running), told.total(*series.waiting)
        last = self._last
        restarted = last is not None and _restarted(last, look)
        if restarted:
            self.forget()
            last = None
        self._last = look
        idle = self._idle(last, look, busy=bool(running or waiting), own=own_requests)
        load = Load(
            running=running,
            waiting=waiting,
            kv_cache_ratio=_ratio(told.highest(*series.kv_cache)),
            generation_rate=_rate(last, look, lambda at: at.generation)
            if look.generation is not None
            else told.total(*series.generation_rate),
            prompt_rate=_rate(last, look, lambda at: at.prompt)
            if look.prompt is not None
            else told.total(*series.prompt_rate),
            ttft_p50=median_between(None if last is None else last.ttft, look.ttft),
            e2e_p50=median_between(None if last is None else last.e2e, look.e2e),
            idle_seconds=idle,
            asleep=told.total(*series.awake) == 0,
            started=look.started,
        )
        return load, restarted

    def _idle(self, last: Look | None, look: Look, *, busy: bool, own: int) -> float | None:
        if all(value is None for value in look.activity):
            return None
        if last is None:
            self._quiet_since = None if busy else look.at
            return 0.0 if busy else None
        if busy or (last.activity != look.activity and not _only_own(last, look, own)):
            self._quiet_since = look.at
        elif self._quiet_since is None:
            self._quiet_since = last.at
        return look.at - self._quiet_since


def median_between(before: Buckets | None, after: Buckets | None) -> float | None:
    """Give the median of what was counted between two looks, in the histogram's unit.

    Inside a bucket values are taken to be spread evenly; of the last one, which has no end, only
    its beginning is known.

    Returns
    -------
    float or None
        None if nothing was counted, or the two cannot be compared.
    """
    if not before or not after or [b for b, _ in before] != [b for b, _ in after]:
        return None
    counts = [now - then for (_, then), (_, now) in zip(before, after, strict=True)]
    if counts[0] < 0 or any(low > high for low, high in pairwise(counts)):
        return None
    if not (0 < counts[-1] < math.inf):
        return None
    half = counts[-1] / 2
    lower, below = 0.0, 0.0
    for (upper, _), count in zip(after, counts, strict=True):
        if count >= half:
            if math.isinf(upper):
                return lower if len(after) > 1 else None
            return lower + (upper - lower) * (half - below) / (count - below)
        lower, below = upper, count
    return None


def _look(told: Exposition, series: Series, at: float, last: Look | None) -> Look:
    requests = told.total(*series.requests)
    generation, prompt = told.total(*series.generation), told.total(*series.prompt)
    return Look(
        at=at,
        started=told.highest(START),
        generation=generation,
        prompt=prompt,
        requests=requests,
        activity=(requests, generation, prompt, told.total(*series.steps)),
        ttft=_histogram(told, series.ttft, None if last is None else last.ttft),
        e2e=_histogram(told, series.e2e, None if last is None else last.e2e),
    )


def _histogram(
    told: Exposition, metrics: tuple[Metric, ...], last: Buckets | None
) -> Buckets | None:
    for metric in metrics:
        count = told.total(replace(metric, name=metric.name + b"_count", scale=1.0))
        if count is not None and last is not None and last[-1] == (math.inf, count):
            return last  # nothing was counted, and a histogram is most of what there is to read
        if (found := told.buckets(metric)) is not None:
            return found
    return None


def _restarted(last: Look, look: Look) -> bool:
    if None not in (last.started, look.started):
        # One process more or less behind the same port is a restart too.
        return last.started != look.started
    pairs = zip(last.activity, look.activity, strict=True)
    return any(a is not None and b is not None and b < a for a, b in pairs)


def _rate(last: Look | None, look: Look, of: Callable[[Look], float | None]) -> float | None:
    before, after = (None if last is None else of(last)), of(look)
    if last is None or before is None or after is None:
        return None
    seconds, count = look.at - last.at, after - before
    return count / seconds if seconds > 0 and count >= 0 else None


def _only_own(last: Look, look: Look, own: int) -> bool:
    if not own:
        return False
    if last.requests is None or look.requests is None:
        return True  # nobody can tell whose it was; the next look can
    return 0 <= look.requests - last.requests <= own


def _ratio(value: float | None) -> float | None:
    return None if value is None or not value >= 0 else min(value, 1.0)
