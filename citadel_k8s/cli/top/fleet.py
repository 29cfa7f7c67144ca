"""What is known of a fleet, and of the line to whoever tells it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from citadel_k8s.cli.top.gpus import Gpu, Node, node_of, with_detail
from citadel_k8s.clients.fleet import Change
from citadel_k8s.collectors.lines import clean

BUSY_PERCENT = 5
"""Utilization from which a GPU is busy. Source: the wire contract's idle rule, as the API's."""

_GIVEN_UP = "Decommissioned"


@dataclass(slots=True)
class Link:
    """The line: whether it stands, since when data are as they are, when it is tried again.

    Moments are seconds of the monotonic clock.
    """

    kind: Literal["connecting", "live", "cut"] = "connecting"
    message: str = ""
    heard: float | None = None
    retry_at: float | None = None

    def text(self, now: float) -> str:
        """Give it in words."""
        if self.kind == "live":
            return "live"
        if self.kind == "connecting":
            return "connecting"
        age = "" if self.heard is None else f", data {max(0.0, now - self.heard):.0f} s old"
        left = max(0.0, (self.retry_at or now) - now)
        return f"connection lost{age}, again in {left:.0f} s: {self.message}"


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all nodes; figures of silent nodes count as unknown."""

    nodes: int = 0
    unhealthy: int = 0
    gpus: int = 0
    busy: int = 0
    unknown: int = 0
    mean: int | None = None


@dataclass(slots=True)
class Fleet:
    """The nodes by id, brought up to date by changes."""

    nodes: dict[str, Node] = field(default_factory=dict[str, Node])
    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    link: Link = field(default_factory=Link)
    _details: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])

    def take(self, change: Change, now: float) -> None:
        """Take in what a watch tells; ``now`` by the monotonic clock."""
        if change.kind == "cut":
            self.link.kind = "cut"
            self.link.message = clean(change.message)
            self.link.retry_at = now + change.seconds
            return
        self.link.kind, self.link.heard = "live", now
        if change.kind == "all":
            self.replace(change.rows)
        elif change.kind == "node" and change.row is not None:
            self._set(change.row)
        elif change.kind == "gone":
            self._forget(change.id)

    def replace(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Forget all nodes and take these."""
        self.nodes, self.rows = {}, {}
        for row in rows:
            self._set(row)
        self._details = {one: told for one, told in self._details.items() if one in self.nodes}

    def detail(self, node_id: str, told: Mapping[str, Any]) -> None:
        """Take in what a node's whole status says besides."""
        node = self.nodes.get(node_id)
        if node is not None:
            self._details[node_id] = told
            self.nodes[node_id] = with_detail(node, told)

    def totals(self) -> Totals:
        """Give the sums."""
        gpus = [(node, gpu) for node in self.nodes.values() for gpu in node.gpus]
        known = [u for node, gpu in gpus if (u := trusted(node, gpu)) is not None]
        return Totals(
            nodes=len(self.nodes),
            unhealthy=sum(node.state != "Online" for node in self.nodes.values()),
            gpus=len(gpus),
            busy=sum(util >= BUSY_PERCENT for util in known),
            unknown=len(gpus) - len(known),
            mean=round(sum(known) / len(known)) if known else None,
        )

    def _set(self, row: Mapping[str, Any]) -> None:
        node = node_of(row)
        if node.state == _GIVEN_UP:
            # Told once more by the worker after it is gone: no list has such nodes.
            self._forget(node.id)
            return
        self.rows[node.id] = row
        told = self._details.get(node.id)
        self.nodes[node.id] = node if told is None else with_detail(node, told)

    def _forget(self, node_id: str) -> None:
        for known in (self.nodes, self.rows, self._details):
            known.pop(node_id, None)


def trusted(node: Node, gpu: Gpu) -> int | None:
    """Give a utilization that counts: a silent node's is the last that was known, and does not."""
    return None if node.silent else gpu.util
