"""One bounded POST to an address that somebody else runs, and what its answer means.

Nothing is tried twice in here, no redirect is followed, and of an address only the host is ever
told: what comes behind it may be a secret.
"""

import asyncio
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import CitadelError

TIMEOUT: Final = 10.0
"""Seconds for a whole request: Slack answers in 0.3, and a proxy that gives up does so in 10."""

CONNECT_TIMEOUT: Final = 5.0
"""Seconds until a connection stands."""

ANSWER_MAX: Final = 4096
"""Bytes read of an answer: whoever is told of an alert has little to say."""

QUOTE_MAX: Final = 200
"""Characters quoted of an answer."""

SECRET_MIN: Final = 6
"""Characters of a part of a path that may be a secret: ``api`` and ``hooks`` are none."""

RETRY_AFTER_MAX: Final = 300.0
"""Longest wait that a receiver may ask for, in seconds: Slack asks for 1 to 60."""

_OK: Final = range(200, 300)
_ERRORS: Final = range(400, 500)
_AGAIN: Final = frozenset({408, 425, 429})
_REDIRECTS: Final = range(300, 400)


class DeliveryError(CitadelError):
    """A receiver did not take what it was sent.

    Parameters
    ----------
    message : str
        Whom and why; no part of the address but the host.
    final : bool
        Whether to send the same again is in vain.
    retry_after : float or None
        Seconds that it asked to wait.
    """

    def __init__(
        self, message: str, *, final: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.final = final
        self.retry_after = retry_after


class Poster:
    """Connections to receivers; made at the first request.

    Parameters
    ----------
    timeout : float
        Seconds for a whole request.
    """

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send JSON.

        Raises
        ------
        DeliveryError
            It was not taken.
        """
        where = masked(url)
        limit = aiohttp.ClientTimeout(total=self._timeout, sock_connect=CONNECT_TIMEOUT)
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._open().post(
                    url,
                    data=body,
                    headers={"Content-Type": "application/json", **(headers or {})},
                    allow_redirects=False,
                    timeout=limit,
                    proxy=_way_out(url),
                ) as answer,
            ):
                said = await _head(answer)
        except TimeoutError as error:
            raise DeliveryError(f"{where}: no answer within {self._timeout:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Its own text may quote the address.
            raise DeliveryError(f"{where}: {_cause(error)}") from error
        if answer.status not in _OK:
            raise _refusal(url, answer, said)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=2, keepalive_timeout=60),
                auto_decompress=False,  # a small answer must not become a large one
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity", "User-Agent": "citadel-k8s"},
                trust_env=False,  # it would read ~/.netrc
            )
        return self._session


def masked(url: str) -> str:
    """Give an address fit to be told: scheme and host, and neither user, path nor query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
        return clip(f"{parts.scheme}://{parts.hostname or '?'}{port}")
    except ValueError:
        return "an address that cannot be understood"


async def _head(answer: aiohttp.ClientResponse) -> bytes:
    head = bytearray()
    async for chunk in answer.content.iter_chunked(ANSWER_MAX):
        head += chunk
        if len(head) > ANSWER_MAX:
            answer.close()  # reading on to keep the connection would let it decide how long
            break
    return bytes(head[:ANSWER_MAX])


def _refusal(url: str, answer: aiohttp.ClientResponse, said: bytes) -> DeliveryError:
    status, where = answer.status, masked(url)
    if status in _REDIRECTS:
        return DeliveryError(f"{where}: {status}: redirects are not followed", final=True)
    quoted = clip(" ".join(_hidden(said.decode(errors="replace"), url).split()), QUOTE_MAX)
    asked = answer.headers.get("Retry-After", "").strip()
    wait = min(float(asked), RETRY_AFTER_MAX) if asked.isascii() and asked.isdigit() else None
    final = status in _ERRORS and status not in _AGAIN
    return DeliveryError(f"{where}: {status}: {quoted}", final=final, retry_after=wait)


def _hidden(text: str, url: str) -> str:
    """Take an address's own words out of an answer: many a server quotes what it was asked."""
    parts = urlsplit(url)
    path = [part for part in parts.path.split("/") if len(part) >= SECRET_MIN]
    query = [word for part in parts.query.split("&") for word in part.partition("=")[::2]]
    words = {*path, *query, parts.query, parts.username, parts.password}
    for word in sorted(filter(None, words), key=len, reverse=True):
        text = text.replace(unquote(word), "***").replace(word, "***")
    return text


def _cause(error: Exception) -> str:
    kind = type(error).__name__
    inner = getattr(error, "os_error", error)
    detail = getattr(inner, "strerror", None) or getattr(error, "certificate_error", None)
    return clip(f"{kind}: {detail}" if detail else kind, QUOTE_MAX)


def _way_out(url: str) -> str | None:
    """Give the HTTP proxy of this machine's environment for an address, if there is one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in {"localhost", "127.0.0.1", "::1"} or proxy_bypass(parts.netloc):
        return None
    return getproxies().get(parts.scheme)
