"""What the agent serves: its status, its health and its metrics. Everything is read-only."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from citadel_k8s.agent.board import Board
from citadel_k8s.agent.vitals import Vitals
from citadel_k8s.models.codec import encode
from citadel_k8s.telemetry.agent_metrics import AgentMetrics

STATUS_CACHE_SECONDS: Final = 1.0
"""How long one rendered status is given to everybody, in seconds; also how long a fresh one stays
fresh."""

FRESH_WAIT: Final = 3.0
"""Seconds that ``?fresh=1`` waits for the sources; then it tells what is known. Whoever asks for
the live state of a node gives it three seconds."""

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
    """

    def __init__(
        self,
        board: Board,
        vitals: Vitals,
        metrics: AgentMetrics,
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        self._board = board
        self._vitals = vitals
        self._metrics = metrics
        self._refresh = refresh
        self._cached: bytes = b""
        self._cached_until = 0.0
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
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        address: Any = self._runner.addresses[0]
        return int(address[1])

    async def close(self) -> None:
        """Stop listening and end open requests."""
        await self._runner.cleanup()

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[_errors_as_json], client_max_size=1024)
        app.router.add_get("/status", self._status)
        app.router.add_get("/health", self._health)
        app.router.add_get("/health/live", self._live)
        app.router.add_get("/health/ready", self._ready)
        app.router.add_get("/metrics", self._show_metrics)
        return app

    async def _status(self, request: web.Request) -> web.Response:
        if request.query.get("fresh") in {"1", "true"}:
            await self._freshen()
        return web.Response(body=self._status_body(), content_type="application/json")

    async def _freshen(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._fresh_until:
            return  # whoever asks without end must not keep a driver busy
        with suppress(TimeoutError):
            async with asyncio.timeout(FRESH_WAIT):
                await self._refresh()
        self._fresh_until = loop.time() + STATUS_CACHE_SECONDS
        self._cached_until = 0.0

    def _status_body(self) -> bytes:
        now = asyncio.get_running_loop().time()
        if now >= self._cached_until:
            self._cached = encode(self._board.message(seq=self._vitals.seq or None))
            self._cached_until = now + STATUS_CACHE_SECONDS
        return self._cached

    async def _health(self, _request: web.Request) -> web.Response:
        speaker = self._board.speaker
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
