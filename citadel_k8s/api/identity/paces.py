"""How often one caller may do something that is dear or worth guessing at."""

from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.domain.tokens import TokenBucket

CALLERS_MOST: Final = 10_000
"""Callers kept in mind; beyond it the one longest unheard is forgotten."""


class Paces:
    """A budget of each caller.

    Parameters
    ----------
    clock : Clock
        Measures.
    pace : tuple of float
        How many a second, and how many at once.
    """

    def __init__(self, clock: Clock, pace: tuple[float, float]) -> None:
        self._clock = clock
        self._rate, self._burst = pace
        self._budgets: dict[str, TokenBucket] = {}

    def take(self, key: str, description: str) -> None:
        """Let a caller pass.

        Raises
        ------
        RefusalError
            429, with the seconds to wait.
        """
        budget = self._budgets.pop(key, None) or TokenBucket(self._rate, self._burst)
        self._budgets[key] = budget
        if len(self._budgets) > CALLERS_MOST:
            del self._budgets[next(iter(self._budgets))]
        if not budget.take(self._clock.monotonic()):
            raise RefusalError(
                429, "rate_limited", f"{description}; wait a little", retry_after=1 / self._rate
            )
