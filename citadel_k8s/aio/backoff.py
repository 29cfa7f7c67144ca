"""Pauses between attempts: doubled, and lengthened by chance, so that a fleet does not herd."""

import random
from collections.abc import Callable


class Backoff:
    """The pauses of one peer.

    Parameters
    ----------
    first : float
        Seconds of the first pause, before chance lengthens it.
    longest : float
        Seconds that no pause is longer than before chance lengthens it, up to twice.
    jitter : callable
        Gives a factor in [0, 1) by which a pause is lengthened; never shortened.
    """

    def __init__(
        self, first: float, longest: float, *, jitter: Callable[[], float] = random.random
    ) -> None:
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self._base = first

    def pause(self, asked: float | None = None) -> float:
        """Give the seconds to wait now; the next are longer.

        Parameters
        ----------
        asked : float or None
            Seconds that the peer asked to wait: waited in full, and then by chance a bit more.
        """
        base = self._base
        self._base = min(self._longest, base * 2)
        if asked is not None:
            return asked + self._first * self._jitter()
        return base * (1 + self._jitter())

    def reset(self) -> None:
        """Begin anew: the peer has proved itself."""
        self._base = self._first
