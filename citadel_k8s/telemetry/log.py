"""One event, one line: JSON on stderr, with fields instead of prose; and a lid on repetition.

An event that keeps happening is told when it first happens, then at most once in a quarter of
an hour, and once more when it is over, with how often and how long.
"""

import logging
import sys
from dataclasses import dataclass
from typing import Any, Final, Literal

from citadel_k8s.aio.clock import Clock, SystemClock

# structlog imports rich wherever it finds it, for coloured tracebacks: 5 MiB for a program that
# writes JSON. It falls back by itself when rich is not there.
_hidden = "rich" not in sys.modules
if _hidden:
    sys.modules["rich"] = None  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
import structlog  # noqa: E402
from structlog.typing import EventDict, FilteringBoundLogger, Processor  # noqa: E402

if _hidden:
    del sys.modules["rich"]

LOG_REPEAT_SECONDS: Final = 900.0
"""Seconds between two lines about the same lasting trouble: an outage of a day is a hundred
lines, and a reader who scrolls back an hour still finds it."""

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "console"]


def configure(level: Level = "info", format: Format = "json") -> None:  # noqa: A002
    """Send all events, those of libraries included, to stderr.

    Parameters
    ----------
    level : str
        Least severe level that is written.
    format : str
        ``json`` for machines, ``console`` for people.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    renderer = _renderer(format)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    ending: list[Processor] = [structlog.processors.format_exc_info, renderer]
    structlog.configure(
        processors=[_name, *shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    _adopt_standard_logging(threshold, shared, ending)


def get_logger(name: str) -> FilteringBoundLogger:
    """Give a logger whose lines carry ``logger=name``."""
    # Bound lazily: a module may ask before `configure` has run.
    logger: FilteringBoundLogger = structlog.get_logger(logger_name=name)
    return logger


@dataclass(frozen=True, slots=True)
class Repeat:
    """How often, and for how many seconds, something has been going on."""

    count: int
    seconds: float


class Suppressor:
    """Says when a repeated event is worth a line.

    Parameters
    ----------
    clock : Clock
        What measures the durations.
    period : float
        Seconds between two lines of the same run.
    """

    def __init__(self, clock: Clock, period: float = LOG_REPEAT_SECONDS) -> None:
        self._clock = clock
        self._period = period
        self._count = 0
        self._since = 0.0
        self._told = 0.0

    def failed(self) -> Repeat | None:
        """Count one; give what to tell if it is time to tell, else None."""
        now = self._clock.monotonic()
        self._count += 1
        if self._count == 1:
            self._since = now
        elif now - self._told < self._period:
            return None
        self._told = now
        return Repeat(self._count, now - self._since)

    def recovered(self) -> Repeat | None:
        """End the run; give its count and duration if there was one, else None."""
        if self._count == 0:
            return None
        over = Repeat(self._count, self._clock.monotonic() - self._since)
        self._count = 0
        return over


class RepeatLog:
    """A trouble that may last, told with a lid on.

    Parameters
    ----------
    logger : FilteringBoundLogger
        Where the lines go.
    event : str
        What happens; its end is logged as ``<event>_recovered``.
    clock : Clock or None
        The machine's own if None.
    period : float
        Seconds between two lines of the same run.
    """

    def __init__(
        self,
        logger: FilteringBoundLogger,
        event: str,
        *,
        clock: Clock | None = None,
        period: float = LOG_REPEAT_SECONDS,
    ) -> None:
        self._logger = logger
        self._event = event
        self._over = f"{event}_recovered"
        self._suppressor = Suppressor(clock or SystemClock(), period)

    def failed(self, **fields: Any) -> None:
        """Tell that it happened (again), if it is time."""
        if repeat := self._suppressor.failed():
            self._logger.warning(
                self._event, count=repeat.count, seconds=round(repeat.seconds, 1), **fields
            )

    def recovered(self, **fields: Any) -> None:
        """Tell that it is over, if it was going on."""
        if repeat := self._suppressor.recovered():
            self._logger.info(
                self._over,
                count=repeat.count,
                seconds=round(repeat.seconds, 1),
                **fields,
            )


def _renderer(form: Format) -> Processor:
    if form == "console":
        return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return structlog.processors.JSONRenderer()


def _name(_logger: Any, _method: str, event: EventDict) -> EventDict:
    # structlog keeps ``logger`` for itself as the name of an initial value.
    event["logger"] = event.pop("logger_name", None)
    return event


def _adopt_standard_logging(
    threshold: int, shared: list[Processor], ending: list[Processor]
) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    handler.addFilter(_about_us)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries talk much; their own news begin at warning unless everything is asked for.
    root.setLevel(threshold if threshold <= logging.DEBUG else max(threshold, logging.WARNING))


def _about_us(record: logging.LogRecord) -> bool:
    """Say whether a line is worth it: not the traceback of each nonsense sent to an open port."""
    error = record.exc_info[1] if record.exc_info else None
    return record.name != "aiohttp.server" or type(error).__module__ != "aiohttp.http_exceptions"
