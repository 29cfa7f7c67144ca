"""The agent's ``/metrics``: series made from the last snapshot at each scrape.

Nothing is remembered between scrapes, so that what is gone leaves no series behind. What is older
than two intervals is gone too, and says so by ``citadel_collector_up 0``.
"""

from collections.abc import Callable, Iterator
from typing import Final

from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.known import state_of
from citadel_k8s.domain.report import sources
from citadel_k8s.models.codec import parse_timestamp
from citadel_k8s.models.readings import Absent, Reading
from citadel_k8s.telemetry.dcgm import dcgm_metrics
from citadel_k8s.telemetry.exposed import KEPT_INTERVALS, Exposed, family
from citadel_k8s.telemetry.exposition import Family, render
from citadel_k8s.telemetry.gpu_metrics import gpu_metrics
from citadel_k8s.telemetry.host_metrics import container_metrics, host_metrics
from citadel_k8s.telemetry.service_metrics import service_metrics

__all__ = ["KEPT_INTERVALS", "AgentMetrics", "Exposed"]

_STATES: Final = ("ok", "absent", "failed", "unknown")


class AgentMetrics:
    """Renders metrics for a scrape.

    Parameters
    ----------
    expose : callable
        Gives what is to be told now.
    dcgm : bool
        Tell GPUs under dcgm-exporter's names too.
    """

    def __init__(self, expose: Callable[[], Exposed], *, dcgm: bool = False) -> None:
        self._expose = expose
        self._dcgm = dcgm

    def render(self, accept: str) -> tuple[bytes, str]:
        """Give body and content type of the exposition format that the scraper accepts."""
        return render(self.collect(), accept)

    def collect(self) -> Iterator[Family]:
        """Give all metric families."""
        now = self._expose()
        yield from _agent(now)
        yield from _collectors(now)
        yield from _heartbeat(now)
        yield from _config(now)
        yield from host_metrics(now)
        yield from container_metrics(now)
        yield from gpu_metrics(now)
        yield from service_metrics(now)
        if self._dcgm:
            yield from dcgm_metrics(now)


def _agent(now: Exposed) -> Iterator[Family]:
    yield from family("citadel_build_info", "Version of the agent.",
                      [((now.speaker.version,), 1)], ("version",))  # fmt: skip
    yield from family("citadel_agent_loop_lag_seconds", "Lateness of the agent's loop.",
                      [((), now.loop_lag)])  # fmt: skip
    yield from family("citadel_agent_uptime_seconds", "Time since the agent started.",
                      [((), now.moment.uptime)])  # fmt: skip
    yield from family("citadel_gpu_events_lost_total", "Times that the driver dropped events.",
                      [((), now.snapshot.xids.lost)], kind="counter")  # fmt: skip


def _collectors(now: Exposed) -> Iterator[Family]:
    known = dict(sources(now.speaker, now.snapshot))
    states = {name: state_of(one.outcome)[0] for name, one in known.items()}
    yield from family(
        "citadel_collector_state",
        "Last answer of a source: 1 for the one that holds.",
        [
            ((name, word), float(state == word))
            for name, state in states.items()
            for word in _STATES
        ],
        ("collector", "state"),
    )
    # A source of which it is known that there is nothing to read is neither up nor down.
    yield from family(
        "citadel_collector_up",
        "Whether a source gives fresh readings.",
        [
            ((name,), float(isinstance(one.outcome, Reading) and now.fresh(one)))
            for name, one in known.items()
            if not isinstance(one.outcome, Absent)
        ],
        ("collector",),
    )
    yield from family("citadel_collector_duration_seconds", "Duration of the last collection.",
                      [((name,), one.duration) for name, one in known.items()],
                      ("collector",))  # fmt: skip
    ages = {name: one.age(now.moment.monotonic) for name, one in known.items()}
    yield from family(
        "citadel_collector_last_success_timestamp_seconds",
        "Date of the last reading.",
        [((name,), None if age is None else now.moment.date - age) for name, age in ages.items()],
        ("collector",),
    )


def _heartbeat(now: Exposed) -> Iterator[Family]:
    yield from family("citadel_heartbeat_interval_seconds", "Time between heartbeats.",
                      [((), now.speaker.interval_seconds)])  # fmt: skip
    fresh = now.freshness
    if fresh is None:
        return
    sent = [(("success", now.transport), fresh.sent), (("failure", now.transport), fresh.failed)]
    yield from family("citadel_heartbeat_sent_total", "Heartbeats by result.", sent,
                      ("result", "transport"), kind="counter")  # fmt: skip
    yield from family("citadel_heartbeat_queue_length", "Heartbeats that wait to be sent.",
                      [((), now.waiting)])  # fmt: skip
    yield from family("citadel_heartbeat_consecutive_failures", "Failed attempts in a row.",
                      [((), fresh.consecutive_failures)])  # fmt: skip
    # Without a success there is no date: a zero would read as 1970, or as never stale.
    for name, date in (("success", fresh.last_success), ("attempt", fresh.last_attempt)):
        yield from family(f"citadel_heartbeat_last_{name}_timestamp_seconds",
                          f"Date of the last {name}.", [((), date)])  # fmt: skip


def _config(now: Exposed) -> Iterator[Family]:
    config = now.config
    if config is None:
        return
    yield from family("citadel_config_info", "Revision of the configuration that is applied.",
                      [((clip(config.revision or ""),), 1)], ("revision",))  # fmt: skip
    yield from family("citadel_config_failed", "Whether the last configuration was refused.",
                      [((), float(config.error is not None))])  # fmt: skip
    applied = None if config.applied_at is None else parse_timestamp(config.applied_at)
    yield from family("citadel_config_applied_timestamp_seconds", "Date at which it was applied.",
                      [((), applied)])  # fmt: skip
