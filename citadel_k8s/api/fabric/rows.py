"""Rows of the list: judged, and written once for all who ask while nothing about them changes."""

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, cast

import pydantic_core

from citadel_k8s.domain.freshness import (
    DECOMMISSIONED,
    NOTHING_TAKEN_IN,
    Ingest,
    Judged,
    StatusRow,
    age_s,
    judged,
)
from citadel_k8s.domain.life import NEVER_YET, Policy
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.stores.postgres.fleet import FleetRow, Ingested

NEVER_REPORTED: Final = Judged(NodeState.UNKNOWN, *NEVER_YET, 0.0)
"""Of a node that is known and was never heard."""

SILENT: Final = frozenset({NodeState.STALE, NodeState.OFFLINE})
"""States whose sentence says for how long nothing was heard."""


class Judge:
    """Says in which state a node is, by how far ingest is."""

    def __init__(self, ingested: Ingested, policy: Policy) -> None:
        self._policy = policy
        self._ingests = [
            Ingest(p.frontier_ms, p.clear_since_ms, p.stream_epoch) for p in ingested.partitions
        ]

    def judge(self, row: FleetRow, words: StatusRow | None) -> Judged:
        """Judge a node by its words; without any by what people and the mesh say."""
        if words is not None:
            return judged(words, self._ingest_of(row), self._policy)
        if row.decommissioned_ms is not None:
            return Judged(NodeState.DECOMMISSIONED, *DECOMMISSIONED, 0.0)
        return NEVER_REPORTED

    def age(self, item: "Item") -> float | None:
        """Seconds since a node spoke, as far as ingest is; None if that is not known."""
        return None if item.words is None else age_s(item.words, self._ingest_of(item.row))

    def _ingest_of(self, row: FleetRow) -> Ingest:
        if not self._ingests:
            return NOTHING_TAKEN_IN
        return self._ingests[place_of(row.node_id, len(self._ingests))]


def place_of(node_id: str, partitions: int) -> int:
    """Give the place of a node's partition among those that there are."""
    return zlib.crc32(node_id.encode()) % partitions if partitions > 1 else 0


def words_of(row: FleetRow, org_id: str) -> StatusRow | None:
    """Give what a node said last, as far as its state depends on it; None if it never spoke."""
    if row.stream_ms is None or row.verdict is None or row.state is None:
        return None
    return StatusRow(
        org_id=org_id,
        node_id=row.node_id,
        verdict=NodeState(row.verdict),
        reason=row.reason,
        message=row.message,
        stream_epoch=row.stream_epoch or 0,
        stream_ms=row.stream_ms,
        interval_seconds=row.interval_seconds,
        draining_until_ms=row.draining_until_ms,
        state=NodeState(row.state),
        state_reason=row.state_reason,
        state_since=datetime.fromtimestamp((row.state_since_ms or 0) / 1000, tz=UTC),
        decommissioned=row.decommissioned_ms is not None,
    )


class Item:
    """One node of the list.

    Attributes
    ----------
    row, words, judged
        What it is made of; no words if it never spoke.
    head
        Its JSON without the age and the closing brace: the age moves all the time.
    """

    def __init__(self, row: FleetRow, words: StatusRow | None, verdict: Judged) -> None:
        self.row = row
        self.words = words
        self.judged = verdict
        self.profile = _object(row.profile) or nameless(row)
        self.pulse = _object(row.pulse)
        self.labels = cast("dict[str, str]", _object(row.labels))
        self.head = pydantic_core.to_json(self.summary())[:-1]

    @property
    def node_id(self) -> str:
        """Its id."""
        return self.row.node_id

    @property
    def state(self) -> NodeState:
        """Its state."""
        return self.judged.state

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.profile.get("name") or self.row.name or self.row.node_id)

    @property
    def since_ms(self) -> int | None:
        """Since when it is in its state; None between a change and the worker's note of it."""
        if self.row.decommissioned_ms is not None:
            return self.row.decommissioned_ms
        same = self.row.state == self.judged.state
        return self.row.state_since_ms if same else self.judged.since_ms

    @cached_property
    def models(self) -> tuple[str, ...]:
        """The models that it said it serves."""
        return tuple(map(str, self.profile.get("models") or ()))

    @cached_property
    def gpu_models(self) -> tuple[str, ...]:
        """The models of its GPUs."""
        return tuple(str(gpu.get("model", "")) for gpu in self.profile.get("gpus") or ())

    @cached_property
    def gpu_count(self) -> int | None:
        """How many GPUs it has; None if that is not known."""
        gpus = self.profile.get("gpus")
        return None if gpus is None else sum(int(gpu.get("count", 0)) for gpu in gpus)

    @cached_property
    def text(self) -> str:
        """All that a search looks through, in lower case."""
        row, profile = self.row, self.profile
        words = [
            *(row.node_id, self.name, row.headscale_id, *row.addresses),
            *(profile.get(key) for key in ("address", "agent", "driver", "transport")),
            *(*self.gpu_models, *self.models),
            *(f"{key}={value}" for key, value in self.labels.items()),
        ]
        return "\n".join(str(word) for word in words if word).casefold()

    def summary(self) -> dict[str, Any]:
        """Give it as `models.views.NodeSummary` without the age; absent is left out."""
        row, said = self.row, self.judged
        well = said.state is NodeState.ONLINE
        # How long it has been silent is its age, which moves all the time.
        plain = well or said.state in SILENT
        told: dict[str, Any] = {
            "id": row.node_id,
            "state": said.state,
            "reason": None if well else said.reason,
            "message": None if plain else said.message or None,
            "since": moment(self.since_ms),
            "lastHeartbeat": moment(row.stream_ms),
            "headscaleId": row.headscale_id,
            "labels": self.labels or None,
        }
        present = {key: value for key, value in told.items() if value is not None}
        return present | {"profile": self.profile, "pulse": self.pulse}

    def still(self, row: FleetRow, verdict: Judged) -> bool:
        """Whether all that is told of it but its age is as it was."""
        was = self.judged
        return (
            self.row == row
            and was.state is verdict.state
            and was.reason == verdict.reason
            and was.since_ms == verdict.since_ms
            and (was.state in SILENT or was.message == verdict.message)
        )

    def encoded(self, age: float | None) -> bytes:
        """Give its whole JSON."""
        return self.head + (b"}" if age is None else b',"age":%.1f}' % age)


def nameless(row: FleetRow) -> dict[str, Any]:
    """Give the profile of a node that never told one."""
    address = next(iter(row.addresses), None)
    return {"name": row.name or row.node_id} | ({"address": address} if address else {})


def moment(milliseconds: int | None) -> str | None:
    """Give RFC 3339 of milliseconds since the epoch; None for what no calendar has."""
    if milliseconds is None:
        return None
    try:
        return format_timestamp(milliseconds / 1000)
    except (OverflowError, ValueError, OSError):
        return None


def _object(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    found: Any = pydantic_core.from_json(text)
    return dict(cast("Mapping[str, Any]", found)) if isinstance(found, dict) else {}
