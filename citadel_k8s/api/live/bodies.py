"""Bodies from strangers: bounded as they come and as they unfold, and told apart from noise."""

import zlib
from typing import Any, Final, Protocol, cast

import pydantic_core

from citadel_k8s.api.fabric.lastword import inner, mapping
from citadel_k8s.api.live.failure import LiveError, Step

BODY_MAX: Final = 4 * 1024 * 1024
"""Bytes of a body, packed or not: the peers' own limit by the wire contract. A status has 100 kB at
most."""

CHUNK: Final = 64 * 1024
"""Bytes taken over at once."""

_WINDOWS: Final = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class Content(Protocol):
    """What a body is read from; `aiohttp.StreamReader` is."""

    async def read(self, n: int = -1) -> bytes:
        """Give up to so many bytes; none at the end."""
        ...


async def read_body(content: Content, encoding: str, where: str, *, limit: int = BODY_MAX) -> bytes:
    """Read a body whole.

    Raises
    ------
    LiveError
        ``body``, if it is too large, too large once unpacked, or packed in an unknown way.
    """
    kind = encoding.strip().lower()
    if kind in {"", "identity"}:
        return await _plain(content, where, limit)
    if kind not in _WINDOWS:
        raise LiveError(Step.BODY, f"{where} packs its answer in a way that is not understood")
    try:
        return await _unpacked(content, _WINDOWS[kind], where, limit)
    except zlib.error as error:
        raise LiveError(Step.BODY, f"{where} sends a broken {kind} body") from error


async def _plain(content: Content, where: str, limit: int) -> bytes:
    body = bytearray()
    while chunk := await content.read(CHUNK):
        body += chunk
        if len(body) > limit:
            raise _too_large(where, limit)
    return bytes(body)


async def _unpacked(content: Content, window: int, where: str, limit: int) -> bytes:
    unpacker, body, came = zlib.decompressobj(window), bytearray(), 0
    while chunk := await content.read(CHUNK):
        came += len(chunk)
        # One byte more than is allowed shows that there is more, whatever it would unfold to.
        body += unpacker.decompress(chunk, limit + 1 - len(body))
        if len(body) > limit or came > limit or unpacker.unconsumed_tail:
            raise _too_large(where, limit)
        if unpacker.eof:
            break
    if not unpacker.eof:
        raise LiveError(Step.BODY, f"{where} breaks off in the middle of its answer")
    return bytes(body)


def _too_large(where: str, limit: int) -> LiveError:
    return LiveError(Step.BODY, f"{where} answers with more than {limit >> 20} MiB")


def read_status(body: bytes, where: str) -> dict[str, Any]:
    """Read an answer as the object that it must be.

    Raises
    ------
    LiveError
        ``body``, if it is no JSON object, or no status.
    """
    try:
        document: Any = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise LiveError(Step.BODY, f"{where} answers with what is no JSON") from error
    if not isinstance(document, dict):
        raise LiveError(Step.BODY, f"{where} answers with JSON that is no status")
    message = cast("dict[str, Any]", document)
    if not isinstance(inner(message).get("node"), dict):
        raise LiveError(Step.BODY, f"{where} answers with JSON that is no status")
    return message


def check_identity(
    message: dict[str, Any], node_id: str, names: frozenset[str], where: str
) -> None:
    """Check that an answer is of the node that was asked.

    A bare status has no node id; then its name must be one that the node is known by.

    Raises
    ------
    LiveError
        ``identity``.
    """
    said = message.get("nodeId")
    if said is None and "status" not in message:
        name = mapping(inner(message).get("node")).get("name")
        if isinstance(name, str) and name in names | {node_id}:
            return
    elif said == node_id:
        return
    raise LiveError(Step.IDENTITY, f"{where} is not this node: another one answers there")


def boot_of(message: dict[str, Any]) -> str | None:
    """Give the id of the process that answers; None if it has none."""
    boot = message.get("bootId")
    return boot if isinstance(boot, str) and boot else None
