"""Keeps what no receiver took, in Redis: off everybody's way, and of bounded size."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from citadel_k8s.aio.backoff import Backoff
from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import StreamError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.operator.newsmetrics import NewsMetrics
from citadel_k8s.stores.deadletters import DeadLetters
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.letters")

WAITING_MAX: Final = 256
"""Letters that wait for Redis; the oldest is dropped for another."""

PAYLOAD_MAX: Final = 8 * 1024
"""Characters kept of a message: whom it is about and how many there were."""

REASON_MAX: Final = 500
"""Characters kept of why it was not taken."""

PAUSE_FIRST: Final = 1.0
PAUSE_MAX: Final = 30.0


class Letters:
    """Dead letters on their way to Redis.

    Parameters
    ----------
    store : DeadLetters
        Where they go.
    clock : Clock
        What dates them.
    metrics : NewsMetrics
        What is counted.
    worker : str
        Who gave up.
    """

    def __init__(
        self,
        store: DeadLetters,
        clock: Clock,
        metrics: NewsMetrics,
        *,
        worker: str = "citadel-operator",
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._worker = worker
        self._waiting: deque[Mapping[str, str]] = deque()
        self._filled = asyncio.Event()
        self._backoff = Backoff(PAUSE_FIRST, PAUSE_MAX, jitter=jitter)
        self._trouble = RepeatLog(_log, "dead_letters_failing", clock=clock)

    def put(self, receiver: str, message_id: str, reason: str, payload: str) -> None:
        """Take one; never waits."""
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.popleft()
            self._metrics.letters.labels(result="dropped").inc()
        self._waiting.append(
            {
                "original_message_id": message_id,
                "original_queue": f"alerts:{receiver}",
                "reason": clip(reason, REASON_MAX),
                "moved_at": format_timestamp(self._clock.now()),
                "worker_id": self._worker,
                "payload": payload[:PAYLOAD_MAX],
            }
        )
        self._filled.set()

    async def run(self) -> None:
        """Bury for ever."""
        while True:
            await self._filled.wait()
            letter = self._waiting[0]
            try:
                await self._store.bury(letter)
            except StreamError as error:
                self._trouble.failed(error=str(error))
                await asyncio.sleep(self._backoff.pause())
                continue
            self._metrics.letters.labels(result="kept").inc()
            self._backoff.reset()
            self._trouble.recovered()
            if self._waiting and self._waiting[0] is letter:  # it may have been dropped meanwhile
                self._waiting.popleft()
            if not self._waiting:
                self._filled.clear()
