"""What is known of each source, how old it is, and what of it is worth telling at once.

A source that fails does not take back what it said before: the last good value stays, with its
age and the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Generic, TypeVar

from citadel_k8s.models.readings import Absent, Engine, Failed, Gpu, Gpus, Host, Outcome, Reading

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """What is known of one source. Moments are seconds of a clock that never goes back.

    Attributes
    ----------
    outcome
        Its last answer; None before the first.
    good, good_at
        The last reading, and when it was taken.
    duration
        Seconds that the last answer took.
    """

    outcome: Outcome[T] | None = None
    good: T | None = None
    good_at: float | None = None
    duration: float | None = None

    def learn(self, outcome: Outcome[T], *, at: float, duration: float) -> "Known[T]":
        """Give what is known after this answer."""
        if isinstance(outcome, Reading):
            return Known(outcome, outcome.value, at, duration)
        return Known(outcome, self.good, self.good_at, duration)

    def age(self, now: float) -> float | None:
        """Give the seconds since the last reading."""
        return None if self.good_at is None else max(0.0, now - self.good_at)


@dataclass(frozen=True, slots=True)
class SeenGpu:
    """One GPU: its last answer, and its last good values with their moment."""

    last: Gpu
    good: Gpu | None = None
    good_at: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the agent knows, ready to be told. ``seen`` carries each GPU's memory."""

    host: Known[Host] = Known()
    gpus: Known[Gpus] = Known()
    engines: Known[tuple[Engine, ...]] = Known()
    seen: tuple[SeenGpu, ...] = ()

    def learn_gpus(self, outcome: Outcome[Gpus], *, at: float, duration: float) -> "Snapshot":
        """Give the snapshot after this answer about the GPUs."""
        known = self.gpus.learn(outcome, at=at, duration=duration)
        seen = _see(self.seen, outcome.value.gpus, at) if isinstance(outcome, Reading) else None
        return replace(self, gpus=known, seen=self.seen if seen is None else seen)

    @property
    def gpus_known(self) -> bool:
        """Whether it is known which GPUs there are, none included."""
        return bool(self.seen) or isinstance(self.gpus.outcome, Reading | Absent)

    @property
    def complete(self) -> bool:
        """Whether every source has answered at least once."""
        return None not in (self.host.outcome, self.gpus.outcome, self.engines.outcome)


class Change(IntEnum):
    """How urgent a change is: hard ones stand, soft ones are to be confirmed."""

    NONE = 0
    SOFT = 1
    HARD = 2


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is worth telling at once when it changes."""

    hard: tuple[object, ...]
    soft: tuple[object, ...]

    def change_to(self, after: "Fingerprint") -> Change:
        """Say how urgent the change from here to there is."""
        if self.hard != after.hard:
            return Change.HARD
        return Change.SOFT if self.soft != after.soft else Change.NONE


def fingerprint(snapshot: Snapshot) -> Fingerprint:
    """Give what of a snapshot is worth telling at once.

    Hard is what is certain the moment it is seen: a GPU's fault or recovery, a service that came
    or went. Soft is what one slow answer can feign: a service's health and its models.
    """
    engines = () if snapshot.engines.good is None else snapshot.engines.good
    return Fingerprint(
        hard=(
            state_of(snapshot.gpus.outcome),
            tuple((g.index, g.uuid, g.health, g.reason) for g in gpus_now(snapshot, 0.0)),
            tuple(sorted((e.name, e.status) for e in engines)),
        ),
        soft=(
            state_of(snapshot.engines.outcome),
            tuple(sorted((e.name, e.health, e.reason or "", e.models or ()) for e in engines)),
        ),
    )


def gpus_now(snapshot: Snapshot, now: float) -> tuple[Gpu, ...]:
    """Give each GPU with its fresh values, or with the last good ones, their age and the reason."""
    told = tuple(_with_memory(seen, now) for seen in snapshot.seen)
    match snapshot.gpus.outcome:
        case Absent(reason, message) | Failed(reason, message):
            # The GPUs were there; that nobody can ask them now says nothing of their health.
            return tuple(
                replace(
                    gpu,
                    health="unknown",
                    reason=reason,
                    message=message,
                    age_seconds=rounded_age(seen.good_at, now),
                )
                for gpu, seen in zip(told, snapshot.seen, strict=True)
            )
        case _:
            return told


def _see(before: Sequence[SeenGpu], gpus: Sequence[Gpu], at: float) -> tuple[SeenGpu, ...]:
    seen: list[SeenGpu] = []
    rest = list(before)
    for gpu in gpus:
        old = _find(rest, gpu)
        if old is not None:
            rest.remove(old)
        seen.append(_see_one(old, gpu, at))
    # A GPU that the driver no longer lists did not become well by that.
    seen.extend(_missing(old) for old in rest if old.good is not None)
    return tuple(sorted(seen, key=lambda s: s.last.index))


def _find(seen: Sequence[SeenGpu], gpu: Gpu) -> SeenGpu | None:
    for old in seen:
        uuid = (old.good or old.last).uuid
        if uuid == gpu.uuid if uuid and gpu.uuid else old.last.index == gpu.index:
            return old
    return None


def _see_one(old: SeenGpu | None, gpu: Gpu, at: float) -> SeenGpu:
    if gpu.health == "ok" or old is None or old.good is None:
        good = gpu if gpu.health in {"ok", "unknown"} else None
        return SeenGpu(gpu, good, None if good is None else at)
    return SeenGpu(gpu, old.good, old.good_at)


def _missing(old: SeenGpu) -> SeenGpu:
    gone = Gpu(
        index=old.last.index,
        health="failed",
        reason="GpuMissing",
        message="the driver no longer lists this GPU",
    )
    return replace(old, last=gone)


def _with_memory(seen: SeenGpu, now: float) -> Gpu:
    last, good = seen.last, seen.good
    if last.health == "ok" or good is None:
        return last
    identity = replace(
        last,
        uuid=last.uuid or good.uuid,
        name=last.name or good.name,
        memory_total_bytes=_first(last.memory_total_bytes, good.memory_total_bytes),
        power_limit_watts=_first(last.power_limit_watts, good.power_limit_watts),
    )
    if last.reason in {"GpuLost", "GpuMissing", "ResetRequired"}:
        return identity  # what is gone uses nothing and has no temperature
    filled = replace(
        identity,
        memory_used_bytes=_first(last.memory_used_bytes, good.memory_used_bytes),
        utilization_ratio=_first(last.utilization_ratio, good.utilization_ratio),
        temperature_celsius=_first(last.temperature_celsius, good.temperature_celsius),
        power_watts=_first(last.power_watts, good.power_watts),
    )
    return (
        filled
        if filled == identity
        else replace(filled, age_seconds=rounded_age(seen.good_at, now))
    )


def _first(value: T | None, otherwise: T | None) -> T | None:
    return otherwise if value is None else value


def rounded_age(since: float | None, now: float) -> float | None:
    """Give the seconds since a moment, to a tenth."""
    return None if since is None else round(max(0.0, now - since), 1)


def state_of(outcome: Outcome[T] | None) -> tuple[str, str]:
    """Give the one word for an answer, ok, absent, failed or unknown, and its reason."""
    match outcome:
        case None:
            return ("unknown", "")
        case Reading():
            return ("ok", "")
        case Absent(reason, _):
            return ("absent", reason)
        case Failed(reason, _):
            return ("failed", reason)
