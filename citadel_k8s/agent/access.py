"""Who may ask this agent: everybody, bearers of a token, or holders of a certificate.

The health routes stay open whatever is set: a kubelet's probe has neither.
"""

import hmac
import os
import ssl
from pathlib import Path
from typing import Final

from aiohttp import web

from citadel_k8s.aio.patience import Patience
from citadel_k8s.aio.periodic import Ticker
from citadel_k8s.errors import ConfigError
from citadel_k8s.telemetry.log import get_logger

TOKEN_MAX: Final = 16 * 1024
"""Bytes read of a token's file: a projected service account token has about one KiB."""

TOKEN_SECONDS: Final = 2.0
"""Seconds that a request waits for the token's file: a disk that hangs must not hold up more."""

RELOAD_INTERVAL: Final = 60.0
"""Seconds between two looks at the certificate's files: they are renewed weeks ahead."""

log = get_logger("agent")


class Access:
    """Decides who may read more than the agent's health.

    Parameters
    ----------
    token_file : Path or None
        Holds the token that a request must bear; read anew for each, so that it can rotate.
    cert_file, key_file : Path or None
        The server's own certificate and key; without them it speaks plain HTTP.
    client_ca_file : Path or None
        Whoever holds a certificate of this authority may ask, too.

    Raises
    ------
    ConfigError
        If the files do not fit together or cannot be read.
    """

    def __init__(
        self,
        *,
        token_file: Path | None = None,
        cert_file: Path | None = None,
        key_file: Path | None = None,
        client_ca_file: Path | None = None,
    ) -> None:
        self._token: Patience[bytes] | None = None
        self._by_certificate = client_ca_file is not None
        self._pair = _pair(cert_file, key_file)
        if self._by_certificate and self._pair is None:
            raise ConfigError("httpClientCaFile needs httpCertFile and httpKeyFile beside it")
        if token_file is not None:
            _token(token_file)
            self._token = Patience(lambda: _token(token_file), TOKEN_SECONDS)
        self.tls = None if self._pair is None else _context(*self._pair, client_ca_file)
        self._loaded = self._dates()

    @property
    def open(self) -> bool:
        """Whether everybody may ask."""
        return self._token is None and not self._by_certificate

    async def allows(self, request: web.Request) -> bool:
        """Say whether this request bears the token or comes with a certificate."""
        if self.open:
            return True
        # The handshake has verified a certificate that is there.
        transport = request.transport if self._by_certificate else None
        if transport is not None and transport.get_extra_info("peercert"):
            return True
        return self._token is not None and await self._bears(request, self._token)

    async def keep_fresh(self) -> None:
        """Load the certificate again when its files have changed, for ever."""
        ticker = Ticker(RELOAD_INTERVAL)
        while True:
            await ticker.wait()
            self.reload()

    def reload(self) -> None:
        """Load the certificate again if its files have changed; keep the old one on errors."""
        dates = self._dates()
        if self.tls is None or self._pair is None or dates == self._loaded:
            return
        try:
            # First where it harms nobody: a pair that does not fit would be half loaded.
            _context(*self._pair, None)
            self.tls.load_cert_chain(*self._pair, password=_no_password)
        except (ConfigError, OSError, ssl.SSLError) as error:
            log.warning("certificate_not_loaded", error=str(error))
            return
        self._loaded = dates
        log.info("certificate_loaded", file=str(self._pair[0]))

    async def _bears(self, request: web.Request, file: Patience[bytes]) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if not given:
            return False
        try:
            token = await file.read()
        except (ConfigError, TimeoutError, RuntimeError):
            return False  # a token that cannot be read lets nobody in
        # A header may hold bytes that are no text.
        word = given.strip().encode(errors="surrogateescape")
        return scheme.lower() == "bearer" and hmac.compare_digest(word, token)

    def _dates(self) -> tuple[int, ...]:
        try:
            return tuple(file.stat().st_mtime_ns for file in self._pair or ())
        except OSError:
            return ()


def _pair(cert_file: Path | None, key_file: Path | None) -> tuple[Path, Path] | None:
    if cert_file is None and key_file is None:
        return None
    if cert_file is None or key_file is None:
        raise ConfigError("httpCertFile and httpKeyFile go together; one of them is not set")
    return cert_file, key_file


def _token(file: Path) -> bytes:
    try:
        # Without waiting: a named pipe in the place of the file would hold the agent up.
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as opened:
            token = (opened.read(TOKEN_MAX + 1) or b"").strip()
    except OSError as error:
        raise ConfigError(f"httpTokenFile {file}: {error.strerror}") from error
    if not token:
        raise ConfigError(f"httpTokenFile {file} is empty; without a token nobody could ask")
    if len(token) > TOKEN_MAX:
        raise ConfigError(f"httpTokenFile {file} is over {TOKEN_MAX} bytes")
    return token


def _no_password() -> str:
    # Without this OpenSSL asks whoever sits at the terminal, and waits.
    raise ConfigError("the key is encrypted; it must be readable without a password")


def _context(cert_file: Path, key_file: Path, client_ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert_file, key_file, password=_no_password)
        if client_ca_file is not None:
            context.load_verify_locations(client_ca_file)
            # Not required of probes; a certificate that is shown must be a good one.
            context.verify_mode = ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(str(f) for f in (cert_file, key_file, client_ca_file) if f is not None)
        raise ConfigError(f"the server's certificate ({files}): {error}") from error
    return context
