"""The Authorization header: which sort of credential it holds, without believing it."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final, Literal

from multidict import CIMultiDictProxy

from citadel_k8s.api.frame.refusal import unauthorized

TOKEN_MAX: Final = 8192
"""Longest credential, in characters: a projected token has 1,200, and a header line holds 8 KiB."""

DEVICE_PREFIX: Final = "act_"
"""How device tokens begin. Source: the wire contract."""

_DEVICE: Final = re.compile(r"act_[A-Za-z0-9_-]{20,256}")
_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Bearer:
    """A credential as it came. ``digest`` is its SHA-256: what it is looked up and kept by."""

    kind: Literal["device", "jwt"]
    token: str = field(repr=False)
    digest: bytes = field(repr=False)


def bearer(headers: CIMultiDictProxy[str]) -> Bearer | None:
    """Give the credential of a request's Authorization header; None if it has none.

    Raises
    ------
    RefusalError
        401, if there is one that cannot be a credential of ours. It is never quoted.
    """
    given = headers.getall("Authorization", [])
    if not given:
        return None
    if len(given) > 1:
        raise unauthorized("there is more than one Authorization header")
    scheme, _, token = given[0].partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise unauthorized("the Authorization header must be: Bearer TOKEN")
    if len(token) > TOKEN_MAX:
        raise unauthorized(f"the token is over {TOKEN_MAX} characters")
    digest = hashlib.sha256(token.encode(errors="surrogateescape")).digest()
    if _DEVICE.fullmatch(token):
        return Bearer("device", token, digest)
    if not token.startswith(DEVICE_PREFIX) and _JWT.fullmatch(token):
        return Bearer("jwt", token, digest)
    raise unauthorized("the token is neither a device token (act_…) nor a service account's")
