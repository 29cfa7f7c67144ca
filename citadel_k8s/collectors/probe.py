"""One question to an HTTP server that may answer anything, too much, or never."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
from yarl import URL

from citadel_k8s.collectors.lines import clean

BODY_MAX: Final = 4 * 1024 * 1024
"""Bytes read of one answer. Source: the wire contract; vLLM's metrics are 60 kB."""


class ProbeError(Exception):
    """One question was not answered as it should be; ``reason`` is a CamelCase word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Getter:
    """Asks one endpoint for paths, within the limits."""

    def __init__(self, session: aiohttp.ClientSession, url: URL) -> None:
        self._session = session
        self._url = url

    async def __call__(self, path: str) -> bytes:
        """Give the body of an answer 200, or raise `ProbeError`."""
        try:
            async with self._session.get(self._url / path, allow_redirects=False) as response:
                _check_status(response)
                return await _body(response)
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, ConnectionRefusedError)
            reason = "ConnectionRefused" if refused else "ConnectFailed"
            raise ProbeError(reason, clean(str(error.os_error))) from error
        except TimeoutError as error:
            raise ProbeError("Timeout", f"GET /{path} is not answered in time") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise ProbeError("BadAnswer", clean(f"{type(error).__name__}: {error}")) from error

    async def json(self, path: str) -> dict[str, Any]:
        """Give the JSON object of an answer 200, or raise `ProbeError`."""
        body = await self(path)
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ProbeError("Malformed", f"/{path} is not JSON: {clean(str(error))}") from error
        if not isinstance(document, dict):
            raise ProbeError("Malformed", f"/{path} is not a JSON object")
        return document  # pyright: ignore[reportUnknownVariableType]


async def tried(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Give the answer or the ProbeError, so that one question does not cancel the other."""
    try:
        return await ask()
    except ProbeError as error:
        return error


def _check_status(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status == 200:  # noqa: PLR2004
        return
    message = f"GET {response.url.path} gives {status}"
    if status in {401, 403}:
        raise ProbeError("Unauthorized", message)
    if status == 503:  # noqa: PLR2004
        raise ProbeError("Starting", message)
    if 300 <= status < 400:  # noqa: PLR2004
        raise ProbeError("Redirected", message)
    raise ProbeError("BadStatus", message)


async def _body(response: aiohttp.ClientResponse) -> bytes:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise ProbeError("BadAnswer", "the answer is compressed, which was not asked for")
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > BODY_MAX:
            # Reading on to keep the connection would let the engine decide how long.
            response.close()
            raise ProbeError("Oversized", f"{response.url.path} is over {BODY_MAX} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
