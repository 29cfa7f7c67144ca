"""Connections that cannot be held for nothing.

Who opens too many is turned away; who sends a head byte by byte, or takes an answer byte by byte,
is cut off. One look at all connections each second, instead of a timer for each request.
"""

import asyncio
import json
import math
from collections import Counter
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from typing_extensions import override

from citadel_k8s.api.frame.address import Addresses, neighbourhood
from citadel_k8s.api.frame.answers import JSON_TYPE
from citadel_k8s.api.frame.headers import SERVER
from citadel_k8s.api.metrics import ApiMetrics
from citadel_k8s.config.server import Limits
from citadel_k8s.telemetry.log import get_logger

_log = get_logger("api")

LOOK_SECONDS: Final = 1.0
"""Seconds between two looks at all connections: 10,000 take 2 ms."""

_FULL: Final = json.dumps(
    {"error": "unavailable", "error_description": "too many connections", "retry_after": 5}
).encode()
_TURNED_AWAY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\n"
    b"Connection: close\r\nContent-Length: " + str(len(_FULL)).encode() + b"\r\n\r\n" + _FULL
)


class Gate:
    """Knows all connections.

    Parameters
    ----------
    limits : Limits
        How many there may be, and for how long what may take.
    addresses : Addresses
        Trusted proxies carry everybody's requests: they have no limit of their own.
    metrics : ApiMetrics
        Where what is ended is counted.
    """

    def __init__(self, limits: Limits, addresses: Addresses, metrics: ApiMetrics) -> None:
        self.limits = limits
        self._addresses = addresses
        self._metrics = metrics
        self._open: set[GuardedConnection] = set()
        self._by_address: Counter[str] = Counter()
        metrics.connections.set_function(lambda: len(self._open))

    def admit(self, connection: "GuardedConnection", peer: str) -> bool:
        """Take a connection in; False if there are too many."""
        whose = neighbourhood(peer)
        if len(self._open) >= self.limits.connections:
            self._metrics.connections_ended.labels("total").inc()
            return False
        if self._by_address[
            whose
        ] >= self.limits.connections_per_address and not self._addresses.trusts(peer):
            self._metrics.connections_ended.labels("address").inc()
            return False
        self._by_address[whose] += 1
        connection.whose = whose
        self._open.add(connection)
        return True

    def leave(self, connection: "GuardedConnection") -> None:
        """Let a connection go."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        self._by_address[connection.whose] -= 1
        if not self._by_address[connection.whose]:
            del self._by_address[connection.whose]

    async def run(self) -> None:
        """Cut off the slow for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look(loop.time())

    def look(self, now: float) -> None:
        """Cut off whose time is up."""
        late = [connection for connection in self._open if connection.until <= now]
        for connection in late:
            self._metrics.connections_ended.labels(connection.busy_with).inc()
            connection.cut_off()


class GuardedConnection(RequestHandler):
    """One connection; `until` is the moment, of the loop's clock, at which it is cut off."""

    __slots__ = (
        "_gate",
        "_guarded_loop",
        "_in_request",
        "_turned_away",
        "busy_with",
        "until",
        "whose",
    )

    def __init__(
        self, server: web.Server, gate: Gate, loop: asyncio.AbstractEventLoop, **options: Any
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - as its own default for "off"
            keepalive_timeout=gate.limits.keepalive_seconds,
            **options,
        )
        self._gate = gate
        self._guarded_loop = loop
        self._turned_away = False
        self._in_request = False
        self.until = math.inf
        self.busy_with = "head"
        self.whose = ""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer: Any = transport.get_extra_info("peername")
        if not self._gate.admit(self, str(peer[0]) if peer else ""):
            self._turned_away = True
            if isinstance(transport, asyncio.WriteTransport):
                transport.write(_TURNED_AWAY)
            transport.close()
            return
        self._await_head()
        super().connection_made(transport)

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        if self._turned_away:
            return
        self._gate.leave(self)
        self.until = math.inf
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self._turned_away:
            return
        if not self._in_request and self.until == math.inf:
            self._await_head()
        super().data_received(data)

    def _await_head(self) -> None:
        self.until = self._guarded_loop.time() + self._gate.limits.header_seconds
        self.busy_with = "head"

    def began(self, deadline: float | None) -> None:
        """Note that a whole head is there and its request is being answered.

        Parameters
        ----------
        deadline : float or None
            Seconds that the answer may take to be made; None for a stream, which has no end.
        """
        self._in_request = True
        if deadline is None:
            self.until = math.inf
        else:
            self.until = self._guarded_loop.time() + deadline + self._gate.limits.answer_seconds
            self.busy_with = "answer"

    def cut_off(self) -> None:
        """End the connection without a word; whoever is slow to send is as slow to read."""
        self.until = math.inf
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    @override
    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        result = await super().finish_response(request, resp, start_time)
        self._in_request = False
        self.until = math.inf  # until the next head begins the keep-alive time holds
        return result

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP in the shape of all refusals; what came is not quoted."""
        if request.writer.output_size > 0:
            raise ConnectionResetError("the answer was broken off") from exc
        known = HTTPStatus(status)
        if known >= 500:  # noqa: PLR2004
            _log.error("answer_failed", exc_info=exc)  # the frame's own defect
        text = "this cannot be read" if known < 500 else "something went wrong here"  # noqa: PLR2004
        body = {"error": known.phrase.lower().replace(" ", "_"), "error_description": text}
        response = web.Response(
            status=status,
            body=json.dumps(body).encode(),
            headers={"Content-Type": JSON_TYPE, **SERVER},
        )
        response.force_close()
        return response
