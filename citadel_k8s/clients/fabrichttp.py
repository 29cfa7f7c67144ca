"""Questions to the API: one server, one credential, each bounded in time and bytes."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from citadel_k8s.clients.fleet import FleetError
from citadel_k8s.clients.ssestream import Event, events_of
from citadel_k8s.config.wayout import way_out
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.proxy import TEXT_MAX, is_loopback, json_object, moved, said, wait_asked
from citadel_k8s.errors import ConfigError

TIMEOUT: Final = 10.0
"""Seconds for a question: the API answers a list of 1,000 nodes in 0.1."""

LIVE_TIMEOUT: Final = 45.0
"""Seconds for a live one: the API's own limit is 30 by its settings, and 12 more for the rest."""

CONNECT_TIMEOUT: Final = 5.0
"""Seconds until a connection stands."""

SILENCE: Final = 40.0
"""Seconds without a byte after which a stream is given up: the server sends one each 15."""

BODY_MAX: Final = 32 * 1024 * 1024
"""Bytes of an answer, unpacked: 5,000 rows, the most of one page, have 10 MB at their longest."""

_OK: Final = 200
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_TOO_MANY: Final = 429
_REDIRECTS: Final = range(300, 400)
_SESSION_PREFIX: Final = "cs_"


def no_number(_text: str) -> None:
    """Take NaN and infinity, which are no JSON, for what is not known."""


class ApiHttp:
    """Connections to one API; made at the first question.

    Parameters
    ----------
    base : str
        As `api_base` gives it.
    credential : str or None
        A device token, a service account's token, or a session's secret (``cs_…``).
    timeout : float
        Seconds for a question.
    """

    def __init__(self, base: str, credential: str | None, *, timeout: float = TIMEOUT) -> None:
        self.base = base
        self.where = f"the API at {clip(base)}"
        self._headers = _headers(base, credential)
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def get(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
    ) -> tuple[Any, Mapping[str, str]]:
        """Give the JSON of an answer, and its headers.

        Raises
        ------
        FleetError
            Why there is none, and what to do.
        """
        limit = timeout or self._timeout
        try:
            async with asyncio.timeout(limit), await self._ask(path, query, limit) as answer:
                body = await self._body(answer)
                if answer.status != _OK:
                    raise self._refusal(answer, body)
                return _document(self.where, body), answer.headers
        except TimeoutError as error:
            raise self._silent(limit) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._unreachable(error) from error

    async def stream(
        self, path: str, query: Mapping[str, str], last: str | None
    ) -> AsyncGenerator[Event]:
        """Give the events of a stream until it ends; close it (`contextlib.aclosing`).

        Raises
        ------
        FleetError
            It was refused, broke off, or was silent for `SILENCE`.
        """
        more = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._ask(path, query, None, more)
            async with answer:
                if answer.status != _OK:
                    async with asyncio.timeout(self._timeout):
                        raise self._refusal(answer, await self._body(answer))
                if answer.content_type != "text/event-stream":
                    raise FleetError(f"{self.where} answers with no stream: a proxy in between?")
                async for event in events_of(answer.content, silence=SILENCE):
                    yield event
        except TimeoutError as error:
            raise self._silent(SILENCE) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._unreachable(error) from error

    async def change(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> Mapping[str, str]:
        """Ask for a change; give the cookies that come back, by their names."""
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._open().request(
                    method,
                    self.base + path,
                    json=body,
                    headers=self._headers | {"X-Citadel-CSRF": "1"},
                    allow_redirects=False,
                ) as answer,
            ):
                content = await self._body(answer)
                if answer.status not in range(_OK, 300):
                    raise self._refusal(answer, content)
                return {name: morsel.value for name, morsel in answer.cookies.items()}
        except TimeoutError as error:
            raise self._silent(self._timeout) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._unreachable(error) from error

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(
        self,
        path: str,
        query: Mapping[str, str] | None,
        limit: float | None,
        more: Mapping[str, str] | None = None,
    ) -> aiohttp.ClientResponse:
        return await self._open().get(
            self.base + path,
            params=query,
            headers={**self._headers, **(more or {})},
            allow_redirects=False,  # they would carry the credential elsewhere
            timeout=aiohttp.ClientTimeout(total=limit, sock_connect=CONNECT_TIMEOUT),
        )

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                proxy=way_out(self.base),
                trust_env=False,  # it would read ~/.netrc
                read_bufsize=256 * 1024,
            )
        return self._session

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > BODY_MAX:
                answer.close()
                raise FleetError(f"{self.where} answers with more than {BODY_MAX >> 20} MiB")
        return bytes(body)

    def _silent(self, limit: float) -> FleetError:
        return FleetError(f"{self.where}: no answer within {limit:g} s")

    def _unreachable(self, error: Exception) -> FleetError:
        return FleetError(f"{self.where}: {_cause(error)}")

    def _refusal(self, answer: aiohttp.ClientResponse, body: bytes) -> FleetError:
        status, document = answer.status, json_object(body)
        if status in _REDIRECTS:
            to = moved(answer.headers.get("Location", ""))
            return FleetError(f"{self.where} redirects to {to}; name that", status=status)
        if document is None or "error" not in document:
            text = f"{self.where}: {status}: no answer of a citadel-k8s API: {said(None, body)}"
            return FleetError(clip(text, TEXT_MAX), status=status)
        words = said(document, body)
        wait = wait_asked(document, answer.headers.get("Retry-After", ""), 0.0)
        hint = _HINTS.get(status, "")
        if status == _TOO_MANY and wait is not None:
            hint = f"; ask again in {wait:.0f} s"
        return FleetError(f"{self.where}: {status}: {words}{hint}", status=status, retry_after=wait)


_HINTS: Final = {
    _UNAUTHORIZED: (
        "; give a credential that holds: --token-file or CITADEL_API_TOKEN, "
        "or sign in with `kubectl fabric login LINK`"
    ),
    _FORBIDDEN: (
        "; devices may list nodes and models and watch, all else is for people: "
        "sign in with `kubectl fabric login LINK`"
    ),
}


def api_base(text: str, *, insecure: bool = False) -> str:
    """Give the API's address without a slash at its end.

    Raises
    ------
    ConfigError
        If it is none, or would carry a credential in clear to another host.
    """
    try:
        parts = urlsplit(text.strip())
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
        parts = urlsplit("")
    if not good or "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError("the API's address (--api, CITADEL_API_URL) must be https://host[:port]")
    if parts.scheme == "http" and not insecure and not is_loopback(parts.hostname or ""):
        raise ConfigError(
            f"http://{clip(parts.netloc)} would carry the credential in clear; use https://, "
            "or allow it on purpose (--insecure)"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _headers(base: str, credential: str | None) -> dict[str, str]:
    headers = {"User-Agent": "citadel-k8s"}
    if not credential:
        return headers
    if not credential.isascii() or not credential.isprintable() or " " in credential:
        raise ConfigError("the credential is none: a token has neither spaces nor line breaks")
    if not credential.startswith(_SESSION_PREFIX):
        return headers | {"Authorization": f"Bearer {credential}"}
    # Which of the two names counts is the server's setting: secure ones are those of TLS.
    names = ("__Host-citadel_session", "citadel_session")
    sent = names if base.startswith("https:") else names[1:]
    return headers | {"Cookie": "; ".join(f"{name}={credential}" for name in sent)}


def _document(where: str, body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        text = f"{where} answers with what is no JSON: is this a citadel-k8s API?"
        raise FleetError(text, status=_OK) from error


def _cause(error: Exception) -> str:
    """Give what went wrong with a connection, and what to do about it."""
    inner = getattr(error, "certificate_error", None)
    if isinstance(inner, Exception) or isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
        why = clip(str(getattr(inner, "verify_message", "") or inner or error), TEXT_MAX)
        return f"TLS: {why}; name the authority's file in SSL_CERT_FILE, or another address"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known: is the address right (--api, CITADEL_API_URL)?"
    detail = getattr(getattr(error, "os_error", error), "strerror", None)
    why = detail or str(error) or type(error).__name__
    return clip(f"{why}; is it up, and the address right?", TEXT_MAX)
