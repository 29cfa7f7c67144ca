"""Listens for an application: guarded connections, TLS, an end within seconds."""

import asyncio
import ssl
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from typing_extensions import override

from citadel_k8s.api.frame.guard import Gate, GuardedConnection
from citadel_k8s.errors import ConfigError
from citadel_k8s.telemetry.log import get_logger

_log = get_logger("api")

SHUTDOWN_TIMEOUT: Final = 1.5
"""Seconds that answers under way get when the server ends, and as many again to be cancelled:
under the 5 s in which it is to be gone."""

BACKLOG: Final = 1024
"""Connections that wait to be accepted: a fleet that comes back at once is not turned away."""

HANDSHAKE_SECONDS: Final = 10.0
"""Seconds for a TLS handshake."""

HEADERS_MAX: Final = 64
"""Header lines of a request, each of 8 kB at most."""

LINGER_SECONDS: Final = 2.0
"""Seconds that a body which nobody wants is read on, so that its sender reads why."""


class _GuardedSite(web.BaseSite):
    """A listening socket whose connections pass a gate."""

    def __init__(
        self,
        runner: web.AppRunner,
        gate: Gate,
        host: str,
        port: int,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        super().__init__(runner, ssl_context=ssl_context, backlog=BACKLOG)
        self._gate = gate
        self._host = host
        self._port = port

    @property
    @override
    def name(self) -> str:
        return f"{'https' if self._ssl_context else 'http'}://{self._host}:{self._port}"

    @override
    async def start(self) -> None:
        await super().start()
        loop = asyncio.get_running_loop()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner is not set up")
        manager: web.Server = server

        def connection() -> GuardedConnection:
            return GuardedConnection(
                manager,
                self._gate,
                loop,
                max_headers=HEADERS_MAX,
                lingering_time=LINGER_SECONDS,
                auto_decompress=False,
            )

        options: dict[str, Any] = {}
        if self._ssl_context is not None:
            options = {"ssl": self._ssl_context, "ssl_handshake_timeout": HANDSHAKE_SECONDS}
        self._server = await loop.create_server(
            connection, self._host, self._port, backlog=self._backlog, **options
        )


class ApiServer:
    """Serves an application on one port.

    Parameters
    ----------
    application : web.Application
        As `Frame.application` gives it.
    gate : Gate
        Which connections are let in, and how long they may dawdle.
    host, port : str, int
        Where to listen; 0 is any free port.
    tls : ssl.SSLContext or None
        None speaks plain HTTP.
    """

    def __init__(
        self,
        application: web.Application,
        gate: Gate,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT
        )
        self._gate = gate
        self._host = host
        self._port = port
        self._tls = tls

    @property
    def port(self) -> int:
        """The port that it listens on, once started."""
        return int(self._runner.addresses[0][1])

    async def start(self) -> None:
        """Listen.

        Raises
        ------
        ConfigError
            If the port is taken or the address not this machine's.
        """
        await self._runner.setup()
        try:
            await _GuardedSite(self._runner, self._gate, self._host, self._port, self._tls).start()
        except OSError as error:
            await self._runner.cleanup()
            where = f"{self._host}:{self._port}"
            raise ConfigError(f"cannot listen on {where}: {error.strerror}") from error
        _log.info("serving", addresses=[list(a[:2]) for a in self._runner.addresses])

    async def run(self) -> None:
        """Cut off who dawdles, for ever."""
        await self._gate.run()

    async def stop(self) -> None:
        """Stop listening, tell streams to end, let answers under way be finished."""
        await self._runner.cleanup()


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Give the context for a certificate and its key; None if neither is set.

    Raises
    ------
    ConfigError
        If only one is set, or they cannot be read or do not belong together.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ConfigError("settings: tlsCertFile and tlsKeyFile are needed together")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"settings: tlsCertFile {certificate}: {error.strerror or error}"
        ) from error
    return context
