"""Figures of what the operator tells: Events, alerts, cordons."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

ALERTS: Final = ("NodeOffline", "NodeDegraded", "NodeFlapping")
"""Alerts about nodes, shown as zero while none fires."""


class NewsMetrics:
    """Counters and gauges, on the operator's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "citadel_operator_events",
            "Kubernetes Events by what became of them.",
            ["result"],
            registry=registry,
        )
        self.firing = Gauge(
            "citadel_operator_alerts_firing", "Alerts that fire now.", ["alert"], registry=registry
        )
        self.deliveries = Counter(
            "citadel_operator_alert_deliveries",
            "Requests that tell alerts, by receiver and by what became of them.",
            ["receiver", "result"],
            registry=registry,
        )
        self.failing = Gauge(
            "citadel_operator_alert_receiver_failing_seconds",
            "How long a receiver of alerts has not taken any; 0 when it does.",
            ["receiver"],
            registry=registry,
        )
        self.letters = Counter(
            "citadel_operator_alert_dead_letters",
            "Alerts that nobody took, by whether they could be kept.",
            ["result"],
            registry=registry,
        )
        self.cordons = Counter(
            "citadel_operator_cordons",
            "What was done about Nodes with broken hardware.",
            ["action"],
            registry=registry,
        )
        self.cordoned = Gauge(
            "citadel_operator_cordoned_nodes", "Nodes cordoned by this.", registry=registry
        )
        self.breaker = Gauge(
            "citadel_operator_cordon_breaker_open",
            "Whether too many Nodes would have to be cordoned, so that none is.",
            registry=registry,
        )
        for alert in ALERTS:
            self.firing.labels(alert=alert).set(0)
