"""A breaker: when too much would be done at once, nothing is."""

from dataclasses import dataclass
from typing import Final, Literal

CLOSING: Final = 300.0
"""Seconds for which there has to be little enough to do before it closes."""


@dataclass(slots=True)
class Breaker:
    """Open, it lets nothing through.

    Attributes
    ----------
    is_open : bool
        Whether it is.
    """

    is_open: bool = False
    _few_since: float | None = None

    def judge(
        self, *, wanted: int, limit: int, ripe: bool, now: float
    ) -> Literal["opened", "closed"] | None:
        """Take what is wanted now, and say whether that opens or closes it.

        Parameters
        ----------
        wanted, limit : int
            How much would be done in all, and how much may be.
        ripe : bool
            Whether some of it would be done now; only then it opens.
        now : float
            Monotonic seconds.
        """
        if wanted > limit:
            self._few_since = None
            if not ripe or self.is_open:
                return None
            self.is_open = True
            return "opened"
        if not self.is_open:
            return None
        if self._few_since is None:
            self._few_since = now
        if now - self._few_since < CLOSING:
            return None
        self.reset()
        return "closed"

    def reset(self) -> None:
        """Close it, and forget."""
        self.is_open = False
        self._few_since = None
