"""What the API server refuses, and how long it, or the one object, is left alone for it."""

import random
from collections.abc import Callable, Collection
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.errors import KubeError
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.projector")

BACKOFF_MIN: Final = 1.0
"""Seconds before a refused write is tried again, doubled each time."""

BACKOFF_MAX: Final = 30.0
"""Longest wait between two tries of one object, in seconds."""

HOLD_MAX: Final = 8.0
"""Longest wait of everybody for a server in trouble, in seconds, unless it names a longer one: one
that is back is noticed within it, and one that is down is asked by a few."""

RETRY_AFTER_MAX: Final = 60.0
"""Longest wait that a server may ask for, in seconds. The API server's own priority and fairness
asks for one; a proxy that asks for an hour would blind everybody."""

REFUSALS_TOLD: Final = 256
"""Objects whose refusals are told apart in the log; those beyond are only counted."""

NOT_SENT: Final = -2
"""Status of a write that this process may not make, because it does not lead: nobody's trouble."""

OF_THE_CLIENT: Final = range(400, 500)
"""HTTP statuses that speak of the one request, but for those below."""

OF_THE_SERVER: Final = frozenset({401, 403, 429})
"""HTTP statuses of that range that every request would get: no account, no rights, no capacity."""


class Refusals:
    """Keeps count of failed writes.

    Parameters
    ----------
    clock : Clock
        The operator's clock.
    jitter : callable
        Gives a random number in [0, 1).

    Attributes
    ----------
    trouble
        Why the server takes no writes at all; None if it does, as far as is known.
    hold_until
        Monotonic moment before which nobody should write.
    """

    def __init__(self, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        self.trouble: str | None = None
        self.hold_until = 0.0
        self._clock = clock
        self._jitter = jitter
        self._failures: dict[str, int] = {}
        self._until: dict[str, float] = {}
        self._unserved: set[str] = set()
        self._troubles = 0
        self._outage = RepeatLog(_log, "write_failing", clock=clock)
        self._told: dict[str, RepeatLog] = {}

    def __contains__(self, node_id: str) -> bool:
        """Say whether a node's last write failed."""
        return node_id in self._failures

    def until(self, node_id: str) -> float:
        """Give the monotonic moment before which a node is not to be tried, whatever its news."""
        return self._until.get(node_id, 0.0)

    def failed(self, node_id: str, error: KubeError, cause: Exception | None = None) -> float:
        """Take a failure; give the moment of the next try."""
        failures = self._failures[node_id] = self._failures.get(node_id, 0) + 1
        delay = self._backoff(failures)
        if of_the_server(error):
            delay = self._hold(node_id, error, delay)
        elif error.status != NOT_SENT:
            self._tell(node_id, error, cause)
        self._until[node_id] = until = self._clock.monotonic() + delay
        return until

    def succeeded(self, node_id: str) -> None:
        """Take note that the server did what was asked for a node."""
        self._troubles = 0
        self.trouble = None
        self.forget(node_id)

    def forget(self, node_id: str) -> None:
        """Take note that nothing is to be written for a node any more."""
        self._failures.pop(node_id, None)
        self._until.pop(node_id, None)
        self._unserved.discard(node_id)
        if not self._unserved:
            self.trouble = None
            self._outage.recovered()
        told = self._told.pop(node_id, None)
        if told is not None:
            told.recovered(node=node_id)

    def keep(self, known: Collection[str]) -> None:
        """Forget all nodes but these: whoever was dropped while it was refused is not looked at."""
        for node_id in [id_ for id_ in self._failures if id_ not in known]:
            self.forget(node_id)

    def _hold(self, node_id: str, error: KubeError, delay: float) -> float:
        # It is the server: everybody waits, and longer as long as nothing succeeds. Where others
        # succeed in between it is this object after all, as when a webhook fails on it.
        self._troubles += 1
        asked = min(error.retry_after or 0.0, RETRY_AFTER_MAX)
        hold = max(asked, min(HOLD_MAX, self._backoff(self._troubles)))
        # Writes that were under way together end one after the other, and each has its own word.
        self.hold_until = max(self.hold_until, self._clock.monotonic() + hold)
        self.trouble = str(error)
        self._unserved.add(node_id)
        self._outage.failed(node=node_id, error=self.trouble)
        return hold if self._troubles > 1 else max(delay, hold)

    def _tell(self, node_id: str, error: KubeError, cause: Exception | None) -> None:
        told = self._told.get(node_id)
        if told is None:
            if len(self._told) >= REFUSALS_TOLD:
                return
            told = self._told[node_id] = RepeatLog(_log, "write_refused", clock=self._clock)
        told.failed(node=node_id, error=str(error), exc_info=cause)

    def _backoff(self, failures: int) -> float:
        return min(BACKOFF_MAX, BACKOFF_MIN * 2.0 ** min(failures - 1, 10)) * (1 + self._jitter())


def of_the_server(error: KubeError) -> bool:
    """Say whether any other write would have fared the same.

    So does no answer (0), an error of the server's, and a success that is no JSON: whoever said
    that is no API server.
    """
    if error.status < 0:
        return False
    return error.status not in OF_THE_CLIENT or error.status in OF_THE_SERVER
