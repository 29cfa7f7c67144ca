"""Keeps a process whole where one of its parts fails in a way that nobody foresaw.

Each part bears what its servers do to it. What it does not bear is a mistake, and of a mistake in
the writing of alerts the watch over ten thousand nodes must not end: the part is begun anew, and
that is told in the log, in a figure and at ``/readyz``.
"""

import asyncio
from typing import Final, Protocol, cast

from prometheus_client import Counter

from citadel_k8s.aio.backoff import Backoff
from citadel_k8s.aio.clock import Clock
from citadel_k8s.telemetry.log import RepeatLog, get_logger

PAUSE_FIRST: Final = 1.0
"""Seconds before a part that failed is begun anew, doubled each time."""

PAUSE_MAX: Final = 30.0
"""Longest such pause before chance lengthens it, in seconds."""

WELL_AFTER: Final = 60.0
"""Seconds after which a part that was begun anew counts as well."""

CAUSE_MAX: Final = 300
"""Characters told of a failure; the log has the rest."""


class Part(Protocol):
    """What runs for ever."""

    async def run(self) -> None:
        """Work until cancelled."""
        ...


class Counted(Protocol):
    """Where failures are counted, by the label ``part``."""

    @property
    def part_failures(self) -> Counter:
        """The counter."""
        ...


class Supervision:
    """Runs parts, each of them again and again.

    Parameters
    ----------
    clock : Clock
        The process' clock.
    metrics : Counted
        What is counted.
    logger : str
        In whose name it is told.
    """

    def __init__(self, clock: Clock, metrics: Counted, logger: str = "operator") -> None:
        self._clock = clock
        self._metrics = metrics
        self._log = get_logger(logger)
        self._failed: dict[str, tuple[float, str]] = {}
        self._repeats: dict[str, RepeatLog] = {}

    @property
    def trouble(self) -> str | None:
        """Which parts have failed lately, and how; None if none has."""
        now = self._clock.monotonic()
        lately = [
            f"{name}: {error}"
            for name, (at, error) in self._failed.items()
            if now - at < WELL_AFTER
        ]
        return "; ".join(lately) or None

    def start(self, group: asyncio.TaskGroup, part: Part) -> None:
        """Run a part in a group for as long as that lasts."""
        name = type(part).__name__
        group.create_task(self.keep(part, name), name=name)

    async def keep(self, part: Part, name: str) -> None:
        """Run a part until this is cancelled, whatever it raises."""
        backoff = Backoff(PAUSE_FIRST, PAUSE_MAX)
        while True:
            began = self._clock.monotonic()
            error = await _outcome(part)
            now = self._clock.monotonic()
            if now - began > WELL_AFTER:
                backoff.reset()
            self._tell(name, error, now)
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError  # it failed over its end, and is not to begin anew
            await asyncio.sleep(backoff.pause())

    def _tell(self, name: str, error: BaseException | None, now: float) -> None:
        said = "it ended" if error is None else _cause(error)
        self._failed[name] = (now, said)
        self._metrics.part_failures.labels(part=name).inc()
        repeats = self._repeats.setdefault(
            name, RepeatLog(self._log, "part_failed", clock=self._clock)
        )
        repeats.failed(part=name, error=said, exc_info=error)


def _cause(error: BaseException) -> str:
    """Give the first thing that went wrong in a group, in a line."""
    if isinstance(error, BaseExceptionGroup):
        return _cause(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return repr(error)[:CAUSE_MAX]


async def _outcome(part: Part) -> BaseException | None:
    """Run a part and give what it raised; only a cancellation that is meant for it goes through."""
    try:
        await part.run()
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return error  # something that it waited for was cancelled
    except Exception as error:  # noqa: BLE001 - told by who asks
        return error
    return None  # no part ends by itself, but nobody else would notice
