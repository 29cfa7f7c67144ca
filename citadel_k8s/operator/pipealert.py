"""The alert about the way from the nodes: one, instead of one for each node that is silent."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.alerts import Alert
from citadel_k8s.domain.pipe import PipeCondition

NAME: Final = "HeartbeatPipelineDown"
"""Name of the alert."""

HOLDS: Final = 30.0
"""Seconds for which it has to be down: a failover of Redis takes less."""


@dataclass(slots=True)
class PipeAlert:
    """Fires while heartbeats cannot arrive."""

    condition: Callable[[], PipeCondition]
    clock: Clock
    _since: float | None = None
    _started: float = 0.0

    def alerts(self) -> Iterator[Alert]:
        """Give the alert if it fires now."""
        condition, now = self.condition(), self.clock.monotonic()
        if condition.status == "True":
            self._since = None
            return
        if self._since is None:
            self._since, self._started = now, self.clock.now()
        if now - self._since >= HOLDS:
            yield Alert(NAME, condition.reason, "critical", condition.message, self._started)
