"""What the probes look at. None says "healthy" before it is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.operator.leader import Leadership
from citadel_k8s.operator.reader import PIPE_GAP, Reader
from citadel_k8s.operator.scheduler import Scheduler

TICK_LATE: Final = 15.0
"""Seconds without a tick after which the loop counts as hung and the pod is to be restarted."""


@dataclass(slots=True)
class Probes:
    """What the probes look at.

    Parameters
    ----------
    scheduler, reader, leadership : Scheduler, Reader, Leadership
        What ticks, what reads the stream, and who writes.
    troubles : callable
        Gives by part what is the matter with it; None where nothing is.
    clock : Clock
        The operator's clock.
    """

    scheduler: Scheduler
    reader: Reader
    leadership: Leadership
    troubles: Callable[[], Mapping[str, str | None]]
    clock: Clock

    def live(self) -> dict[str, Any]:
        """Say whether the loop turns; Redis and the API server are not its fault."""
        ticked = self.scheduler.ticked_at
        age = None if ticked is None else self.clock.monotonic() - ticked
        return {"ok": age is not None and age < TICK_LATE, "tickAgeSeconds": age}

    def ready(self) -> dict[str, Any]:
        """Say whether objects can be trusted: the stream is read to its end, they are kept.

        An operator that stands by is ready if it could lead at once.
        """
        troubles = self.troubles()
        missing = {**troubles, "stream": self._trouble_with_stream(troubles.get("stream"))}
        missing = {part: why for part, why in missing.items() if why}
        return {
            "ok": not missing,
            "missing": missing,
            "proofAgeSeconds": self.reader.proof_age(),
            "leads": self.leadership.leads(),
            "leader": self.leadership.holder,
        }

    def _trouble_with_stream(self, known: str | None) -> str | None:
        age = self.reader.proof_age()
        if age is not None and age < PIPE_GAP:
            return None
        return self.reader.trouble or known or "not read to its end yet"
