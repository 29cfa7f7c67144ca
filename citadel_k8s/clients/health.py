"""One question to a node's own server: whether the node lives that nobody hears of.

What answers may be anything: another node that got the address, a login page, a server that sends
without end. Each question has three seconds and 64 KiB, follows nothing, and shows no credentials.
"""

import errno
from typing import Any, Final, cast

import aiohttp
import pydantic_core
from yarl import URL

from citadel_k8s.constants import NODE_ID_MAX
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.witness import Answer, Outcome

ASK_TIMEOUT: Final = 3.0
"""Seconds for a whole question, as decided for every live look at a node."""

CONNECT_HURRIED: Final = 1.5
"""Seconds for connecting while others wait: a SYN and its repetition after one second."""

BODY_MAX: Final = 64 * 1024
"""Bytes read of an answer; the agent's has 300."""

_CHUNK: Final = 8 * 1024
"""Bytes read at once."""

_OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""Errors that speak of this host and not of the node."""

_OK: Final = 200


class HealthClient:
    """Asks ``GET /health``. Nothing is tried twice in here.

    Parameters
    ----------
    at_once : int
        Connections at the same time that its user keeps to. Twice that is the limit in here, where
        a question would wait for its turn with its time running.
    timeout : float
        Seconds for a question.
    """

    def __init__(self, at_once: int, *, timeout: float = ASK_TIMEOUT) -> None:
        self._at_once = at_once
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, address: str, port: int, *, hurried: bool = False) -> Answer:
        """Ask one address; never raises but for its cancellation.

        Parameters
        ----------
        address : str
            An IP address; names are not looked up.
        hurried : bool
            Whether others wait for their turn.
        """
        where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        connect = min(self._timeout, CONNECT_HURRIED) if hurried else self._timeout
        limits = aiohttp.ClientTimeout(total=self._timeout, sock_connect=connect)
        url = URL.build(scheme="http", host=address, port=port, path="/health")
        try:
            async with self._open().get(url, allow_redirects=False, timeout=limits) as answer:
                return _read(where, answer.status, await _body(answer))
        except aiohttp.ClientConnectorError as error:
            return no_connection(where, error.os_error)
        except TimeoutError:
            return Answer(Outcome.TIMED_OUT, f"{where} gives no answer")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(Outcome.GARBLED, f"{where} speaks no HTTP: {type(error).__name__}")

    async def close(self) -> None:
        """Let go of the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=2 * self._at_once, force_close=True, use_dns_cache=False
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "citadel-k8s", "Accept": "application/json"},
                # Unpacking a few kilobytes may give gigabytes.
                auto_decompress=False,
                skip_auto_headers=("Accept-Encoding",),
                trust_env=False,
            )
        return self._session


async def _body(answer: aiohttp.ClientResponse) -> bytes | None:
    """Read a body; None if it is longer than any that is meant."""
    body = bytearray()
    while chunk := await answer.content.read(_CHUNK):
        body += chunk
        if len(body) > BODY_MAX:
            return None
    return bytes(body)


def _read(where: str, status: int, body: bytes | None) -> Answer:
    if body is None:
        return Answer(Outcome.UNPROVED, f"{where} answers {status} with more than {BODY_MAX} bytes")
    said = _object(body) if status == _OK else {}
    node_id, boot_id = said.get("nodeId"), said.get("bootId")
    detail = f"{where} answers {status}"
    heartbeat: Any = said.get("heartbeat")
    error: Any = (
        cast("dict[str, Any]", heartbeat).get("lastError") if _is_object(heartbeat) else None
    )
    if isinstance(error, str) and error:
        detail += f", cannot publish: {clip(error)}"
    return Answer(
        Outcome.UNPROVED,
        detail,
        node_id[: NODE_ID_MAX + 1] if isinstance(node_id, str) else None,
        boot_id[: NODE_ID_MAX + 1] if isinstance(boot_id, str) else None,
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        document: Any = pydantic_core.from_json(body)
    except ValueError:
        return {}
    return cast("dict[str, Any]", document) if _is_object(document) else {}


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def no_connection(where: str, error: OSError) -> Answer:
    """Say what it means that there was no connection: the node's doing, the network's or ours."""
    if error.errno == errno.ECONNREFUSED:
        return Answer(Outcome.REFUSED, f"{where} refuses connections")
    if error.errno in _OURS:
        return Answer(Outcome.VOID, f"{where} could not be asked: {error.strerror}")
    if error.errno == errno.ETIMEDOUT:
        return Answer(Outcome.TIMED_OUT, f"{where} gives no answer")
    if error.errno == errno.ECONNRESET:
        return Answer(Outcome.GARBLED, f"{where} resets connections")
    return Answer(Outcome.NO_ROUTE, f"there is no way to {where}")
