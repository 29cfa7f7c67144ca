"""From what is known of the sources to the status message.

Units change here and nowhere else: the program keeps bytes and ratios, the wire GiB, MiB and
percent.
"""

from dataclasses import dataclass
from typing import Final, TypeVar

from citadel_k8s.domain.snapshot import Known, Snapshot, gpus_now, rounded_age, state_of
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.readings import Absent, Engine, Failed, Gpu, Host
from citadel_k8s.models.wire import (
    AgentInfo,
    CollectorInfo,
    Goodbye,
    NodeInfo,
    NodeStatus,
    ServiceInfo,
    StatusMessage,
    SystemInfo,
)
from citadel_k8s.models.wire_gpu import GpuInfo

T = TypeVar("T")

_GIB: Final = 1024**3
_MIB: Final = 1024**2


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
        gpu=[_gpu(g, driver) for g in gpus] if snapshot.gpus_known else None,
        services=None if engines is None else [_service(e) for e in engines],
        vnc_port=0,
        collectors=[
            _collector("host", snapshot.host, now),
            _collector(speaker.gpu_source, snapshot.gpus, now),
            _collector("engines", snapshot.engines, now),
        ],
    )


def _collector(name: str, known: Known[T], now: float) -> CollectorInfo:
    state, _ = state_of(known.outcome)
    outcome = known.outcome
    bad = outcome if isinstance(outcome, Absent | Failed) else None
    return CollectorInfo(
        name=name,
        state=state,
        reason=bad.reason if bad else None,
        message=bad.message if bad else None,
        age_seconds=rounded_age(known.good_at, now),
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
