"""When people are woken over the way from the nodes: one alert, not one for each silent node."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.pipe import PipeCondition

HOLDS: Final = 30.0
"""Seconds for which it has to be down: a failover of Redis takes less."""

COLLAPSE: Final = "ArrivalCollapse"
"""Reason of most nodes being silent at once, whether or not it is known why."""


@dataclass(slots=True)
class PipeAlert:
    """Asked now and then, says whether it is time."""

    condition: Callable[[], PipeCondition]
    clock: Clock
    _since: float | None = None

    def __call__(self) -> tuple[str, str] | None:
        """Give reason and message while heartbeats cannot arrive, once that has lasted."""
        condition, now = self.condition(), self.clock.monotonic()
        # Of what else is not known, such as at a start, nobody needs to be woken.
        if condition.status != "False" and condition.reason != COLLAPSE:
            self._since = None
            return None
        self._since = now if self._since is None else self._since
        lasted = now - self._since >= HOLDS
        return (condition.reason, condition.message) if lasted else None
