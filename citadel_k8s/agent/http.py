"""What the agent serves: its status and parts of it, its health and its metrics.

Everything is read-only, and answered from what is known: no request makes a driver wait, and only
``?fresh=1`` makes one be asked, once for all who ask at the same time.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from citadel_k8s.agent.access import Access
from citadel_k8s.agent.board import Board
from citadel_k8s.agent.vitals import Vitals
from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.models.codec import encode, format_timestamp
from citadel_k8s.telemetry.agent_metrics import AgentMetrics

STATUS_CACHE_SECONDS: Final = 1.0
"""How long one rendered status is given to everybody, in seconds; also how long a fresh one stays
fresh."""

FRESH_WAIT: Final = 3.0
"""Seconds that ``?fresh=1`` waits for the sources; then it tells what is known. Whoever asks for
the live state of a node gives it three seconds."""

REQUEST_MAX: Final = 1024
"""Bytes that a request's body may have: none has one."""

OPEN_PATHS: Final = frozenset({"/health", "/health/live", "/health/ready", "/ping"})
"""Paths that anybody may ask: they tell that the agent lives, and nothing of the node."""

SHUTDOWN_SECONDS: Final = 0.5
"""Seconds that open requests are given when the agent ends."""


class StatusServer:
    """The agent's HTTP server.

    Parameters
    ----------
    board : Board
        What is known.
    vitals : Vitals
        How the agent itself is.
    metrics : AgentMetrics
        Renders ``/metrics``.
    refresh : callable
        Reads all sources once more.
    access : Access or None
        Who may ask; everybody if None.
    """

    def __init__(
        self,
        board: Board,
        vitals: Vitals,
        metrics: AgentMetrics,
        refresh: Callable[[], Awaitable[None]],
        access: Access | None = None,
    ) -> None:
        self._access = access or Access()
        self._board = board
        self._vitals = vitals
        self._metrics = metrics
        self._refresh = refresh
        self._cached: bytes = b""
        self._cached_until = 0.0
        self._snapshot: Snapshot | None = None
        self._beside: object = None
        self._revision = 0
        self._fresh_until = 0.0
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            handle_signals=False,
            shutdown_timeout=SHUTDOWN_SECONDS,
            keepalive_timeout=15,
        )

    async def start(self, host: str, port: int) -> int:
        """Listen; give the port, which is a free one if 0 was asked for.

        Raises
        ------
        OSError
            If the address cannot be listened on.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=self._access.tls)
        await site.start()
        address: Any = self._runner.addresses[0]
        return int(address[1])

    async def close(self) -> None:
        """Stop listening and end open requests."""
        await self._runner.cleanup()

    def _application(self) -> web.Application:
        app = web.Application(
            middlewares=[_errors_as_json, self._protected], client_max_size=REQUEST_MAX
        )
        for path, handler in (
            ("/status", self._status),
            ("/services", self._services),
            ("/resources", self._resources),
            ("/worker", self._worker),
            ("/ping", self._ping),
            ("/health", self._health),
            ("/health/live", self._live),
            ("/health/ready", self._ready),
            ("/metrics", self._show_metrics),
        ):
            app.router.add_get(path, handler)
        return app

    @web.middleware
    async def _protected(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path in OPEN_PATHS or await self._access.allows(request):
            return await handler(request)
        answer = _json({"error": "a bearer token or a client certificate is needed"}, status=401)
        answer.headers["WWW-Authenticate"] = 'Bearer realm="citadel-k8s"'
        return answer

    async def _status(self, request: web.Request) -> web.Response:
        await self._asked(request)
        body = self.status_body()
        tag = f"{self._board.speaker.boot_id}-{self._revision}"
        headers = {"ETag": f'W/"{tag}"', "Cache-Control": "no-cache"}
        if any(etag.value in {tag, "*"} for etag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def _services(self, request: web.Request) -> web.Response:
        await self._asked(request)
        return _json({"services": self._part("services")})

    async def _resources(self, request: web.Request) -> web.Response:
        await self._asked(request)
        parts = ("system", "gpu", "containers")
        return _json({part: self._part(part) for part in parts})

    async def _worker(self, _request: web.Request) -> web.Response:
        # Not an empty worker: one that neither consumes nor works is read as stuck.
        return _json({"worker": None, "reason": "NoJobWorker"})

    async def _ping(self, _request: web.Request) -> web.Response:
        return _json({"status": "pong", "timestamp": format_timestamp(self._board.moment().date)})

    def _part(self, name: str) -> Any:
        return json.loads(self.status_body())["status"].get(name)

    async def _asked(self, request: web.Request) -> None:
        if request.query.get("fresh") in {"1", "true"}:
            await self._freshen()

    async def _freshen(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._fresh_until:
            return  # whoever asks without end must not keep a driver busy
        with suppress(TimeoutError):
            async with asyncio.timeout(FRESH_WAIT):
                await self._refresh()
        self._fresh_until = loop.time() + STATUS_CACHE_SECONDS
        self._cached_until = 0.0

    def status_body(self) -> bytes:
        """Give the status as JSON text; one text for everybody who asks within a second."""
        now = asyncio.get_running_loop().time()
        if now >= self._cached_until:
            self._revise()
            self._cached = encode(self._board.message(seq=self._vitals.seq or None))
            self._cached_until = now + STATUS_CACHE_SECONDS
        return self._cached

    def _revise(self) -> None:
        """Count a new revision if more than ages differs from what was rendered before."""
        board = self._board
        told = (board.speaker, board.config(), board.notices())
        # A reading makes a new snapshot; to compare two of them is dear.
        if self._snapshot is not board.snapshot or self._beside != told:
            self._snapshot, self._beside = board.snapshot, told
            self._revision += 1

    async def _health(self, request: web.Request) -> web.Response:
        speaker = self._board.speaker
        if not await self._access.allows(request):
            return _json({"status": "ok", "version": speaker.version})
        return _json(
            {
                "status": "ok",
                "version": speaker.version,
                "nodeId": speaker.node_id,
                "bootId": speaker.boot_id,
                "heartbeat": self._heartbeat(),
            }
        )

    def _heartbeat(self) -> dict[str, Any]:
        fresh = self._vitals.freshness
        if fresh is None:
            return {"state": "disabled"}
        return {
            "state": fresh.state,
            "lastSuccess": _date(fresh.last_success),
            "lastAttempt": _date(fresh.last_attempt),
            "consecutiveFailures": fresh.consecutive_failures,
            "lastError": fresh.last_error,
        }

    async def _live(self, _request: web.Request) -> web.Response:
        # Neither Redis nor a GPU comes into it: a probe must not kill the only witness.
        return _json({"live": True, "loopLagSeconds": round(self._vitals.loop_lag, 3)})

    async def _ready(self, _request: web.Request) -> web.Response:
        ready = self._board.complete.is_set()
        return _json({"ready": ready}, status=200 if ready else 503)

    async def _show_metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._metrics.render(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if request.method not in {"GET", "HEAD"}:
        answer = _json({"error": f"{request.method} is not allowed"}, status=405)
        answer.headers["Allow"] = "GET, HEAD"
        return answer
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _json({"error": error.reason}, status=error.status)


def _json(document: dict[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(
        body=json.dumps(document).encode(), status=status, content_type="application/json"
    )


def _date(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="seconds")
