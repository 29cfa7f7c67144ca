"""Turns what a handler gives into a response: JSON, its version, and fewer bytes where it pays."""

import asyncio
import hashlib
import zlib
from collections.abc import Mapping
from typing import Final

import pydantic_core
from aiohttp import web
from multidict import CIMultiDict

from citadel_k8s.api.frame.route import Answer, Call, holds

GZIP_MIN: Final = 1024
"""Bytes below which an answer is sent as it is: it fits in a packet anyway."""

GZIP_APART: Final = 32 * 1024
"""Bytes from which an answer is compressed in a thread: 32 kB take about 1 ms, in which nobody
else would be answered."""

GZIP_LEVEL: Final = 3
"""Of 1 to 9: twice as fast as the usual 6, for a tenth more bytes of our JSON."""

JSON_TYPE: Final = "application/json; charset=utf-8"
"""Content type of JSON."""

_FRESH: Final = "private, no-cache"
"""Kept by the caller alone, and asked about each time."""

_NEVER: Final = "no-store"
"""Kept by nobody: what a change answered may hold a token."""

_READ_HEADERS: Final = CIMultiDict(
    {"Content-Type": JSON_TYPE, "Cache-Control": _FRESH, "Vary": "Accept-Encoding"}
)
_CHANGE_HEADERS: Final = CIMultiDict({"Content-Type": JSON_TYPE, "Cache-Control": _NEVER})


async def respond(call: Call, answer: Answer, status: int) -> web.StreamResponse:
    """Give the response to a handler's answer.

    Parameters
    ----------
    call : Call
        Its notes may hold an ``etag``.
    answer : Answer
        A response is given back as it is.
    status : int
        Of an answer that is not empty and no response itself.
    """
    if isinstance(answer, web.StreamResponse):
        return answer
    if answer is not None and call.request.method not in {"GET", "HEAD"}:
        return await _sent(call.request, encoded(answer), status, _CHANGE_HEADERS)
    return await _read(call, answer, status)


async def _read(call: Call, answer: Answer, status: int) -> web.Response:
    """Answer what changes nothing: with a version, or only with that if the caller has it."""
    tag: str | None = call.notes.get("etag")
    asked = call.request.headers.get("If-None-Match")
    if tag is not None and holds(asked, tag):
        return _not_modified(tag)
    if answer is None:
        return web.Response(status=204)
    body = encoded(answer)
    if status == 200 and tag is None:  # noqa: PLR2004
        # Weak: the same tag stands for the answer compressed and as it is.
        tag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        if holds(asked, tag):
            return _not_modified(tag)
    response = await _sent(call.request, body, status, _READ_HEADERS)
    if tag is not None:
        response.headers["ETag"] = tag
    return response


def encoded(answer: Answer) -> bytes:
    """Give the JSON text; what a model leaves open is left out, a plain dict is told whole."""
    return pydantic_core.to_json(answer, by_alias=True, exclude_none=True)


async def _sent(
    request: web.Request, body: bytes, status: int, headers: Mapping[str, str]
) -> web.Response:
    if len(body) < GZIP_MIN or not takes(request.headers.get("Accept-Encoding", ""), "gzip"):
        return web.Response(body=body, status=status, headers=headers)
    less = _gzip(body) if len(body) < GZIP_APART else await asyncio.to_thread(_gzip, body)
    response = web.Response(body=less, status=status, headers=headers)
    response.headers["Content-Encoding"] = "gzip"
    return response


def takes(accepted: str, coding: str) -> bool:
    """Say whether an ``Accept-Encoding`` names a coding, such as ``gzip``, and takes it."""
    for part in accepted.split(","):
        name, _, weight = part.partition(";")
        if name.strip().lower() == coding:
            head, _, zeros = weight.replace(" ", "").lower().partition("=0")
            return not (head == "q" and not zeros.strip(".0"))
    return False


def _gzip(body: bytes) -> bytes:
    # 16 more than the window's bits asks for gzip's own frame.
    return zlib.compress(body, GZIP_LEVEL, 16 + zlib.MAX_WBITS)


def _not_modified(tag: str) -> web.Response:
    return web.Response(
        status=304, headers={"ETag": tag, "Cache-Control": _FRESH, "Vary": "Accept-Encoding"}
    )
