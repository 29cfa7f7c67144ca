"""One question to an HTTP server that may answer anything, too much, or never."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar, cast

import aiohttp
from yarl import URL

from citadel_k8s.collectors.lines import clean

T = TypeVar("T")

Seen: TypeAlias = tuple[int, Callable[[Any], Any], Any]
"""An answer's hash, what read it, and what that made of it."""

BODY_MAX: Final = 4 * 1024 * 1024
"""Bytes read of one answer. Source: the wire contract; vLLM's metrics are 60 kB."""

SMALL_BODY: Final = 128 * 1024
"""Bytes of an answer that anybody may send at any time: twice what vLLM's metrics take."""

LARGE_BODIES: Final = 4
"""Answers over `SMALL_BODY` that are read at the same time, so that a node full of engines that
answer too much costs 16 MiB and not a quarter of a gibibyte."""


class ProbeError(Exception):
    """One question was not answered as it should be; ``reason`` is a CamelCase word.

    ``status`` is that of the HTTP answer, ``server`` what it says of itself, where there was one.
    """

    def __init__(
        self, reason: str, message: str, *, status: int | None = None, server: str = ""
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status
        self.server = server

    def bare(self) -> "ProbeError":
        """Give the error without what led to it: a traceback holds the answer that was read."""
        self.__traceback__ = self.__cause__ = self.__context__ = None
        return self


class Getter:
    """Asks one endpoint for paths, within the limits.

    Parameters
    ----------
    session : ClientSession
        The connections; without a timeout of its own.
    url : URL
        What the paths are appended to.
    until : float
        The loop's time at which every question ends, answered or not.
    gate : Semaphore
        Lets through `LARGE_BODIES` at a time, of all endpoints.
    key : str or None
        Sent to this endpoint as a bearer token, and never told.
    seen : dict or None
        Where the last answers' marks are kept from one collection to the next, by path.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: URL,
        *,
        until: float,
        gate: asyncio.Semaphore,
        key: str | None = None,
        seen: dict[str, Seen] | None = None,
    ) -> None:
        self.url = url
        self.until = until
        self._session = session
        self._gate = gate
        self._seen = {} if seen is None else seen
        self._headers = None if key is None else {"Authorization": f"Bearer {key}"}

    async def __call__(self, path: str, *, post: Mapping[str, Any] | None = None) -> bytes:
        """Give the body of an answer 200 to a GET, or to a POST of a document.

        Raises
        ------
        ProbeError
            If there is no such answer in time.
        """
        url = self.url / path if path else self.url
        method = "GET" if post is None else "POST"
        try:
            async with (
                asyncio.timeout_at(self.until),
                self._session.request(
                    method, url, json=post, headers=self._headers, allow_redirects=False
                ) as response,
            ):
                _check_status(response, method)
                return await self._body(response)
        except TimeoutError as error:
            raise ProbeError("Timeout", f"{method} {url.path} is not answered in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _refusal(error) from error

    async def read(
        self, path: str, parse: Callable[[Any], T], *, post: Mapping[str, Any] | None = None
    ) -> T:
        """Give what ``parse`` makes of the JSON of an answer 200.

        An answer that is the same as the last one is not taken apart again.

        Raises
        ------
        ProbeError
            If there is no such answer, or ``parse`` finds that it is not one.
        """
        body = await self(path, post=post)
        seen = self._seen.get(path)
        if seen is not None and seen[:2] == (hash(body), parse):
            return cast("T", seen[2])
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ProbeError("Malformed", f"/{path} is not JSON: {clean(str(error))}") from error
        parsed = parse(document)
        self._seen[path] = (hash(body), parse, parsed)
        return parsed

    def beside(self, offset: int) -> "Getter":
        """Give one that asks another port of the same host, and does not show the key there."""
        url = self.url.with_port((self.url.port or 0) + offset)
        return Getter(self._session, url, until=self.until, gate=self._gate)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise ProbeError("BadAnswer", "the answer is compressed, which was not asked for")
        chunks: list[bytes] = []
        if await _read_to(response, chunks, SMALL_BODY):
            return b"".join(chunks)
        async with self._gate:
            if await _read_to(response, chunks, BODY_MAX):
                return b"".join(chunks)
        # Reading on to keep the connection would let the engine decide how long.
        response.close()
        raise ProbeError("Oversized", f"{response.url.path} is over {BODY_MAX} bytes")


async def tried(question: Callable[[], Awaitable[T]]) -> T | ProbeError:
    """Give the answer or the ProbeError, so that one question does not cancel the other."""
    try:
        return await question()
    except ProbeError as error:
        return error.bare()


async def _read_to(response: aiohttp.ClientResponse, chunks: list[bytes], limit: int) -> bool:
    """Read until the end or until there is more than the limit; whether that was the end."""
    size = sum(map(len, chunks))
    while size <= limit:
        chunk = await response.content.readany()
        if not chunk:
            return True
        chunks.append(chunk)
        size += len(chunk)
    return False


def _refusal(error: Exception) -> ProbeError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return ProbeError("ConnectFailed", clean(str(error.certificate_error)))
    if isinstance(error, aiohttp.ClientConnectorError):
        refused = isinstance(error.os_error, ConnectionRefusedError)
        reason = "ConnectionRefused" if refused else "ConnectFailed"
        return ProbeError(reason, clean(str(error.os_error)))
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError):
        return ProbeError("ConnectionReset", "the connection was closed before the answer")
    return ProbeError("BadAnswer", clean(f"{type(error).__name__}: {error}"))


def _check_status(response: aiohttp.ClientResponse, method: str) -> None:
    status = response.status
    if status == 200:  # noqa: PLR2004
        return
    if status in {401, 403}:
        reason = "Unauthorized"
    elif status == 503:  # noqa: PLR2004
        reason = "Starting"
    elif 300 <= status < 400:  # noqa: PLR2004
        reason = "Redirected"
    else:
        reason = "BadStatus"
    raise ProbeError(
        reason,
        f"{method} {response.url.path} gives {status}",
        status=status,
        server=response.headers.get("Server", ""),
    )
