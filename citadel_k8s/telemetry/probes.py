"""A process' probes and metrics over HTTP. None says "healthy" before it is known."""

from typing import Any, Final, Protocol

from aiohttp import web

from citadel_k8s.errors import ConfigError
from citadel_k8s.telemetry.log import get_logger

SHUTDOWN_TIMEOUT: Final = 0.5
"""Seconds that an answer under way gets when the process ends; aiohttp's own is 60."""


class Probes(Protocol):
    """Says how a process is; each answer has ``ok``."""

    def live(self) -> dict[str, Any]:
        """Say whether its loop turns; its servers are not its fault."""
        ...

    def ready(self) -> dict[str, Any]:
        """Say whether it does what it is there for."""
        ...


class Rendered(Protocol):
    """Figures as text."""

    def render(self, accept: str) -> tuple[bytes, str]:
        """Give all figures, and the content type, in the format that a scraper accepts."""
        ...


def application(probes: Probes, metrics: Rendered) -> web.Application:
    """Give the web application with ``/healthz``, ``/readyz`` and ``/metrics``."""

    async def healthz(_: web.Request) -> web.Response:
        return _verdict(probes.live())

    async def readyz(_: web.Request) -> web.Response:
        return _verdict(probes.ready())

    async def exposition(request: web.Request) -> web.Response:
        body, content_type = metrics.render(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", exposition)
    return app


async def serve(
    probes: Probes, metrics: Rendered, host: str, port: int, *, logger: str
) -> web.AppRunner:
    """Serve probes and metrics until the runner's ``cleanup``.

    Raises
    ------
    ConfigError
        If the address cannot be listened on.
    """
    app = application(probes, metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    addresses = [list(address[:2]) for address in runner.addresses]
    get_logger(logger).info("serving", addresses=addresses)
    return runner


def _verdict(body: dict[str, Any]) -> web.Response:
    status = 200 if body["ok"] else 503
    return web.json_response(body, status=status)
