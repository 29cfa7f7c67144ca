"""Tells orgs what became of their nodes."""

from collections.abc import Sequence
from dataclasses import dataclass

from citadel_k8s.domain.deltas import event_delta, node_delta
from citadel_k8s.stores.orgstream import OrgStreams, Told
from citadel_k8s.stores.postgres.events import Kept
from citadel_k8s.stores.postgres.statuses import Won
from citadel_k8s.worker.metrics import WorkerMetrics


@dataclass(slots=True)
class Teller:
    """Tells of rows and events that were written.

    Parameters
    ----------
    streams : OrgStreams
        Where it is told.
    metrics : WorkerMetrics
        What is counted.
    """

    streams: OrgStreams
    metrics: WorkerMetrics

    async def tell(self, won: Sequence[Won], events: Sequence[Kept]) -> None:
        """Tell; StreamError if that cannot be done, and then all of it is told once more."""
        await self.pass_on([*map(_row, won), *map(_event, events)])

    async def pass_on(self, told: Sequence[Told]) -> None:
        """Tell what is put into words already."""
        await self.streams.tell(told)
        self.metrics.published.inc(len(told))


def _row(won: Won) -> Told:
    word = won.word
    delta = node_delta(
        word.node_id,
        won.state,
        won.reason,
        since=won.since if won.state is not won.before else None,
        seen_ms=word.position.ms,
        pulse=word.pulse,
        profile=word.profile if won.slow else None,
    )
    return Told(word.org_id, delta, (word.node_id, word.document))


def _event(kept: Kept) -> Told:
    return Told(kept.happening.org_id, event_delta(kept.event_id, kept.happening))
