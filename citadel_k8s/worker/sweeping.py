"""Finds out every few seconds of which nodes silence says something else by now."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.deltas import event_delta, node_delta
from citadel_k8s.errors import DatabaseError, StreamError
from citadel_k8s.stores.orgstream import Told
from citadel_k8s.stores.postgres.sweeps import Sweeps, Swept
from citadel_k8s.telemetry.log import RepeatLog, get_logger
from citadel_k8s.worker.metrics import WorkerMetrics
from citadel_k8s.worker.telling import Teller

_log = get_logger("worker")

EVERY: Final = 5.0
"""Seconds between two sweeps. Source: the control plane's design."""

UNTOLD_MAX: Final = 50_000
"""Changes kept to be told when Redis answers again; the oldest go first, and whoever asks for a
node is told its state all the same."""


@dataclass(slots=True)
class Sweep:
    """Judges nodes, one worker at a time.

    Parameters
    ----------
    sweeps : Sweeps
        Judges and writes.
    teller : Teller
        Tells orgs.
    metrics : WorkerMetrics
        What is counted.
    clock : Clock
        The worker's clock.
    """

    sweeps: Sweeps
    teller: Teller
    metrics: WorkerMetrics
    clock: Clock
    every: float = EVERY
    _untold: deque[Told] = field(default_factory=lambda: deque[Told](maxlen=UNTOLD_MAX))

    async def run(self) -> None:
        """Sweep until cancelled."""
        repeats = RepeatLog(_log, "cannot_sweep", clock=self.clock)
        while True:
            await asyncio.sleep(self.every)
            try:
                while await self.once():
                    pass
            except (StreamError, DatabaseError) as error:
                repeats.failed(error=str(error))
            else:
                repeats.recovered()

    async def once(self) -> bool:
        """Sweep once; say whether there is more to do at once."""
        swept = await self.sweeps.sweep()
        self.metrics.sweeps.labels(result="other" if swept is None else "mine").inc()
        if swept is not None:
            self._untold += _told(swept)
            for _, happening in swept.events:
                self.metrics.events.labels(kind=happening.kind).inc()
                if happening.state is not None:
                    self.metrics.transitions.labels(state=happening.state).inc()
        if self._untold:
            await self.teller.pass_on(list(self._untold))
            self._untold.clear()
        return swept is not None and swept.more


def _told(swept: Swept) -> list[Told]:
    rows = [
        Told(
            one.row.org_id,
            node_delta(one.row.node_id, one.now.state, one.now.reason, since=one.since),
        )
        for one in swept.restated
    ]
    events = [
        Told(kept.happening.org_id, event_delta(kept.event_id, kept.happening))
        for kept in swept.events
    ]
    return rows + events
