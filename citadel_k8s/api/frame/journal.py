"""What is kept of each request: a line and some counts. No query, no header, no body: no secret."""

from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import Counter, Histogram

from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.api.frame.route import Call
from citadel_k8s.api.metrics import ApiMetrics
from citadel_k8s.telemetry.log import get_logger

_log = get_logger("api.access")

ELSEWHERE = "none"
"""The template of what no route is for: paths that somebody makes up must not become series."""


@dataclass(slots=True)
class Tallies:
    """The counts of one route, found once: to look them up by label costs more than to count."""

    method: str
    template: str
    log_every: int
    seconds: Histogram | None
    by_status: dict[int, Counter] = field(default_factory=dict[int, Counter])
    unlogged: int = 0


class Journal:
    """Counts requests and logs them.

    Parameters
    ----------
    metrics : ApiMetrics
        Where they are counted.
    """

    def __init__(self, metrics: ApiMetrics) -> None:
        self._metrics = metrics
        self._elsewhere: dict[int, Counter] = {}
        self.in_flight = 0
        metrics.in_flight.set_function(lambda: self.in_flight)

    def tallies(self, method: str, template: str, log_every: int, *, timed: bool = True) -> Tallies:
        """Give what a route counts in; a stream is not timed, for it lasts as long as it likes."""
        seconds = self._metrics.seconds.labels(method, template) if timed else None
        return Tallies(method, template, log_every, seconds)

    def answered(
        self, tallies: Tallies, call: Call, response: web.StreamResponse, seconds: float
    ) -> None:
        """Note a request that was answered."""
        status = response.status
        counter = tallies.by_status.get(status)
        if counter is None:
            counter = self._metrics.requests.labels(tallies.method, tallies.template, status)
            tallies.by_status[status] = counter
        counter.inc()
        if tallies.seconds is not None:
            tallies.seconds.observe(seconds)
        if status < 400:  # noqa: PLR2004
            tallies.unlogged += 1
            if tallies.unlogged < tallies.log_every:
                return
            tallies.unlogged = 0
        principal = call.principal
        _log.info(
            "request",
            method=call.request.method,
            route=tallies.template,
            status=status,
            seconds=round(seconds, 4),
            bytes=_size(response),
            subject=None if principal is None else principal.subject,
            address=call.address,
            request_id=call.request_id,
        )

    def refused(self, refusal: RefusalError) -> None:
        """Count a refusal."""
        self._metrics.refusals.labels(refusal.error).inc()
        if refusal.status == 429:  # noqa: PLR2004
            self._metrics.rate_limited.labels(str(refusal.window)).inc()

    def strayed(self, status: int) -> None:
        """Count a request that no route is for; not logged, for anybody can make up paths."""
        counter = self._elsewhere.get(status)
        if counter is None:
            counter = self._metrics.requests.labels(ELSEWHERE, ELSEWHERE, status)
            self._elsewhere[status] = counter
        counter.inc()


def _size(response: web.StreamResponse) -> int:
    if isinstance(response, web.Response) and isinstance(response.body, bytes):
        return len(response.body)
    return response.body_length if response.prepared else 0
