"""The operator's own figures, for Prometheus."""

from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.records import NodeRecord

REASONS_MAX: Final = 64
"""Reasons counted apart, a few times as many as there are: nodes name some of them themselves,
and a node that names a new one each time must not fill the memory."""

OTHER: Final = "Other"
"""What the reasons beyond that are counted as."""


class OperatorMetrics:
    """All counters and gauges, on a registry of their own."""

    def __init__(self) -> None:
        self._reasons: set[str] = set()
        registry = CollectorRegistry()
        self.registry = registry
        self.entries = Counter(
            "citadel_operator_entries",
            "Stream entries by what became of them.",
            ["result"],
            registry=registry,
        )
        self.stream_lag = Gauge(
            "citadel_operator_stream_lag_seconds",
            "Age of the newest entry when it was read.",
            registry=registry,
        )
        self.reader_up = Gauge(
            "citadel_operator_stream_up", "Whether the stream can be read.", registry=registry
        )
        self.stream_resets = Counter(
            "citadel_operator_stream_resets",
            "Times the stream went back behind the cursor.",
            registry=registry,
        )
        self.pipe_gaps = Counter(
            "citadel_operator_pipe_gaps",
            "Times nobody could be heard, so that silence did not count.",
            registry=registry,
        )
        self.transitions = Counter(
            "citadel_operator_transitions",
            "Changes of state by reason.",
            ["state", "reason"],
            registry=registry,
        )
        self.writes = Counter(
            "citadel_operator_writes",
            "Requests that change an object.",
            ["kind", "result"],
            registry=registry,
        )
        self.suppressed = Counter(
            "citadel_operator_writes_suppressed",
            "Looks at a node that found nothing to write yet.",
            registry=registry,
        )
        self.loop_lag = Gauge(
            "citadel_operator_loop_lag_seconds",
            "How late the last tick of the scheduler was.",
            registry=registry,
        )
        self.write_seconds = Histogram(
            "citadel_operator_write_duration_seconds",
            "Time until the API server answered a write.",
            registry=registry,
        )

    def moved(self, state: NodeState, reason: str) -> None:
        """Count a change of state."""
        if len(self._reasons) < REASONS_MAX:
            self._reasons.add(reason)
        known = reason if reason in self._reasons else OTHER
        self.transitions.labels(state=state, reason=known).inc()

    def watch(self, nodes: Mapping[str, NodeRecord]) -> None:
        """Count the nodes by state at each scrape."""
        self.registry.register(_States(nodes))


class _States(Collector):
    def __init__(self, nodes: Mapping[str, NodeRecord]) -> None:
        self._nodes = nodes

    @override
    def collect(self) -> Iterator[Metric]:
        each = GaugeMetricFamily(
            "citadel_node_state", "The state that a node is in.", labels=["node", "state"]
        )
        tally: Tally[NodeState] = Tally()
        for record in self._nodes.values():
            each.add_metric([record.node_id, record.live.state], 1)
            tally[record.live.state] += 1
        yield each
        family = GaugeMetricFamily("citadel_nodes", "Nodes by state.", labels=["state"])
        for state in NodeState:
            family.add_metric([state], tally[state])
        yield family
