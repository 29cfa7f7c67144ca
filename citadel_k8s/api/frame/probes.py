"""Whether the process lives, and whether it can be asked: for the kubelet and for load balancers.

Ready means that what was stored can be read: PostgreSQL answers and its schema is ours. Redis is
told of and not needed: without it lists and details are still right, ages and all; nodes that
write get a 503 each and try again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.frame.answers import encoded
from citadel_k8s.api.frame.failures import NO_SCHEMA
from citadel_k8s.api.frame.route import PUBLIC, Call, Route
from citadel_k8s.api.metrics import ApiMetrics
from citadel_k8s.errors import CitadelError, SchemaError
from citadel_k8s.telemetry.log import RepeatLog, get_logger

Check = Callable[[], Awaitable[None]]
"""Looks at one part; raises CitadelError with what is the matter."""

CHECK_SECONDS: Final = 2.0
"""Seconds for one check: a probe's own limit is usually 3."""

KEPT_SECONDS: Final = 1.0
"""Seconds for which a verdict is given to everybody: anybody may ask."""

_LOGGED: Final = 100
"""One in so many probes is logged: at two each 10 s that is one line in eight minutes."""


class Readiness:
    """Looks at the parts, once for all who ask at the same time.

    Parameters
    ----------
    needed : mapping
        Checks by the part's name; all must pass.
    told : mapping
        Checks whose failure is told and does no harm.
    clock : Clock
        What measures how old a verdict is.
    """

    def __init__(
        self, needed: Mapping[str, Check], told: Mapping[str, Check], clock: Clock
    ) -> None:
        self._needed = needed
        self._checks = {**told, **needed}
        self._clock = clock
        self._looking = asyncio.Lock()
        self._at: float | None = None
        self._verdict: dict[str, Any] = {}
        self._logs = {
            name: RepeatLog(get_logger("api"), f"{name}_not_ready", clock=clock)
            for name in self._checks
        }

    async def verdict(self) -> dict[str, Any]:
        """Say which parts are well. Why one is not is for the log: anybody may read this.

        The one exception is a missing schema: what to do about that is no secret.
        """
        async with self._looking:
            now = self._clock.monotonic()
            if self._at is None or now - self._at >= KEPT_SECONDS:
                async with asyncio.TaskGroup() as group:
                    tasks = {
                        name: group.create_task(_trouble(check))
                        for name, check in self._checks.items()
                    }
                self._verdict = self._judged({n: task.result() for n, task in tasks.items()})
                self._at = self._clock.monotonic()
        return self._verdict

    def _judged(self, troubles: Mapping[str, Exception | None]) -> dict[str, Any]:
        parts = {name: trouble is None for name, trouble in troubles.items()}
        verdict: dict[str, Any] = {"ok": all(parts[n] for n in self._needed), "parts": parts}
        for name, trouble in troubles.items():
            if trouble is None:
                self._logs[name].recovered()
                continue
            self._logs[name].failed(error=str(trouble) or f"no answer in {CHECK_SECONDS:g} s")
            if isinstance(trouble, SchemaError):
                verdict["hint"] = NO_SCHEMA
        return verdict


async def _trouble(check: Check) -> Exception | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except (CitadelError, TimeoutError) as error:
        return error
    return None


def routes(readiness: Readiness) -> list[Route]:
    """Give the probes' routes."""

    async def healthz(_call: Call) -> dict[str, Any]:
        return {"ok": True}  # that it is answered is the proof

    async def readyz(_call: Call) -> web.Response:
        return _verdict_response(await readiness.verdict())

    told = dict[str, Any]
    return [
        Route(
            "GET",
            "/healthz",
            healthz,
            "Whether the process lives.",
            PUBLIC,
            "probes",
            answers={200: told},
            cost=0,
            log_every=_LOGGED,
        ),
        Route(
            "GET",
            "/readyz",
            readyz,
            "Whether what was stored can be read.",
            PUBLIC,
            "probes",
            answers={200: told, 503: told},
            cost=0,
            log_every=_LOGGED,
        ),
    ]


def private_application(readiness: Readiness, metrics: ApiMetrics) -> web.Application:
    """Give what is served on the port that nobody outside reaches: metrics, and the probes."""

    async def exposition(request: web.Request) -> web.Response:
        body, content_type = metrics.render(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def healthz(_request: web.Request) -> web.Response:
        return _verdict_response({"ok": True})

    async def readyz(_request: web.Request) -> web.Response:
        return _verdict_response(await readiness.verdict())

    app = web.Application()
    app.router.add_get("/metrics", exposition)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    return app


def _verdict_response(verdict: dict[str, Any]) -> web.Response:
    return web.Response(
        body=encoded(verdict),
        status=200 if verdict["ok"] else 503,
        headers={"Content-Type": "application/json", "Cache-Control": "no-store"},
    )
