"""Databases and plain services: whether something that speaks the right protocol answers.

No credentials are used, and none are needed to hear that a server is there. What a deeper look
hears beyond that costs a line in some servers' logs, so it is taken only where it is asked for.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from citadel_k8s.collectors.engines.asking import Facts
from citadel_k8s.collectors.lines import clean
from citadel_k8s.collectors.probe import Getter, ProbeError

T = TypeVar("T")

ANSWER_MAX: Final = 4096
"""Bytes read of a database's answer: a greeting or an error is a few hundred."""

DATABASE_PORTS: Final[Mapping[str, int]] = MappingProxyType({"postgres": 5432, "redis": 6379})
"""Where databases listen when an address names no port."""

_SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)
"""Postgres' question for encryption: answered by one letter, before anything else, unlogged."""

_PARAMETERS: Final = b"user\0citadel\0database\0citadel\0application_name\0citadel\0\0"
_START: Final = struct.pack("!ii", 8 + len(_PARAMETERS), 196608) + _PARAMETERS
"""Postgres' start of a session, protocol 3.0: answered by a request for a password, or why not."""

_INFO: Final = b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n"
_PING: Final = b"*1\r\n$4\r\nPING\r\n"

_OK: Final = Facts("ok", proven=True)


async def http(get: Getter, *, deep: bool) -> Facts:  # noqa: ARG001
    """Look at any web server: an answer below 400, or one that asks who is there, is health."""
    try:
        await get("")
    except ProbeError as error:
        if error.status is not None and (error.status < 400 or error.status == 401):  # noqa: PLR2004
            return _OK
        if error.reason == "Oversized":  # it answers, and nobody wants to read it all
            return _OK
        return _failed(error.bare())
    return _OK


async def tcp(get: Getter, *, deep: bool) -> Facts:  # noqa: ARG001
    """Look whether something listens."""
    return await _talk(get, get.url.port, lambda _r, _w: _nothing())


async def postgres(get: Getter, *, deep: bool) -> Facts:
    """Look whether a Postgres listens; a deeper look hears whether it lets anybody in yet."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Facts:
        writer.write(_SSL_REQUEST)
        letter = await reader.readexactly(1)
        if letter not in {b"S", b"N", b"E"}:
            raise ProbeError("Malformed", "the answer is not of the Postgres protocol")
        if not deep or letter != b"N":
            return _OK
        writer.write(_START)
        return _started(await reader.read(ANSWER_MAX))

    return await _talk(get, DATABASE_PORTS["postgres"], talk)


async def redis(get: Getter, *, deep: bool) -> Facts:
    """Look whether a Redis answers; one that asks for a password does, one that loads waits."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Facts:
        writer.write(_PING)
        line = (await reader.readuntil(b"\n"))[:ANSWER_MAX]
        if line.startswith(b"-LOADING"):
            return Facts("starting", error=ProbeError("Starting", clean(line)), proven=True)
        if line.startswith((b"-MASTERDOWN", b"-MISCONF", b"-BUSY")):
            return Facts("degraded", error=ProbeError("Refused", clean(line)), proven=True)
        if not line.startswith((b"+PONG", b"-NOAUTH", b"-NOPERM", b"-DENIED", b"-ERR")):
            raise ProbeError("Malformed", "the answer is not of the Redis protocol")
        if not deep or not line.startswith(b"+"):
            return _OK
        writer.write(_INFO)
        return Facts("ok", version=_redis_version(await reader.read(ANSWER_MAX)), proven=True)

    return await _talk(get, DATABASE_PORTS["redis"], talk)


CHECKS: Final[Mapping[str, tuple[str, Callable[..., Awaitable[Facts]]]]] = MappingProxyType(
    {
        "postgres": ("database", postgres),
        "redis": ("database", redis),
        "http": ("other", http),
        "tcp": ("other", tcp),
    }
)
"""Type and check of everything that is no engine, by its kind in the settings."""


async def _talk(
    get: Getter,
    port: int | None,
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Facts]],
) -> Facts:
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout_at(get.until):
            reader, writer = await asyncio.open_connection(
                get.url.host, get.url.explicit_port or port, limit=ANSWER_MAX
            )
            return await talk(reader, writer)
    except ProbeError as error:
        return _failed(error.bare())
    except (OSError, EOFError, asyncio.LimitOverrunError) as error:
        return _failed(_refusal(error))
    finally:
        if writer is not None:
            writer.transport.abort()  # nothing is left to say, and nobody to wait for


def _refusal(error: Exception) -> ProbeError:
    match error:
        case TimeoutError():
            return ProbeError("Timeout", "no answer in time")
        case ConnectionRefusedError():
            return ProbeError("ConnectionRefused", clean(str(error)))
        case EOFError() | ConnectionError():
            return ProbeError("ConnectionReset", "the connection was closed before the answer")
        case OSError():
            return ProbeError("ConnectFailed", clean(str(error)))
        case _:
            return ProbeError("Oversized", f"a line is over {ANSWER_MAX} bytes")


async def _nothing() -> Facts:
    return _OK


def _failed(error: ProbeError) -> Facts:
    if error.reason == "ConnectionRefused":
        return Facts("unhealthy", "stopped", error=error)
    if error.reason == "ConnectFailed":
        return Facts("unknown", "error", error=error)
    return Facts("starting" if error.reason == "Starting" else "unhealthy", error=error)


def _started(answer: bytes) -> Facts:
    if not answer.startswith((b"R", b"E", b"v")):
        raise ProbeError("Malformed", "the answer is not of the Postgres protocol")
    fields = answer.split(b"\0")
    code = next((f[1:] for f in fields if f.startswith(b"C") and len(f) == 6), b"")  # noqa: PLR2004
    text = clean(next((f[1:] for f in fields if f.startswith(b"M")), b""))
    if answer.startswith(b"E") and code == b"57P03":
        return Facts("starting", error=ProbeError("Starting", text), proven=True)
    if answer.startswith(b"E") and code == b"53300":
        return Facts("degraded", error=ProbeError("TooManyClients", text), proven=True)
    # Anything else is about who asks.
    return _OK


def _redis_version(answer: bytes) -> str | None:
    for line in answer.splitlines():
        if line.startswith((b"redis_version:", b"valkey_version:")):
            return clean(line.split(b":", 1)[1], 64)
    return None
