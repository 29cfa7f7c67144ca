"""From what the sources said to the status message: what is known, how old it is, what changed.

A source that fails does not take back what it said before: the last good value stays, with its
age and the reason. Units change here and nowhere else: the program keeps bytes and ratios, the
wire GiB, MiB and percent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, Generic, TypeVar

from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.readings import Absent, Engine, Failed, Gpu, Gpus, Host, Outcome, Reading
from citadel_k8s.models.wire import (
    AgentInfo,
    CollectorInfo,
    Goodbye,
    GpuInfo,
    NodeInfo,
    NodeStatus,
    ServiceInfo,
    StatusMessage,
    SystemInfo,
)

T = TypeVar("T")

_GIB: Final = 1024**3
_MIB: Final = 1024**2


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
    def complete(self) -> bool:
        """Whether every source has answered at least once."""
        return None not in (self.host.outcome, self.gpus.outcome, self.engines.outcome)


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks: constant for the life of an agent process."""

    node_id: str
    node_name: str
    boot_id: str
    interval_seconds: float
    version: str
    gpu_source: str = "nvml"
    status_port: int | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on three clocks, in seconds: the date, the clock of durations, the uptime."""

    date: float
    monotonic: float
    uptime: float


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
            _outcome_word(snapshot.gpus.outcome),
            tuple((g.index, g.uuid, g.health, g.reason) for g in gpus_now(snapshot, 0.0)),
            tuple(sorted((e.name, e.status) for e in engines)),
        ),
        soft=(
            _outcome_word(snapshot.engines.outcome),
            tuple(sorted((e.name, e.health, e.reason or "", e.models or ()) for e in engines)),
        ),
    )


def status_message(
    speaker: Speaker,
    snapshot: Snapshot,
    moment: Moment,
    *,
    seq: int | None = None,
    goodbye: Goodbye | None = None,
) -> StatusMessage:
    """Give the message that tells a snapshot; ``seq`` counts a process's heartbeats from 1."""
    host = snapshot.host.good
    return StatusMessage(
        timestamp=format_timestamp(moment.date),
        node_id=speaker.node_id,
        status=node_status(speaker, snapshot, moment),
        boot_id=speaker.boot_id,
        host_boot_id=None if host is None else host.boot_id,
        seq=seq,
        interval_seconds=speaker.interval_seconds,
        agent=AgentInfo(version=speaker.version),
        goodbye=goodbye,
        status_port=speaker.status_port,
    )


def node_status(speaker: Speaker, snapshot: Snapshot, moment: Moment) -> NodeStatus:
    """Give the inner status. A list that is None is not known; an empty one is known to be so."""
    now = moment.monotonic
    gpus, driver = (
        gpus_now(snapshot, now),
        snapshot.gpus.good.driver if snapshot.gpus.good else None,
    )
    engines = snapshot.engines.good
    return NodeStatus(
        timestamp=format_timestamp(moment.date, fraction=True),
        node=NodeInfo(name=speaker.node_name, uptime_seconds=int(moment.uptime)),
        system=_system(snapshot.host.good or Host()),
        gpu=[_gpu(g, driver) for g in gpus] if _gpus_known(snapshot) else None,
        services=None if engines is None else [_service(e) for e in engines],
        vnc_port=0,
        collectors=[
            _collector("host", snapshot.host, now),
            _collector(speaker.gpu_source, snapshot.gpus, now),
            _collector("engines", snapshot.engines, now),
        ],
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
                    age_seconds=_age(seen.good_at, now),
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
    return filled if filled == identity else replace(filled, age_seconds=_age(seen.good_at, now))


def _first(value: T | None, otherwise: T | None) -> T | None:
    return otherwise if value is None else value


def _age(since: float | None, now: float) -> float | None:
    return None if since is None else round(max(0.0, now - since), 1)


def _gpus_known(snapshot: Snapshot) -> bool:
    return bool(snapshot.seen) or isinstance(snapshot.gpus.outcome, Reading | Absent)


def _outcome_word(outcome: Outcome[T] | None) -> tuple[str, str]:
    match outcome:
        case None:
            return ("unknown", "")
        case Reading():
            return ("ok", "")
        case Absent(reason, _):
            return ("absent", reason)
        case Failed(reason, _):
            return ("failed", reason)


def _collector(name: str, known: Known[T], now: float) -> CollectorInfo:
    state, _ = _outcome_word(known.outcome)
    outcome = known.outcome
    bad = outcome if isinstance(outcome, Absent | Failed) else None
    return CollectorInfo(
        name=name,
        state=state,
        reason=bad.reason if bad else None,
        message=bad.message if bad else None,
        age_seconds=_age(known.good_at, now),
    )


def _system(host: Host) -> SystemInfo:
    return SystemInfo(
        cpu_percent=_percent(host.cpu_ratio),
        memory_used_gb=_gib(host.memory_used_bytes),
        memory_total_gb=_gib(host.memory_total_bytes),
        memory_percent=_share(host.memory_used_bytes, host.memory_total_bytes),
        disk_used_gb=_gib(host.disk_used_bytes),
        disk_total_gb=_gib(host.disk_total_bytes),
        disk_percent=_share(host.disk_used_bytes, _disk_usable(host)),
        swap_used_gb=_gib(host.swap_used_bytes),
        swap_total_gb=_gib(host.swap_total_bytes),
        load_1m=host.load_1m,
        cpu_count=host.cpu_count,
        host_uptime_seconds=None if host.uptime_seconds is None else int(host.uptime_seconds),
        network_rx_bytes=host.network_rx_bytes,
        network_tx_bytes=host.network_tx_bytes,
    )


def _gpu(gpu: Gpu, driver: str | None) -> GpuInfo:
    return GpuInfo(
        index=gpu.index,
        name=gpu.name or "unknown",
        memory_used_mb=_mib(gpu.memory_used_bytes),
        memory_total_mb=_mib(gpu.memory_total_bytes),
        temperature_celsius=gpu.temperature_celsius,
        utilization_percent=_percent(gpu.utilization_ratio),
        driver=driver,
        uuid=gpu.uuid,
        power_watts=_rounded(gpu.power_watts),
        power_limit_watts=_rounded(gpu.power_limit_watts),
        health=gpu.health,
        reason=gpu.reason,
        message=gpu.message,
        age_seconds=gpu.age_seconds,
    )


def _service(engine: Engine) -> ServiceInfo:
    return ServiceInfo(
        name=engine.name,
        type=engine.type,
        status=engine.status,
        port=engine.port,
        health=engine.health,
        models=None if engine.models is None else list(engine.models),
        engine=engine.engine,
        reason=engine.reason,
        message=engine.message,
        requests_running=engine.requests_running,
        requests_waiting=engine.requests_waiting,
    )


def _disk_usable(host: Host) -> int | None:
    # As df does: what is kept for root counts neither as used nor as available.
    if host.disk_used_bytes is None or host.disk_available_bytes is None:
        return None
    return host.disk_used_bytes + host.disk_available_bytes


def _percent(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio * 100, 1)


def _share(part: int | None, whole: int | None) -> float | None:
    return round(part / whole * 100, 1) if part is not None and whole else None


def _gib(size: int | None) -> float | None:
    return None if size is None else round(size / _GIB, 2)


def _mib(size: int | None) -> int | None:
    return None if size is None else size // _MIB


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
