"""Rows of nodes, as a database gives them."""

from typing import Any

from citadel_k8s.stores.postgres.fleet import FleetRow, Ingested, IngestRow, NodeRow

EMPTY = dict.fromkeys(FleetRow._fields)
INGESTED = Ingested((IngestRow(0, 0, 1_000_000, 0, 0.1),), 1_000_000)


def row(node_id: str = "a", **columns: Any) -> FleetRow:
    return FleetRow(**{**EMPTY, "node_id": node_id, "addresses": [], **columns})


def spoken(node_id: str = "a", **columns: Any) -> FleetRow:
    """A node that spoke 5 s ago."""
    said = {"stream_ms": 995_000, "stream_epoch": 0, "verdict": "Online", "state": "Online",
            "state_since_ms": 0, "pulse": "{}", "profile": '{"name": "a"}',
            "boot_id": "b1"}  # fmt: skip
    return row(node_id, **{**said, **columns})


def node(status: dict[str, Any] | None = None, **columns: Any) -> NodeRow:
    return NodeRow(spoken(**columns), INGESTED, status, None)
