"""Connections to the API proxy: whom they trust, how many there are, and how much is read."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import aiohttp

from citadel_k8s.config.wayout import way_out
from citadel_k8s.errors import ConfigError

CONNECT_TIMEOUT: Final = 5.0
"""Seconds until a connection stands; a proxy that accepts none for 5 s is down."""

BODY_MAX: Final = 2 * 1024 * 1024
"""Bytes read of one answer: a job's entry is at most 1 MiB and its JSON less than twice that."""

KEEPALIVE: Final = 45.0
"""Seconds that an idle connection is kept: a heartbeat every 30 s needs no new handshake."""

CONNECTIONS_MAX: Final = 8
"""Most connections at a time: a WebSocket, a job that is waited for, a heartbeat, and some air."""

_SWITCHING: Final = 101


class NotUpgradedError(Exception):
    """The answer to an upgrade that is none; the library keeps its body from us."""

    def __init__(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.content = content


def open_session(base: str, *, trust: ssl.SSLContext | bool) -> aiohttp.ClientSession:
    """Open a session for one address; nothing is connected yet."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            ssl=trust, limit=CONNECTIONS_MAX, keepalive_timeout=KEEPALIVE
        ),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
        auto_decompress=False,  # a small body must not become a large one
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity", "User-Agent": "citadel-k8s"},
        proxy=way_out(base),
        middlewares=(_keep_refusal,),
    )


def trusting(ca_file: Path) -> ssl.SSLContext:
    """Trust the system's authorities and those of a file; ConfigError if it cannot be read."""
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca_file)
    except OSError as error:
        raise ConfigError(f"CA file {ca_file}: {error.strerror or error}") from error
    return context


async def read_body(response: aiohttp.ClientResponse) -> bytes:
    """Read an answer to its end, or raise ValueError where it has too long a one."""
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > BODY_MAX:
            # Reading on to keep the connection would let the server decide how long.
            response.close()
            raise ValueError(f"status {response.status}: the answer is over {BODY_MAX} bytes")
    return bytes(content)


async def _keep_refusal(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    response = await handler(request)
    if "Upgrade" not in request.headers or response.status == _SWITCHING:
        return response
    try:
        content = await read_body(response)
    finally:
        response.close()
    raise NotUpgradedError(response.status, response.headers, content)
