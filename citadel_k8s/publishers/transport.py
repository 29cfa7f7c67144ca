"""Requests to the API proxy: a deadline and a token in, a JSON object or an error out.

Nothing is tried twice in here. A path that answered 429 is not asked again before its time, by
whomever: the quota is that of a day, and a device that spends it is silent until tomorrow.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.aio.patience import Patience
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.proxy import (
    TEXT_MAX,
    json_object,
    moved,
    proxy_base,
    said,
    wait_asked,
)
from citadel_k8s.errors import ConfigError, PublishError
from citadel_k8s.publishers.session import NotUpgradedError, open_session, read_body, trusting
from citadel_k8s.publishers.token import FileToken, Token

REQUEST_TIMEOUT: Final = 10.0
"""Seconds for a whole request that names no other limit: the proxy answers within 5."""

TOKEN_SECONDS: Final = 1.0
"""Seconds that a request waits for the token's file; half of what a last word may take."""

HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds for a WebSocket's upgrade. Source: the wire contract."""

CLOSE_TIMEOUT: Final = 0.5
"""Seconds that the peer's answer to a close is waited for. The contract allows 2; an agent that
is told to end has 5 for everything, its last word included."""

FRAME_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of a WebSocket frame beyond which the connection ends; smaller ones can be passed over."""

_OK: Final = 200
_REDIRECTS: Final = 300
_ERRORS: Final = 400
_TOO_MANY: Final = 429


class ProxyError(PublishError):
    """The proxy refused, answered nonsense, or did not answer (``status`` is 0 then)."""

    def __init__(self, message: str, *, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.status = status


class Transport:
    """One proxy, one device.

    Parameters
    ----------
    base_url : str
        Where the proxy is, ``https://host[:port][/path]``.
    token : callable
        Gives the device's token; asked before each request.
    clock : Clock or None
        What the dates in a refusal are compared with.
    insecure : bool
        Allow ``http://`` to other hosts than this one.
    ca_file : Path or None
        Certificates (PEM) to trust besides those of the system.

    Raises
    ------
    ConfigError
        If the address is none, or the certificates cannot be read.
    """

    def __init__(
        self,
        base_url: str,
        token: Token,
        *,
        clock: Clock | None = None,
        insecure: bool = False,
        ca_file: Path | None = None,
    ) -> None:
        self._base = proxy_base(base_url, insecure=insecure)
        # True is the library's own context, which it makes once for all.
        self._trust: ssl.SSLContext | bool = True if ca_file is None else trusting(ca_file)
        self._token = token
        self._file = Patience(token, TOKEN_SECONDS) if isinstance(token, FileToken) else None
        self._clock = clock or SystemClock()
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        # By what was asked; paths are few and fixed.
        self._not_before: dict[str, float] = {}

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout: float = REQUEST_TIMEOUT,
        early: bool = False,
        only_status: int | None = None,
    ) -> dict[str, Any]:
        """Ask the proxy and give its JSON object back; an empty body is an empty object.

        Parameters
        ----------
        timeout : float
            Seconds for the whole of it.
        early : bool
            Ask even while a 429 wants to be waited out: for a last word.
        only_status : int or None
            The one status that is a success, whatever the body; any 2xx if None.

        Raises
        ------
        ProxyError
            With method, path, status and what the proxy said; never with the token.
        """
        asked = f"{method} {path}"
        token = await self._permit(asked, early=early)
        why = f"no answer within {timeout:g} s"
        try:
            async with (
                asyncio.timeout(timeout),
                self._open().request(
                    method,
                    self._base + path,
                    data=None if body is None else json.dumps(body, separators=(",", ":")),
                    headers=_headers(token, with_body=body is not None),
                    allow_redirects=False,
                ) as response,
            ):
                status, headers = response.status, response.headers
                content = await read_body(response)
        except TimeoutError:
            pass
        except (aiohttp.ClientError, OSError, ValueError) as error:
            why = _text(error)
        else:
            content = content.replace(token.encode(), b"[token]")
            return self._judge(asked, status, headers, content, only_status)
        # Outside of the handlers: what the library raises can hold the headers that were sent.
        raise ProxyError(f"{asked}: {why}")

    async def upgrade(self, path: str) -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket that answers no pings by itself, or raise `ProxyError`."""
        asked = f"GET {path}"
        token = await self._permit(asked)
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT):
                return await self._open().ws_connect(
                    self._base + path,
                    headers=_headers(token, with_body=False),
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT),  # pyright: ignore[reportCallIssue]
                    autoping=False,
                    max_msg_size=FRAME_LIMIT,
                )
        except TimeoutError:
            why = f"no answer within {HANDSHAKE_TIMEOUT:g} s"
        except NotUpgradedError as refusal:
            content = refusal.content.replace(token.encode(), b"[token]")
            raise self._refusal(asked, refusal.status, refusal.headers, content) from None
        except aiohttp.WSServerHandshakeError as error:
            why = f"status {error.status}: {error.message}"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            why = _text(error)
        raise ProxyError(f"{asked}: {why}")

    async def close(self) -> None:
        """Let go of the connections; what is asked afterwards is refused."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _permit(self, asked: str, *, early: bool = False) -> str:
        """Give the token to ask with, or raise `ProxyError` if now is not the time."""
        if self._closed:
            raise ProxyError(f"{asked}: the connection was closed")
        rest = self._not_before.get(asked, 0.0) - asyncio.get_running_loop().time()
        if rest > 0 and not early:
            raise ProxyError(
                f"{asked}: not asked for another {rest:.0f} s, as the proxy wants it",
                status=_TOO_MANY,
                retry_after=rest,
            )
        try:
            return self._token() if self._file is None else await self._file.read()
        except (ConfigError, RuntimeError) as error:
            raise ProxyError(f"{asked}: {error}") from error
        except TimeoutError as error:
            raise ProxyError(f"{asked}: the token file: {error}") from error

    def _judge(
        self,
        asked: str,
        status: int,
        headers: Mapping[str, str],
        content: bytes,
        only_status: int | None,
    ) -> dict[str, Any]:
        if only_status is not None:
            if status == only_status:
                return {}
        elif _OK <= status < _REDIRECTS:
            document = json_object(content) if content.strip() else {}
            if document is None:
                text = said(None, content)
                raise ProxyError(
                    f"{asked}: status {status}: the answer is no JSON object: {text}",
                    status=status,
                )
            return document
        raise self._refusal(asked, status, headers, content)

    def _refusal(
        self, asked: str, status: int, headers: Mapping[str, str], content: bytes
    ) -> ProxyError:
        if _REDIRECTS <= status < _ERRORS:
            host = moved(headers.get("Location", ""))
            return ProxyError(
                f"{asked}: status {status}: it redirects to {host}; set the address that is meant",
                status=status,
            )
        document = json_object(content)
        wait = None
        if status == _TOO_MANY:
            wait = wait_asked(document, headers.get("Retry-After", ""), self._clock.now())
            if wait is not None:
                self._not_before[asked] = asyncio.get_running_loop().time() + wait
        text = said(document, content) or "no reason given"
        return ProxyError(f"{asked}: status {status}: {text}", status=status, retry_after=wait)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session(self._base, trust=self._trust)
        return self._session


def _headers(token: str, *, with_body: bool) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {token}"}
    if with_body:
        headers["Content-Type"] = "application/json"
    return headers


def _text(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return clip(f"cannot connect: {error.os_error}", TEXT_MAX)
    if type(error) is ValueError:
        return clip(str(error), TEXT_MAX)
    return clip(f"{type(error).__name__}: {error}", TEXT_MAX)
