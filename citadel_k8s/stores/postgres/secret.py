"""Secrets that are handed out once and kept as hashes, and texts that PostgreSQL can keep."""

import hashlib
import secrets
from typing import Any, Final

SECRET_BYTES: Final = 32
"""Random bytes of a secret: 256 bits need no salt and no slow hash."""

DEPTH_MAX: Final = 8
"""Levels kept of a document of details; deeper ones are left out."""


def new_secret(prefix: str = "") -> str:
    """Make a secret: 256 random bits as base64url behind a prefix."""
    return prefix + secrets.token_urlsafe(SECRET_BYTES)


def secret_hash(raw: str) -> bytes:
    """Give the SHA-256 under which a secret is kept and looked up."""
    return hashlib.sha256(raw.encode("utf-8", "surrogatepass")).digest()


def storable(text: str, limit: int) -> str:
    """Give a text without what PostgreSQL refuses (NUL, halves of characters), cut to a length."""
    return text[:limit].replace("\0", "").encode("utf-8", "replace").decode()


def storable_document(value: Any, limit: int, depth: int = DEPTH_MAX) -> Any:
    """Give a JSON document of storable texts; what no JSON has becomes its text."""
    if depth == 0:
        return None
    if isinstance(value, dict):
        return {
            storable(str(key), limit): storable_document(below, limit, depth - 1)  # pyright: ignore[reportUnknownArgumentType]
            for key, below in value.items()  # pyright: ignore[reportUnknownVariableType]
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [storable_document(below, limit, depth - 1) for below in value]  # pyright: ignore[reportUnknownVariableType]
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None
    return storable(str(value), limit)
