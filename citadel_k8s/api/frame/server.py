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

RENEWAL_SECONDS: Final = 60.0
"""Seconds between two looks at the certificate's files: they are renewed weeks before they end."""

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
    tls : Certificate or None
        None speaks plain HTTP.
    """

    def __init__(
        self,
        application: web.Application,
        gate: Gate,
        host: str,
        port: int,
        tls: "Certificate | None" = None,
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
            context = self._tls.context if self._tls is not None else None
            await _GuardedSite(self._runner, self._gate, self._host, self._port, context).start()
        except OSError as error:
            await self._runner.cleanup()
            where = f"{self._host}:{self._port}"
            raise ConfigError(f"cannot listen on {where}: {error.strerror}") from error
        _log.info("serving", addresses=[list(a[:2]) for a in self._runner.addresses])

    async def run(self) -> None:
        """Cut off who dawdles, and take up renewed certificates, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._gate.run(), name="gate")
            if self._tls is not None:
                group.create_task(self._tls.run(), name="certificate")

    async def stop(self) -> None:
        """Stop listening, tell streams to end, let answers under way be finished."""
        await self._runner.cleanup()


class Certificate:
    """A certificate and its key, read anew when their files change.

    Parameters
    ----------
    certificate, key : Path
        PEM files.

    Raises
    ------
    ConfigError
        If they cannot be read or do not belong together.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            self._read = self._dates()
            self.context.load_cert_chain(certificate, key)
        except OSError as error:
            why = error.strerror or error
            raise ConfigError(f"settings: tlsCertFile {certificate}: {why}") from error

    async def run(self) -> None:
        """Look for new files for ever."""
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Take up new files for connections to come; what does not fit leaves the old in use."""
        try:
            dates = self._dates()
            if dates == self._read:
                return
            # Tried apart first: half of a new pair must not end up in use.
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(*self._files)
            self.context.load_cert_chain(*self._files)
        except OSError as error:
            _log.warning("certificate_not_renewed", error=error.strerror or str(error))
            return
        self._read = dates
        _log.info("certificate_renewed")

    def _dates(self) -> list[int]:
        return [file.stat().st_mtime_ns for file in self._files]


def certificate_of(certificate: Path | None, key: Path | None) -> Certificate | None:
    """Give the certificate that is set; None if there is none.

    Raises
    ------
    ConfigError
        If only one of the files is set, or they cannot be used.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ConfigError("settings: tlsCertFile and tlsKeyFile are needed together")
    return Certificate(certificate, key)
