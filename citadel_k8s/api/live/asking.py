"""One question to one address: ``GET /status``, on a connection to that very address.

What answers may be anything. A question follows nothing, uses no proxy, keeps no cookies, and
shows the token only to who asks for one. Nothing is tried twice but for that, and for a port that
turns out to speak TLS.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override
from yarl import URL

from citadel_k8s.api.live.bodies import BODY_MAX, Content, read_body
from citadel_k8s.api.live.failure import LiveError, Step
from citadel_k8s.api.live.fence import Address

TokenSource = Callable[[], Awaitable[str | None]]
"""Gives the token for guarded agents; None if there is none."""

TLS_WAIT: Final = 0.5
"""Seconds for TLS with whoever did not say that they speak it: what speaks neither may wait for
more, and so would we."""

_OK: Final = 200
_REDIRECTS: Final = range(300, 400)
_DENIED: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is asked: an address that was checked, and the name that led to it, if any."""

    address: Address
    port: int
    name: str | None = None
    tls: bool = False

    @property
    def where(self) -> str:
        """The address as people write it."""
        host = str(self.address)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


class NodeClient:
    """Asks nodes.

    Parameters
    ----------
    at_once : int
        Connections at the same time that its user keeps to.
    tls : ssl.SSLContext or None
        What a node's certificate is checked with; the system's authorities if None.
    token : callable or None
        Gives the token.
    """

    def __init__(
        self,
        at_once: int,
        *,
        tls: ssl.SSLContext | None = None,
        token: TokenSource | None = None,
        body_max: int = BODY_MAX,
        tls_wait: float = TLS_WAIT,
    ) -> None:
        self._at_once = at_once
        self._tls = tls or ssl.create_default_context()
        self._token = token
        self._body_max = body_max
        self._tls_wait = tls_wait
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, place: Place, *, connect: float, until: float, fresh: bool) -> bytes:
        """Give the body of a node's answer.

        Parameters
        ----------
        connect : float
            Seconds for connecting.
        until : float
            Moment of the loop's clock at which the question ends.
        fresh : bool
            Whether the node is to look at its sources anew.

        Raises
        ------
        LiveError
            Whatever goes wrong.
        """
        try:
            return await self._asked(place, connect, until, fresh=fresh, secret=None)
        except _NoHttpError as error:
            if place.tls:
                raise
            secured = Place(place.address, place.port, place.name, tls=True)
            return await self._secured(
                secured, min(connect, self._tls_wait), until, error, fresh=fresh
            )
        except _DeniedError as error:
            return await self._shown(place, connect, until, error, fresh=fresh)

    async def close(self) -> None:
        """Let go of the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _secured(
        self, place: Place, connect: float, until: float, before: LiveError, *, fresh: bool
    ) -> bytes:
        """Ask by TLS whoever speaks no plain HTTP; if that is no TLS either, say the former."""
        try:
            return await self._asked(place, connect, until, fresh=fresh, secret=None)
        except _DeniedError as error:
            return await self._shown(place, connect, until, error, fresh=fresh)
        except _CertificateError:
            raise
        except LiveError as error:
            raise before from error

    async def _shown(
        self, place: Place, connect: float, until: float, denied: LiveError, *, fresh: bool
    ) -> bytes:
        """Ask once more, with the token; if there is none, say so."""
        secret = None if self._token is None else await self._token()
        if secret is None:
            raise denied
        return await self._asked(place, connect, until, fresh=fresh, secret=secret)

    async def _asked(
        self, place: Place, connect: float, until: float, *, fresh: bool, secret: str | None
    ) -> bytes:
        left = until - asyncio.get_running_loop().time()
        if left <= 0:
            raise LiveError(Step.TIMEOUT, f"{place.where} gives no answer in time")
        try:
            return await self._got(place, min(connect, left), left, fresh=fresh, secret=secret)
        except aiohttp.ClientConnectorCertificateError as error:
            raise _CertificateError(
                Step.TLS, f"the certificate of {place.where} does not fit"
            ) from error
        except aiohttp.ClientSSLError as error:
            raise LiveError(Step.TLS, f"{place.where} does not speak TLS as it should") from error
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            raise LiveError(Step.CONNECT, _no_connection(place, error)) from error
        except TimeoutError as error:
            raise LiveError(Step.TIMEOUT, f"{place.where} gives no answer in time") from error
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientResponseError) as error:
            raise _NoHttpError(Step.BODY, f"{place.where} speaks no HTTP") from error
        except aiohttp.ClientPayloadError as error:
            raise LiveError(
                Step.BODY, f"{place.where} breaks off in the middle of its answer"
            ) from error
        except ssl.SSLError as error:
            raise LiveError(Step.TLS, f"{place.where} does not speak TLS as it should") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _NoHttpError(
                Step.BODY, f"{place.where} speaks no HTTP: {type(error).__name__}"
            ) from error

    async def _got(
        self, place: Place, connect: float, left: float, *, fresh: bool, secret: str | None
    ) -> bytes:
        url = URL.build(
            scheme="https" if place.tls else "http",
            host=str(place.address),
            port=place.port,
            path="/status",
            query={"fresh": "1"} if fresh else {},
        )
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        limits = aiohttp.ClientTimeout(total=left, sock_connect=connect)
        async with self._open().get(
            url,
            allow_redirects=False,
            timeout=limits,
            headers=headers,
            ssl=self._tls if place.tls else False,
            server_hostname=place.name if place.tls else None,
        ) as answer:
            self._check(answer, place)
            encoding = answer.headers.get("Content-Encoding", "")
            content = cast("Content", answer.content)
            return await read_body(content, encoding, place.where, limit=self._body_max)

    def _check(self, answer: aiohttp.ClientResponse, place: Place) -> None:
        status = answer.status
        if status in _DENIED:
            why = f"{place.where} asks for a token, and the one of live.tokenFile does not fit"
            if self._token is None:
                why = f"{place.where} asks for a token; live.tokenFile is not set"
            raise _DeniedError(Step.AUTH, why)
        if status in _REDIRECTS:
            raise LiveError(Step.BODY, f"{place.where} leads elsewhere, which is not followed")
        if status != _OK:
            raise LiveError(Step.BODY, f"{place.where} answers {status}")
        if (answer.content_length or 0) > self._body_max:
            raise LiveError(
                Step.BODY, f"{place.where} answers with more than {self._body_max >> 20} MiB"
            )

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=2 * self._at_once,
                    force_close=True,
                    use_dns_cache=False,
                    resolver=_NoNames(),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={
                    "User-Agent": "citadel-k8s",
                    "Accept": "application/json",
                    "Accept-Encoding": "gzip",
                },
                # Unpacking a few kilobytes may give gigabytes: it is done here, bounded.
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


class _NoHttpError(LiveError):
    """Somebody is there, and speaks something else."""


class _CertificateError(LiveError):
    """Somebody is there, and shows a certificate that nobody here trusts."""


class _DeniedError(LiveError):
    """The node wants a token."""


class _NoNames(AbstractResolver):
    """Looks up nothing: whatever is dialled was checked, and is an address."""

    @override
    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        raise OSError(f"{host} is no address")

    @override
    async def close(self) -> None:
        pass


def _no_connection(place: Place, error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"{place.where} lets nobody connect in time"
    reason = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else None
    if isinstance(reason, ConnectionRefusedError):
        return f"{place.where} refuses connections"
    return f"there is no way to {place.where}"
