"""Cursors: where a list goes on. Opaque to clients, and believed only after a look at each part.

A cursor holds the key of the last row that was given and a digest of the question, so that it
cannot be used for another one. There is no secret in it, and what it says is only ever compared
with rows that the asker may see: the checksum finds slips, the checks find malice.
"""

import base64
import binascii
import hashlib
import json
from typing import Any, Final

from citadel_k8s.api.frame.refusal import RefusalError, bad_request

CURSOR_MAX: Final = 1024
"""Longest cursor, in characters: a node's name of 256 bytes, escaped, and what stands beside it."""

_SUM_BYTES: Final = 6
_PARTS_MAX: Final = 4
_NUMBER_MAX: Final = 2.0**63

Part = str | int | float
"""A part of a row's key."""


def question_of(*parts: object) -> str:
    """Give the digest of a question: of whatever decides which rows there are, and their order."""
    text = json.dumps(parts, default=str, separators=(",", ":"))
    return hashlib.blake2s(text.encode(errors="replace"), digest_size=8).hexdigest()


def encode_cursor(question: str, key: tuple[Part, ...]) -> str:
    """Write down where a list goes on: behind the row of this key."""
    body = json.dumps([question, *key], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_sum(body) + body).rstrip(b"=").decode()


def decode_cursor(cursor: str, question: str, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    """Read a cursor of this very question.

    Parameters
    ----------
    kinds : tuple of type
        ``str``, ``int`` or ``float`` for each part of the key.

    Raises
    ------
    RefusalError
        400, whatever is wrong with it.
    """
    document = _opened(cursor)
    if document is None or not all(isinstance(part, str | int | float) for part in document):
        raise _bad("it is none that was given out")
    asked, *key = document
    if asked != question:
        raise _bad("it belongs to a list with another filter or order")
    if len(key) != len(kinds) or not all(map(_fits, key, kinds)):
        raise _bad("it is none that was given out")
    return tuple(key)


def _opened(cursor: str) -> list[Any] | None:
    if not cursor or len(cursor) > CURSOR_MAX or not cursor.isascii():
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        total, body = raw[:_SUM_BYTES], raw[_SUM_BYTES:]
        document: Any = json.loads(body) if total == _sum(body) else None
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(document, list):
        return None
    parts: list[Any] = document  # pyright: ignore[reportUnknownVariableType]
    return parts if 1 < len(parts) <= _PARTS_MAX else None


def _fits(part: Any, kind: type) -> bool:
    if kind is str:
        return isinstance(part, str) and _writable(part)
    if isinstance(part, bool) or not isinstance(part, int if kind is int else int | float):
        return False
    return abs(part) < _NUMBER_MAX  # NaN is not


def _writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _sum(body: bytes) -> bytes:
    return hashlib.blake2s(body, digest_size=_SUM_BYTES, person=b"cursor").digest()


def _bad(why: str) -> RefusalError:
    return bad_request(f"cursor: {why}; ask for the first page again")
