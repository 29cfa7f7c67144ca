"""Answers kept for a while, so many at most: the newest stay."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from citadel_k8s.aio.clock import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """What was found under a key, and when.

    Parameters
    ----------
    clock : Clock
        Measures ages.
    seconds : float
        How long an answer is given again.
    most : int
        How many are kept; beyond it the one kept longest goes.
    """

    def __init__(self, clock: Clock, *, seconds: float, most: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._kept: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K, *, seconds: float | None = None) -> V | None:
        """Give what is kept and not older than usual, or than ``seconds``; else None."""
        found = self._kept.get(key)
        if found is None:
            return None
        limit = self._seconds if seconds is None else seconds
        return found[1] if self._clock.monotonic() - found[0] < limit else None

    def keep(self, key: K, value: V) -> None:
        """Keep an answer from now on."""
        self._kept.pop(key, None)
        self._kept[key] = (self._clock.monotonic(), value)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def forget(self, key: K) -> None:
        """Forget one answer."""
        self._kept.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
