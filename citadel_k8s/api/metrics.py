"""The API's own figures, for Prometheus."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0, 30.0)
"""Upper bounds of the histogram, in seconds: 50 and 300 ms are what was promised, 30 s the end."""

_NOW: Final = frozenset({"streams", "orgs"})
"""Figures of the streams that tell how many there are, not how many there were."""


class ApiMetrics:
    """All counters and gauges, on a registry of their own; rooms may add theirs to it."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.requests = Counter(
            "citadel_api_requests",
            "Requests by the route's template and the answer's status.",
            ["method", "route", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "citadel_api_request_seconds",
            "Seconds from a request's head to its answer, by the route's template.",
            ["method", "route"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "citadel_api_requests_in_flight", "Requests being answered.", registry=registry
        )
        self.refusals = Counter(
            "citadel_api_refusals", "Refused requests by reason.", ["reason"], registry=registry
        )
        self.rate_limited = Counter(
            "citadel_api_rate_limited",
            "Requests refused for their number, by the window in seconds.",
            ["window"],
            registry=registry,
        )
        self.connections = Gauge("citadel_api_connections", "Open connections.", registry=registry)
        self.connections_ended = Counter(
            "citadel_api_connections_ended",
            "Connections that the server ended or turned away, by reason.",
            ["reason"],
            registry=registry,
        )
        self.audit_lost = Counter(
            "citadel_api_audit_rows_lost",
            "Rows of the audit log that could not be kept.",
            registry=registry,
        )

    def render(self, accept: str) -> tuple[bytes, str]:
        """Give the text and its content type, in the format that the scraper accepts."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type

    def add_streams(self, figures: Any) -> None:
        """Tell the figures of the streams, a dataclass of counts, too."""
        self.registry.register(_Streams(figures))


class _Streams(Collector):
    def __init__(self, figures: Any) -> None:
        self._figures = figures

    @override
    def collect(self) -> Iterator[Metric]:
        for name, value in dataclasses.asdict(self._figures).items():
            family = GaugeMetricFamily if name in _NOW else CounterMetricFamily
            yield family(f"citadel_api_streams_{name}", f"Streams: {name}.", value=value)
