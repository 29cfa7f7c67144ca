"""Tells orgs what became of their nodes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from citadel_k8s.domain.deltas import event_delta, node_delta
from citadel_k8s.stores.orgstream import LastWord, OrgStreams, Told
from citadel_k8s.stores.postgres.events import Kept
from citadel_k8s.stores.postgres.statuses import Key, Won
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

    async def tell(
        self,
        won: Sequence[Won],
        events: Sequence[Kept],
        arrivals: Mapping[Key, Sequence[str]] | None = None,
    ) -> None:
        """Tell; StreamError if that cannot be done, and then all of it is told once more.

        Parameters
        ----------
        arrivals : mapping or None
            When messages of the nodes arrived, as it is kept.
        """
        rest = dict(arrivals or {})
        # A batch that was halved may have two rows of one node.
        rows = [_row(one, rest.pop(one.word.key, ())) for one in won]
        await self.pass_on([*rows, *map(_event, events)])

    async def pass_on(self, told: Sequence[Told]) -> None:
        """Tell what is put into words already."""
        await self.streams.tell(told)
        self.metrics.published.inc(len(told))


def _row(won: Won, arrivals: Sequence[str]) -> Told:
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
    return Told(word.org_id, delta, LastWord(word.node_id, word.document, arrivals))


def _event(kept: Kept) -> Told:
    return Told(kept.happening.org_id, event_delta(kept.event_id, kept.happening))
