"""What an object should have beside what it has: made once for a look and the write after it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.reconcile import WriteKind, kind_of
from citadel_k8s.operator.records import NodeRecord, ObservedObject

DRAFTS: Final = 16
"""Drafts kept: the write follows its look mostly within the same tick, and a draft is 10 kB."""

DRAFT_SECONDS: Final = 0.5
"""Seconds for which a draft holds: it carries the date of the write."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What an object should have and has, and what the first was made from."""

    desired: dict[str, Any]
    document: dict[str, Any]
    kind: WriteKind
    sources: tuple[object, ...]
    at: float


@dataclass(slots=True)
class Drafts:
    """The last few drafts.

    Parameters
    ----------
    desired : callable
        Gives the status document that a node's object should have now.
    clock : Clock
        The operator's clock.
    """

    desired: Callable[[NodeRecord], dict[str, Any]]
    clock: Clock
    _kept: dict[str, Draft] = field(default_factory=dict[str, Draft])

    def of(self, record: NodeRecord, observed: ObservedObject) -> Draft:
        """Give the draft for a node whose object is known."""
        now, sources = self.clock.monotonic(), _sources(record, observed)
        known = self._kept.pop(record.node_id, None)
        if known is None or now - known.at > DRAFT_SECONDS or not _same(known.sources, sources):
            desired, document = self.desired(record), observed.status_document()
            known = Draft(desired, document, kind_of(desired, document), sources, now)
        self._kept[record.node_id] = known
        if len(self._kept) > DRAFTS:
            del self._kept[next(iter(self._kept))]
        return known


def _sources(record: NodeRecord, observed: ObservedObject) -> tuple[object, ...]:
    # All that `Projector.desired` looks at, but for the date. Each is replaced, never changed.
    return (
        record.live,
        record.facts,
        record.heard_ms,
        record.config_wanted,
        record.config_error,
        record.config_unsupported,
        observed,
    )


def _same(these: tuple[object, ...], those: tuple[object, ...]) -> bool:
    return all(one is other for one, other in zip(these, those, strict=True))
