"""The agent's ``/metrics``: series made from the last snapshot at each scrape.

Nothing is remembered between scrapes, so that what is gone leaves no series behind. What is older
than two intervals is gone too, and says so by ``citadel_collector_up 0``.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from citadel_k8s.aio.outbox import Freshness
from citadel_k8s.domain.report import Moment, Speaker
from citadel_k8s.domain.known import Known
from citadel_k8s.domain.snapshot import Snapshot, gpus_now
from citadel_k8s.models.readings import Absent, Engine, Failed, Gpu, Host, Reading

KEPT_INTERVALS: Final = 2
"""Heartbeat intervals after which an old value's series is dropped: one may be missed by chance,
and a graph must not draw a hung driver's last reading as a flat line."""

_STATES: Final = ("ok", "absent", "failed", "unknown")


@dataclass(frozen=True, slots=True)
class Exposed:
    """What one scrape tells."""

    speaker: Speaker
    snapshot: Snapshot
    moment: Moment
    freshness: Freshness | None
    transport: str
    waiting: int
    loop_lag: float


class AgentMetrics(Collector):
    """Renders metrics for a scrape.

    Parameters
    ----------
    expose : callable
        Gives what is to be told now.
    """

    def __init__(self, expose: Callable[[], Exposed]) -> None:
        self._expose = expose
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Give body and content type of the exposition format that the scraper accepts."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    @override
    def collect(self) -> Iterator[Metric]:
        """Give all metric families."""
        now = self._expose()
        limit = KEPT_INTERVALS * now.speaker.interval_seconds
        yield _gauge("citadel_build", "Version of the agent.", [((now.speaker.version,), 1)],
                     ("version",), info=True)  # fmt: skip
        yield _gauge("citadel_agent_loop_lag_seconds", "Lateness of the agent's loop.",
                     [((), now.loop_lag)])  # fmt: skip
        yield from _sources(now, limit)
        yield from _heartbeat(now)
        if _fresh(now.snapshot.host, now, limit) and now.snapshot.host.good is not None:
            yield from _host(now.snapshot.host.good)
        if _fresh(now.snapshot.gpus, now, limit):
            yield from _gpus(now, limit)
        if _fresh(now.snapshot.engines, now, limit):
            yield from _engines(now.snapshot.engines.good or ())


def _fresh(known: Known[Any], now: Exposed, limit: float) -> bool:
    age = known.age(now.moment.monotonic)
    return age is not None and age <= limit


def _sources(now: Exposed, limit: float) -> Iterator[Metric]:
    snapshot = now.snapshot
    sources: dict[str, Known[Any]] = {
        "host": snapshot.host,
        now.speaker.gpu_source: snapshot.gpus,
        "engines": snapshot.engines,
    }
    states = [
        ((name, state), float(_state(known) == state))
        for name, known in sources.items()
        for state in _STATES
    ]
    yield _gauge("citadel_collector_state", "Last answer of a source: 1 for the one that holds.",
                 states, ("collector", "state"))  # fmt: skip
    # A source of which it is known that there is nothing to read is neither up nor down.
    ups = [
        ((name,), float(isinstance(known.outcome, Reading) and _fresh(known, now, limit)))
        for name, known in sources.items()
        if not isinstance(known.outcome, Absent)
    ]
    yield _gauge("citadel_collector_up", "Whether a source gives fresh readings.", ups,
                 ("collector",))  # fmt: skip
    took = [((n,), k.duration) for n, k in sources.items() if k.duration is not None]
    yield _gauge("citadel_collector_duration_seconds", "Duration of the last collection.", took,
                 ("collector",))  # fmt: skip
    dates = [
        ((name,), now.moment.date - age)
        for name, known in sources.items()
        if (age := known.age(now.moment.monotonic)) is not None
    ]
    yield _gauge("citadel_collector_last_success_timestamp_seconds", "Date of the last reading.",
                 dates, ("collector",))  # fmt: skip


def _state(known: Known[Any]) -> str:
    match known.outcome:
        case None:
            return "unknown"
        case Reading():
            return "ok"
        case Absent():
            return "absent"
        case Failed():
            return "failed"


def _heartbeat(now: Exposed) -> Iterator[Metric]:
    fresh = now.freshness
    if fresh is None:
        return
    sent = CounterMetricFamily(
        "citadel_heartbeat_sent", "Heartbeats by result.", labels=("result", "transport")
    )
    sent.add_metric(("success", now.transport), fresh.sent)
    sent.add_metric(("failure", now.transport), fresh.failed)
    yield sent
    yield _gauge("citadel_heartbeat_queue_length", "Heartbeats that wait to be sent.",
                 [((), now.waiting)])  # fmt: skip
    yield _gauge("citadel_heartbeat_consecutive_failures", "Failed attempts in a row.",
                 [((), fresh.consecutive_failures)])  # fmt: skip
    # Without a success there is no date: a zero would read as 1970, or as never stale.
    for name, date in (("success", fresh.last_success), ("attempt", fresh.last_attempt)):
        if date is not None:
            yield _gauge(f"citadel_heartbeat_last_{name}_timestamp_seconds",
                         f"Date of the last {name}.", [((), date)])  # fmt: skip


_HOST: Final = (
    ("cpu_ratio", "Busy share of all CPUs.", "cpu_ratio"),
    ("cpus", "Logical CPUs.", "cpu_count"),
    ("load1", "Load average over one minute.", "load_1m"),
    ("memory_used_bytes", "Memory without buffers and cache.", "memory_used_bytes"),
    ("memory_total_bytes", "Memory installed.", "memory_total_bytes"),
    ("swap_used_bytes", "Swap in use.", "swap_used_bytes"),
    ("swap_total_bytes", "Swap configured.", "swap_total_bytes"),
    ("disk_used_bytes", "Used on the root file system.", "disk_used_bytes"),
    ("disk_available_bytes", "Available on the root file system.", "disk_available_bytes"),
    ("disk_total_bytes", "Size of the root file system.", "disk_total_bytes"),
    ("uptime_seconds", "Time since the host booted.", "uptime_seconds"),
)


def _host(host: Host) -> Iterator[Metric]:
    for name, text, attribute in _HOST:
        value = getattr(host, attribute)
        if value is not None:
            yield _gauge(f"citadel_host_{name}", text, [((), value)])
    for name, value in (("receive", host.network_rx_bytes), ("transmit", host.network_tx_bytes)):
        if value is not None:
            family = CounterMetricFamily(
                f"citadel_host_network_{name}_bytes", f"Bytes that real interfaces {name}."
            )
            family.add_metric((), value)
            yield family


_GPU: Final = (
    ("utilization_ratio", "Share of time with a kernel running.", "utilization_ratio"),
    ("memory_used_bytes", "Memory in use.", "memory_used_bytes"),
    ("memory_total_bytes", "Memory installed.", "memory_total_bytes"),
    ("temperature_celsius", "Temperature of the chip.", "temperature_celsius"),
    ("power_watts", "Power drawn.", "power_watts"),
    ("power_limit_watts", "Power limit in force.", "power_limit_watts"),
)


def _gpus(now: Exposed, limit: float) -> Iterator[Metric]:
    told = gpus_now(now.snapshot, now.moment.monotonic)
    driver = now.snapshot.gpus.good.driver if now.snapshot.gpus.good else None
    yield _gauge("citadel_gpu", "What the GPU is.",
                 [((*_key(g), g.name or "", driver or ""), 1) for g in told],
                 ("gpu", "uuid", "model", "driver_version"), info=True)  # fmt: skip
    yield _gauge("citadel_gpu_healthy", "1 healthy, 0 failed; no series where it is not known.",
                 [(_key(g), float(g.health == "ok")) for g in told if g.health != "unknown"],
                 ("gpu", "uuid"))  # fmt: skip
    fresh = [g for g in told if (g.age_seconds or 0.0) <= limit]
    for name, text, attribute in _GPU:
        values = [(_key(g), value) for g in fresh if (value := getattr(g, attribute)) is not None]
        yield _gauge(f"citadel_gpu_{name}", text, values, ("gpu", "uuid"))
    shares = [
        (_key(g), g.memory_used_bytes / g.memory_total_bytes)
        for g in fresh
        if g.memory_used_bytes is not None and g.memory_total_bytes
    ]
    yield _gauge("citadel_gpu_memory_used_ratio", "Used share of the memory.", shares,
                 ("gpu", "uuid"))  # fmt: skip


def _key(gpu: Gpu) -> tuple[str, str]:
    return str(gpu.index), gpu.uuid or ""


def _engines(engines: Iterable[Engine]) -> Iterator[Metric]:
    engines = list(engines)
    yield _gauge("citadel_service_up", "Whether a service is ready.",
                 [((e.name, e.type, str(e.port or "")), float(e.health == "ok"))
                  for e in engines if e.health != "unknown"],
                 ("service", "type", "port"))  # fmt: skip
    yield _gauge("citadel_service_models", "Models that a service offers.",
                 [((e.name,), len(e.models)) for e in engines if e.models is not None],
                 ("service",))  # fmt: skip
    yield _gauge("citadel_service_model", "A model that a service offers.",
                 [((e.name, m), 1) for e in engines for m in sorted(set(e.models or ()))],
                 ("service", "model"), info=True)  # fmt: skip
    for word in ("running", "waiting"):
        values = [
            ((e.name,), value)
            for e in engines
            if (value := getattr(e, f"requests_{word}")) is not None
        ]
        yield _gauge(f"citadel_service_requests_{word}", f"Requests {word}.", values, ("service",))


def _gauge(
    name: str,
    text: str,
    samples: Iterable[tuple[tuple[str, ...], float]],
    labels: tuple[str, ...] = (),
    *,
    info: bool = False,
) -> Metric:
    family = GaugeMetricFamily(f"{name}_info" if info else name, text, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family
