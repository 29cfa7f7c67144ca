"""Sets of public keys (JWKS), and what a signed token says once a key has vouched for it."""

import binascii
from collections.abc import Mapping
from typing import Any, Final, cast

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from citadel_k8s.errors import CitadelError

ALGORITHMS: Final = ("RS256", "ES256")
"""Signatures that are accepted: those of Kubernetes and of every common provider. ``none`` and
the symmetric ones, whose key would be the public one, are not among them."""

LEEWAY: Final = 10.0
"""Seconds by which a token's moments may be off: the skew at which a clock is called wrong."""

RSA_BITS: Final = 2048
"""Shortest RSA key that is believed. Source: NIST SP 800-131A."""

KEYS_MAX: Final = 64
"""Keys looked at in one set; a provider that rotates has two or three."""

Keys = Mapping[str, tuple[str, Any]]
"""Key id to algorithm and public key."""


class JwtError(CitadelError):
    """A token is not what it says; the message never quotes it."""


class UnknownKeyError(JwtError):
    """A token names a key that is not in the set: it may be a new one."""


def keys_of(document: Any) -> Keys:
    """Give the usable keys of a JWKS document; what is no public RSA or P-256 key is left out.

    Raises
    ------
    JwtError
        If the document is no JWKS.
    """
    listed = cast("Mapping[str, Any]", document).get("keys") if _is_mapping(document) else None
    if not isinstance(listed, list):
        raise JwtError('it is no JWKS: {"keys": […]} is needed')
    found: dict[str, tuple[str, Any]] = {}
    entries: list[Any] = listed  # pyright: ignore[reportUnknownVariableType]
    for entry in entries[:KEYS_MAX]:
        usable = _usable(entry)
        if usable is not None:
            found.setdefault(*usable)
    return found


def unverified(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Give header and claims of a token as they stand: good for choosing a key, nothing else.

    Raises
    ------
    JwtError
        If it is no token, or is signed in a way that is not accepted.
    """
    try:
        whole = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, binascii.Error, ValueError, TypeError, RecursionError):
        raise JwtError("it is no JSON Web Token") from None
    header: Mapping[str, Any] = whole["header"]
    claims: Mapping[str, Any] = whole["payload"]
    if header.get("alg") not in ALGORITHMS:
        raise JwtError("it is not signed with RS256 or ES256")
    if "crit" in header:
        raise JwtError("its header asks for an extension")
    return header, claims


def verified(token: str, keys: Keys, *, issuer: str, audience: str, now: float) -> dict[str, Any]:
    """Give the claims of a token that one of the keys has signed, for us, and in its time.

    Parameters
    ----------
    keys : mapping
        Those of the issuer.
    issuer, audience : str
        Who must have made it, and for whom.
    now : float
        Seconds since the epoch.

    Raises
    ------
    UnknownKeyError
        If its key is not among them.
    JwtError
        If anything else is wrong.
    """
    header, _ = unverified(token)
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise JwtError("it does not say which key signed it (kid)")
    found = keys.get(kid)
    if found is None:
        raise UnknownKeyError("it is signed with a key that its issuer does not list")
    algorithm, key = found
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=audience,
            issuer=issuer,
            options={
                "require": ["exp", "aud", "iss"],
                # The moments are held against a clock that is handed in.
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
    except jwt.InvalidAudienceError:
        raise JwtError("it is meant for another audience") from None
    except jwt.InvalidIssuerError:
        raise JwtError("it is of another issuer") from None
    except jwt.MissingRequiredClaimError as error:
        raise JwtError(f"it has no claim {error.claim}") from None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise JwtError("its signature does not hold") from None
    _in_time(claims, now)
    return claims


def _in_time(claims: Mapping[str, Any], now: float) -> None:
    moments = {name: _moment(claims.get(name)) for name in ("exp", "nbf", "iat")}
    if moments["exp"] is None:
        raise JwtError("its claim exp is no moment")
    if now >= moments["exp"] + LEEWAY:
        raise JwtError("it has expired")
    for name in ("nbf", "iat"):
        moment = moments[name]
        if name in claims and moment is None:
            raise JwtError(f"its claim {name} is no moment")
        if moment is not None and moment > now + LEEWAY:
            raise JwtError("it is not valid yet; is a clock wrong?")


def _moment(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # The bounds first: an integer may be larger than any float; NaN fits into none.
    return float(value) if 0 <= value < 2**53 else None


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _usable(entry: Any) -> tuple[str, tuple[str, Any]] | None:
    if not _is_mapping(entry) or entry.get("use", "sig") != "sig":
        return None
    kid = entry.get("kid")
    if not isinstance(kid, str) or not kid:
        return None
    algorithm = {"RSA": "RS256", "EC": "ES256"}.get(str(entry.get("kty")))
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    try:
        key: Any = jwt.PyJWK(entry, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, binascii.Error):
        return None
    strong = isinstance(key, RSAPublicKey) and key.key_size >= RSA_BITS
    curve = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    return (kid, (algorithm, key)) if strong or curve else None
