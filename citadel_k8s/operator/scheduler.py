"""The one clockwork of the operator: asks every quarter of a second whose silence counts."""

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.operator.judging import Judge, always_offline
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.registry import Registry

TICK: Final = 0.25
"""Seconds between two looks; adds an eighth of a second on average to the time of detection."""


AT_ONCE: Final = 250
"""Nodes judged at once. 5,000 that fall silent together would hold heartbeats up for 0.4 s; so
many take 20 ms."""

REST: Final = 0.01
"""Seconds that others get before the next ones are judged: 5,000 are done in 0.6 s."""


class Proof(Protocol):
    """Who knows how far the stream has been read; the reader does, and the pipe knows better."""

    @property
    def proved_until(self) -> float | None:
        """Moment (monotonic seconds) up to which nobody's word was missed; None before any."""
        ...


@dataclass(slots=True)
class Scheduler:
    """Ticks.

    Parameters
    ----------
    registry : Registry
        Whose nodes fall silent.
    proof : Proof
        How far silence is proved.
    clock : Clock
        The operator's clock.
    metrics : OperatorMetrics
        What is counted.
    judge : callable
        Says what each silence means.

    Attributes
    ----------
    ticked_at
        Moment of the last tick; None before the first.
    """

    registry: Registry
    proof: Proof
    clock: Clock
    metrics: OperatorMetrics
    judge: Judge = always_offline
    ticked_at: float | None = None

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            more = self.tick()
            await asyncio.sleep(REST if more else TICK)

    def tick(self) -> bool:
        """Judge nodes whose silence counts by now, as far as the stream proves it.

        Returns whether some may be left, for those who spoke meanwhile to be heard first.
        """
        now = self.clock.monotonic()
        if self.ticked_at is not None:
            self.metrics.loop_lag.set(max(0.0, now - self.ticked_at - TICK))
        self.ticked_at = now
        proved_until = self.proof.proved_until
        if proved_until is None:
            return False
        return self.registry.fall_silent(now, proved_until, self.judge, limit=AT_ONCE)
