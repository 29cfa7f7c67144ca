"""One receiver of alerts, in good times and bad: when it is tried, and what is given up."""

import random
from collections.abc import Awaitable, Callable
from typing import Final, Literal

from citadel_k8s.aio.backoff import Backoff
from citadel_k8s.aio.clock import Clock
from citadel_k8s.clients.post import DeliveryError
from citadel_k8s.operator.letters import Letters
from citadel_k8s.operator.newsmetrics import NewsMetrics
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.alerts")

PAUSE_FIRST: Final = 2.0
"""Seconds before a receiver that failed is tried again."""

PAUSE_MAX: Final = 60.0
"""Longest such pause before chance lengthens it, in seconds: a receiver that is back hears of what
fires within two minutes."""

LETTER_AFTER: Final = 600.0
"""Seconds of failing after which a dead letter says what could not be told; the trying goes on."""

LETTER_PAUSE: Final = 900.0
"""Least seconds between two dead letters about the same trouble."""

Outcome = Literal["ok", "refused", "failed"]
"""Taken; refused for good; worth another try."""


class Delivery:
    """The attempts at one receiver.

    Parameters
    ----------
    name, where : str
        The receiver, and its address fit to be logged.
    letters : Letters or None
        Where goes what is given up.
    repeats : bool
        Whether what is refused comes again by itself, so that not each refusal is a dead letter.
    jitter : callable
        Gives a random number in [0, 1).
    """

    def __init__(
        self,
        name: str,
        where: str,
        clock: Clock,
        metrics: NewsMetrics,
        letters: Letters | None = None,
        *,
        repeats: bool = False,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._where = where
        self._clock = clock
        self._metrics = metrics
        self._letters = letters
        self._repeats = repeats
        self._backoff = Backoff(PAUSE_FIRST, PAUSE_MAX, jitter=jitter)
        self._not_before = 0.0
        self._failing_since: float | None = None
        self._lettered_at: float | None = None
        self._trouble = RepeatLog(_log, "alerts_not_delivered", clock=clock)
        metrics.failing.labels(receiver=name).set(0)

    @property
    def ready(self) -> bool:
        """Whether the receiver may be tried now."""
        return self._clock.monotonic() >= self._not_before

    async def attempt(self, send: Awaitable[None], message_id: str, payload: str) -> Outcome:
        """Try once; never raises but on cancellation.

        Parameters
        ----------
        send : awaitable
            Sends, bounded by itself.
        message_id : str
            What is told of it in a dead letter.
        payload : str
            What is kept of it in one.
        """
        try:
            await send
        except DeliveryError as error:
            outcome = self._failed(error, message_id, payload)
        except Exception as error:  # noqa: BLE001 - told and counted like any other failure
            # What an address can make a library raise is not known; alerts to others go on.
            name = DeliveryError(f"{self._where}: {type(error).__name__}")
            outcome = self._failed(name, message_id, payload)
        else:
            self._succeeded()
            outcome = "ok"
        self._metrics.deliveries.labels(receiver=self.name, result=outcome).inc()
        return outcome

    def _succeeded(self) -> None:
        self._backoff.reset()
        self._failing_since = self._lettered_at = None
        self._metrics.failing.labels(receiver=self.name).set(0)
        self._trouble.recovered(receiver=self.name, address=self._where)

    def _failed(self, error: DeliveryError, message_id: str, payload: str) -> Outcome:
        now = self._clock.monotonic()
        self._trouble.failed(receiver=self.name, address=self._where, error=str(error))
        if self._failing_since is None:
            self._failing_since = now
        failing = now - self._failing_since
        self._metrics.failing.labels(receiver=self.name).set(failing)
        if self._letters is not None and self._is_letter_due(error, now, failing):
            self._lettered_at = now
            self._letters.put(self.name, message_id, str(error), payload)
        if error.final:
            self._backoff.reset()
            return "refused"
        self._not_before = now + self._backoff.pause(error.retry_after)
        return "failed"

    def _is_letter_due(self, error: DeliveryError, now: float, failing: float) -> bool:
        if error.final and not self._repeats:
            return True
        if not error.final and failing < LETTER_AFTER:
            return False
        return self._lettered_at is None or now - self._lettered_at >= LETTER_PAUSE
