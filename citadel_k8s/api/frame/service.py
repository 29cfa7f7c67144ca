"""The frame as a whole: given routes and who may ask, it serves until it is told to stop."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.frame.address import Addresses
from citadel_k8s.api.frame.auditing import Auditor
from citadel_k8s.api.frame.dispatch import Authenticator, Frame
from citadel_k8s.api.frame.guard import Gate
from citadel_k8s.api.frame.journal import Journal
from citadel_k8s.api.frame.limiter import Limiter
from citadel_k8s.api.frame.openapi import description_route
from citadel_k8s.api.frame.probes import Readiness, private_application, routes
from citadel_k8s.api.frame.route import Route
from citadel_k8s.api.frame.server import SHUTDOWN_TIMEOUT, ApiServer, certificate_of
from citadel_k8s.api.metrics import ApiMetrics
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.errors import ConfigError

FAREWELL_SECONDS: Final = 2.0
"""Seconds for what is to be written at the end; with the answers' own it stays below five."""


@dataclass(frozen=True, slots=True)
class Behind:
    """What the frame itself needs of what is behind the API.

    Attributes
    ----------
    readiness
        What ``/readyz`` looks at.
    limiter
        Counts what callers ask; rooms may count in it too.
    auditor
        Takes the rows of the audit log; None keeps none.
    bad_values
        Errors of stores that are the caller's fault.
    """

    readiness: Readiness
    limiter: Limiter
    auditor: Auditor | None = None
    bad_values: tuple[type[Exception], ...] = ()


class ApiService:
    """Serves routes on the API's port, and metrics on their own.

    Parameters
    ----------
    settings : ApiSettings
        Ports, limits, quota, TLS.
    rooms : iterable of Route
        What is served besides probes and the description.
    authenticate : Authenticator
        Says who asks.
    behind : Behind
        What is behind the API.
    metrics : ApiMetrics
        Where all is counted.
    clock : Clock
        Durations and dates.
    stopping : asyncio.Event or None
        Set when the end begins, for those who hold streams open; also `Call.stopping`.

    Raises
    ------
    ConfigError
        If a setting cannot be used.
    """

    def __init__(
        self,
        settings: ApiSettings,
        rooms: Iterable[Route],
        authenticate: Authenticator,
        behind: Behind,
        *,
        metrics: ApiMetrics,
        clock: Clock,
        stopping: asyncio.Event | None = None,
    ) -> None:
        tls = certificate_of(settings.tls_cert_file, settings.tls_key_file)
        addresses = Addresses(settings.trusted_proxies)
        self._auditor = behind.auditor
        self._limiter = behind.limiter
        frame = Frame(
            authenticate,
            self._limiter,
            Journal(metrics),
            addresses,
            clock,
            stopping or asyncio.Event(),
            auditor=self._auditor,
            bad_values=behind.bad_values,
            body_seconds=settings.limits.body_seconds,
            tls=tls is not None,
        )
        listed = [*rooms, *routes(behind.readiness)]
        listed.append(description_route(listed, public_url=settings.public_url))
        self.routes: list[Route] = listed
        gate = Gate(settings.limits, addresses, metrics)
        self._server = ApiServer(
            frame.application(listed), gate, settings.listen_host, settings.listen_port, tls
        )
        self._private = _PrivateServer(
            private_application(behind.readiness, metrics),
            settings.listen_host,
            settings.metrics_port,
        )

    @property
    def port(self) -> int:
        """The port of the API, once started."""
        return self._server.port

    @property
    def metrics_port(self) -> int:
        """The port of metrics and probes, once started."""
        return self._private.port

    async def start(self) -> None:
        """Listen on both ports.

        Raises
        ------
        ConfigError
            If one is taken.
        """
        await self._private.start()
        try:
            await self._server.start()
        except ConfigError:
            await self._private.stop()
            raise

    async def run(self) -> None:
        """Cut off who dawdles, exchange counts and write the audit log, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._server.run(), name="gate")
            group.create_task(self._limiter.run(), name="quotas")
            if self._auditor is not None:
                group.create_task(self._auditor.run(), name="audit")

    async def stop(self) -> None:
        """Stop within seconds: streams are told, answers finished, counts and audit written."""
        await self._server.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS), asyncio.TaskGroup() as group:
                group.create_task(self._limiter.exchange())
                if self._auditor is not None:
                    group.create_task(self._auditor.finish())
        await self._private.stop()


class _PrivateServer:
    """Serves the few who may see metrics: no guard, for nobody outside gets here."""

    def __init__(self, application: web.Application, host: str, port: int) -> None:
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT
        )
        self._host = host
        self._port = port

    @property
    def port(self) -> int:
        address: Any = self._runner.addresses[0]
        return int(address[1])

    async def start(self) -> None:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            where = f"{self._host}:{self._port}"
            raise ConfigError(
                f"cannot listen on {where} (metricsPort): {error.strerror}"
            ) from error

    async def stop(self) -> None:
        await self._runner.cleanup()
