"""Alerts for a receiver that forgets: told again and again, in requests of a bounded size."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from citadel_k8s.domain.alerts import Alert, AlertKey

BATCH_BYTES: Final = 64 * 1024
"""Bytes of one request: some 130 alerts, which any Alertmanager and any proxy before it takes."""

REPEAT: Final = 60.0
"""Seconds between two tellings of an alert that fires; Alertmanager's resolve timeout is 300."""

REPEATS_HELD: Final = 3
"""Repeats for which an alert holds: two may be lost, and the alerts of an operator that vanished
resolve by themselves after the third."""


def batches(documents: Iterable[bytes], limit: int = BATCH_BYTES) -> Iterator[tuple[int, bytes]]:
    """Give JSON arrays of at most so many bytes, each with the number of its documents.

    A document that is larger by itself goes alone.
    """
    parts: list[bytes] = []
    size = 2
    for document in documents:
        if parts and size + len(document) + 1 > limit:
            yield len(parts), b"[" + b",".join(parts) + b"]"
            parts, size = [], 2
        parts.append(document)
        size += len(document) + 1
    if parts:
        yield len(parts), b"[" + b",".join(parts) + b"]"


class Ledger:
    """Which alerts a receiver has that has to be told again and again.

    Bounded by what fires: an alert that is over and was never told is forgotten.
    """

    def __init__(self, repeat: float = REPEAT) -> None:
        self._repeat = repeat
        self._told: dict[AlertKey, tuple[Alert, float]] = {}
        self._over: dict[AlertKey, Alert] = {}

    def due(self, firing: Mapping[AlertKey, Alert], now: float) -> list[tuple[Alert, bool]]:
        """Give what is to be told now, each with whether it fires; what is over comes first."""
        for key in self._told.keys() - firing.keys():
            self._over[key] = self._told.pop(key)[0]
        for key in self._over.keys() & firing.keys():
            # The receiver may still have it, so that its next end is to be told as well.
            self._told[key] = (self._over.pop(key), -math.inf)
        again = now - self._repeat
        fires = [
            alert
            for key, alert in firing.items()
            if key not in self._told or self._told[key][1] <= again
        ]
        return [*((alert, False) for alert in self._over.values()), *((a, True) for a in fires)]

    def told(self, alerts: Iterable[tuple[Alert, bool]], now: float) -> None:
        """Take note that these have reached the receiver."""
        for alert, fires in alerts:
            if fires:
                self._told[alert.key] = (alert, now)
            else:
                self._over.pop(alert.key, None)

    def clear(self) -> None:
        """Forget everything: somebody else tells from now on."""
        self._told.clear()
        self._over.clear()
