"""State machines and operators with one thing wrong each, that the simulation has to catch."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain import liveness
from citadel_k8s.domain.liveness import Beat, Liveness, Policy
from citadel_k8s.operator.pipe import Pipe
from tests.simulation.receiver import Machine


def _halved(policy: Policy) -> Policy:
    return replace(policy, missed=1, skew=policy.interval * (policy.missed / 2 - 1))


def _doubled(policy: Policy) -> Policy:
    return replace(policy, missed=2 * policy.missed)


def _anybody(node: Liveness, beat: Beat, now: float) -> Liveness:
    return liveness.beaten(replace(node, former_boots=(), seq=None), beat, now)


def _deaf_to_returns(node: Liveness, beat: Beat, now: float) -> Liveness:
    heard = liveness.beaten(node, beat, now)
    return node if node.down and not heard.down else heard


def _immortal(node: Liveness, now: float) -> Liveness:
    return node if node.boot_id is None else liveness.expired(node, now)


def _never(node: Liveness, until: float) -> Liveness:
    return node


MUTANTS: dict[str, tuple[Machine, Callable[[Any], int]]] = {
    "half the timeout": (Machine(policy=_halved), lambda tally: tally.false),
    "twice the timeout": (Machine(policy=_doubled), lambda tally: tally.missed),
    "no proof of the pipe": (Machine(proves=False), lambda tally: tally.false),
    "no time after an outage": (Machine(deferred=_never), lambda tally: tally.false),
    "stragglers and replays count": (
        Machine(beaten=_anybody),
        lambda tally: tally.missed + tally.raised,
    ),
    "nobody comes back": (Machine(beaten=_deaf_to_returns), lambda tally: tally.stuck),
    "nodes without boot ids never die": (Machine(expired=_immortal), lambda tally: tally.missed),
}
"""By what is wrong: the machine, and which count shows it."""


@dataclass(slots=True)
class Credulous:
    """A proof that takes now for proved, whatever was read."""

    pipe: Pipe
    clock: Clock

    @property
    def proved_until(self) -> float:
        """Give now."""
        return self.clock.monotonic()
