"""What collectors read, in base units: bytes, ratios 0-1, degrees Celsius, watts, seconds.

Plain dataclasses of plain values, so that a child process that reads them stays small and its
answers travel as JSON. ``None`` is "not known", never zero.
"""

from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A source answered."""

    value: T


@dataclass(frozen=True, slots=True)
class Absent:
    """There is nothing to read here, and that is known: no driver, no such device."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """There may be something to read, but the source did not answer as it should."""

    reason: str
    message: str


Outcome: TypeAlias = Reading[T] | Absent | Failed
"""What a source gives: absence and failure are answers too, and neither is health."""


@dataclass(frozen=True, slots=True)
class Host:
    """The host's figures. Memory used excludes buffers and reclaimable cache."""

    cpu_ratio: float | None = None
    cpu_count: int | None = None
    load_1m: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    swap_used_bytes: int | None = None
    swap_total_bytes: int | None = None
    disk_used_bytes: int | None = None
    disk_available_bytes: int | None = None
    disk_total_bytes: int | None = None
    network_rx_bytes: int | None = None
    network_tx_bytes: int | None = None
    uptime_seconds: float | None = None
    boot_id: str | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. ``health`` is ``ok``, ``degraded``, ``failed`` or ``unknown``, with its reason."""

    index: int
    uuid: str | None = None
    name: str | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    utilization_ratio: float | None = None
    temperature_celsius: int | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    health: str = "unknown"
    reason: str | None = None
    message: str | None = None
    age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Gpus:
    """All GPUs of one driver."""

    driver: str | None
    gpus: tuple[Gpu, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Engine:
    """One service. ``health`` uses the wire's words: ok, degraded, unhealthy, starting, unknown."""

    name: str
    type: str
    status: str
    health: str
    engine: str | None = None
    port: int | None = None
    models: tuple[str, ...] | None = None
    requests_running: float | None = None
    requests_waiting: float | None = None
    reason: str | None = None
    message: str | None = None
