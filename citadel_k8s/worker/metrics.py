"""The worker's own figures, for Prometheus."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Bounds of the histogram of batches, in seconds."""


class WorkerMetrics:
    """All counters and gauges, on a registry of their own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.entries = Counter(
            "citadel_worker_entries",
            "Stream entries by what became of them.",
            ["result"],
            registry=registry,
        )
        self.letters = Counter(
            "citadel_worker_dead_letters",
            "Entries that no worker could take, by reason.",
            ["reason"],
            registry=registry,
        )
        self.letters_kept = Gauge(
            "citadel_worker_dead_letters_kept",
            "Dead letters that wait for somebody; NaN before it is known.",
            registry=registry,
        )
        self.letters_kept.set(float("nan"))
        self.lost = Counter(
            "citadel_worker_entries_lost",
            "Entries that were dropped from the stream before they were taken in.",
            ["how"],
            registry=registry,
        )
        self.claimed = Counter(
            "citadel_worker_entries_claimed",
            "Entries inherited from workers that did not confirm them.",
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "citadel_worker_batch_duration_seconds",
            "Time from a batch's reading to its confirmation.",
            buckets=SECONDS,
            registry=registry,
        )
        self.lag = Gauge(
            "citadel_worker_lag_seconds",
            "How far what was taken in is behind the server's clock; NaN before it is known.",
            registry=registry,
        )
        self.lag.set(float("nan"))
        self.pending = Gauge(
            "citadel_worker_pending_entries",
            "Entries handed out to workers and not confirmed.",
            registry=registry,
        )
        self.waiting = Gauge(
            "citadel_worker_waiting_entries",
            "Entries not handed out yet; NaN where the server cannot tell.",
            registry=registry,
        )
        self.stream_length = Gauge(
            "citadel_worker_stream_entries", "Entries in the stream.", registry=registry
        )
        self.upserts = Counter(
            "citadel_worker_upserts",
            "Rows of nodes that were to be written, by whether they were newer.",
            ["result"],
            registry=registry,
        )
        self.details = Counter(
            "citadel_worker_details",
            "Times that what changes seldom was written.",
            registry=registry,
        )
        self.events = Counter(
            "citadel_worker_events", "Events by kind.", ["kind"], registry=registry
        )
        self.transitions = Counter(
            "citadel_worker_transitions",
            "Changes of state by the state that followed.",
            ["state"],
            registry=registry,
        )
        self.published = Counter(
            "citadel_worker_published", "Deltas told to orgs.", registry=registry
        )
        self.failures = Counter(
            "citadel_worker_failures",
            "Times that a peer did not do what was asked.",
            ["peer"],
            registry=registry,
        )
        self.epochs = Counter(
            "citadel_worker_stream_epochs", "Times the stream began anew.", registry=registry
        )
        self.gaps = Counter(
            "citadel_worker_pipe_gaps",
            "Times the stream was not seen open, so that silence counts anew.",
            registry=registry,
        )
        self.trimmed = Counter(
            "citadel_worker_stream_trimmed_entries",
            "Entries that were dropped from the stream for their age.",
            registry=registry,
        )
        self.sweeps = Counter(
            "citadel_worker_sweeps",
            "Looks at all nodes, by whether it was this worker's turn.",
            ["result"],
            registry=registry,
        )
        self.part_failures = Counter(
            "citadel_worker_part_failures",
            "Times that a part of the worker failed unforeseen and was begun anew.",
            ["part"],
            registry=registry,
        )
        self.history_waiting = Gauge(
            "citadel_worker_history_waiting_buckets",
            "Five-minute sums that wait to be stored.",
            registry=registry,
        )
        self.history_dropped = Counter(
            "citadel_worker_history_dropped_buckets",
            "Five-minute sums that were given up, as too many waited.",
            registry=registry,
        )
        self.housekeeping = Counter(
            "citadel_worker_housekeeping_rounds",
            "Rounds of housekeeping in the database.",
            ["result"],
            registry=registry,
        )
        self.mesh_looks = Counter(
            "citadel_worker_mesh_looks",
            "Looks at the mesh's machines.",
            ["result"],
            registry=registry,
        )
        self.mesh_machines = Gauge(
            "citadel_worker_mesh_machines",
            "Machines of the mesh at the last look, by what became of them.",
            ["result"],
            registry=registry,
        )

    def render(self, accept: str) -> tuple[bytes, str]:
        """Give all figures as text, and its content type, in the format that a scraper accepts."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
