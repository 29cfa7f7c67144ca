"""kopf's own lines, tamed: one when a watch is in trouble, one when it is over.

kopf tells every attempt of every watch as an error with a URL of 200 characters, four times in
15 s and for as long as the API server is away.
"""

import logging
import re
from typing import Any, Final

from typing_extensions import override

from citadel_k8s.aio.clock import Clock
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_ATTEMPT: Final = re.compile(
    r"Request attempt \S+ (?P<end>failed|succeeded)[^:]*: (?P<asked>[A-Z]+ [^ ?]+)\S*"
    r"(?: -> (?P<error>.*))?",
    re.DOTALL,
)
_QUOTED: Final = re.compile(r"'([^']*)'|\"([^\"]*)\"")

_REQUESTS: Final = (
    "kopf._cogs.clients.watching",
    "kopf._cogs.clients.fetching",
    "kopf._core.reactor.observation",
)
"""Loggers that tell of attempts; that one succeeded is a debug line."""

_TROUBLE_TTL: Final = 60.0
"""Seconds after which a failure that was not repeated is over: attempts are 8 s apart, and each
may take 30 s."""

_EXPECTED: Final = ("Running the operator", "OS signals are ignored", "Unresolved resources")
"""Starts of lines that say what is so on purpose, or what `Watcher` tells itself."""

_ENDS: Final = ("kopf._core.reactor.orchestration", "kopf._core.reactor.running")
"""Loggers that tell, each for itself, of the one failure that `Watcher` tells as kopf's end."""

_TEXT_MAX: Final = 300
"""Characters of one of kopf's lines."""


class KopfLog(logging.Handler):
    """Takes the lines of kopf's loggers and tells what is worth telling. Lives in kopf's thread.

    Attributes
    ----------
    ended_by
        The first failure that ends kopf, in its words; None if nothing does.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(logging.DEBUG)
        self._clock = clock
        self._trouble: str | None = None
        self._failed_at = 0.0
        self._ending_since: float | None = None
        self.ended_by: str | None = None
        self._logger = get_logger("operator.kopf")
        self._failing: dict[str, str] = {}
        self._repeats = RepeatLog(self._logger, "watch_failing", clock=clock)

    @property
    def trouble(self) -> str | None:
        """What goes wrong with the watches now; None if nothing does."""
        over = self._clock.monotonic() - self._failed_at > _TROUBLE_TTL
        return None if over else self._trouble

    def ending(self) -> float | None:
        """Give for how many seconds kopf has been about to end; None if it is not."""
        since = self._ending_since
        return None if since is None else self._clock.monotonic() - since

    def install(self) -> None:
        """Be the only one who hears kopf, from warnings on; of requests, all."""
        top = logging.getLogger("kopf")
        top.handlers[:] = [self]
        top.propagate = False
        top.setLevel(logging.WARNING)
        for name in _REQUESTS:
            logging.getLogger(name).setLevel(logging.DEBUG)

    def reset(self) -> None:
        """Forget the troubles of a kopf that has ended."""
        self._failing.clear()
        self._trouble = None
        self._ending_since = None
        self.ended_by = None

    @override
    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        attempt = _ATTEMPT.match(text)
        if attempt and attempt["end"] == "failed":
            if attempt["error"]:  # else kopf took the session away itself, and makes another
                self._failed(attempt["asked"], attempt["error"])
        elif attempt:
            self._succeeded(attempt["asked"])
        elif record.name in _ENDS and " has failed: " in text:
            if self._ending_since is None:
                self._ending_since = self._clock.monotonic()
                self.ended_by = text[:_TEXT_MAX]
        elif record.levelno >= logging.WARNING and not text.startswith(_EXPECTED):
            self._logger.warning("kopf", source=record.name, message=text[:_TEXT_MAX])

    def unhandled(self, context: dict[str, Any]) -> None:
        """Take what asyncio would have told with a traceback."""
        said = f"{context.get('message', '')}: {context.get('exception')!r}"
        self._logger.debug("kopf", source="asyncio", message=said[:_TEXT_MAX])

    def _failed(self, asked: str, error: str) -> None:
        self._failing[asked] = self._trouble = f"{asked}: {short(error)}"
        self._failed_at = self._clock.monotonic()
        self._repeats.failed(error=self._trouble)

    def _succeeded(self, asked: str) -> None:
        self._failing.pop(asked, None)
        self._trouble = next(iter(self._failing.values()), None)
        if not self._failing:
            self._repeats.recovered()


def short(error: str) -> str:
    """Give the kind of an error and its longest quotation: the rest is repr of a connection."""
    kind = error.partition("(")[0]
    said = max((a or b for a, b in _QUOTED.findall(error)), key=len, default="")
    return f"{kind}: {said}"[:_TEXT_MAX] if said else kind[:_TEXT_MAX]
