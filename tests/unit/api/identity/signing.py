"""Keys made for a test run, and tokens signed with them, good and bad."""

import functools
import hashlib
import hmac
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NOW = 1_795_420_800.0
ISSUER = "https://kubernetes.default.svc.cluster.local"
AUDIENCE = "citadel"


@functools.cache
def _rsa(name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def rsa_key(name: str = "one", bits: int = 2048) -> rsa.RSAPrivateKey:
    return _rsa(name, bits)


@functools.cache
def _ec(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def ec_key(name: str = "one") -> ec.EllipticCurvePrivateKey:
    return _ec(name)


def rsa_jwk(name: str = "one", bits: int = 2048, **more: Any) -> dict[str, Any]:
    public = rsa_key(name, bits).public_key()
    return {
        "kid": name,
        "use": "sig",
        **jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True),
        **more,
    }


def ec_jwk(name: str = "one") -> dict[str, Any]:
    public = ec_key(name).public_key()
    return {"kid": f"ec-{name}", **jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True)}


def jwks(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"keys": list(entries or (rsa_jwk(), ec_jwk()))}


def public_pem(name: str = "one") -> bytes:
    return rsa_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def pod_claims(**changes: Any) -> dict[str, Any]:
    claims = {
        "iss": ISSUER,
        "aud": [AUDIENCE],
        "sub": "system:serviceaccount:citadel:agent",
        "exp": NOW + 3600,
        "nbf": NOW,
        "iat": NOW,
        "kubernetes.io": {
            "namespace": "citadel",
            "serviceaccount": {"name": "agent", "uid": "sa-1"},
            "pod": {"name": "agent-x", "uid": "pod-1"},
            "node": {"name": "gpu-1", "uid": "node-1"},
        },
    }
    return {key: value for key, value in (claims | changes).items() if value is not None}


def signed(
    claims: dict[str, Any], *, key: str = "one", kid: str | None = None, **headers: Any
) -> str:
    """Sign with RS256, whatever the claims are."""
    names = {"kid": kid or key, **headers}
    # The layer below `jwt.encode`, which refuses to make some of the tokens that others send.
    return jwt.PyJWS().encode(json.dumps(claims).encode(), rsa_key(key), "RS256", names)


def ec_signed(claims: dict[str, Any], key: str = "one") -> str:
    return jwt.encode(claims, ec_key(key), algorithm="ES256", headers={"kid": f"ec-{key}"})


def unsigned(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, None, algorithm="none", headers={"kid": "one"})


def confused(claims: dict[str, Any]) -> str:
    """Sign with HS256, the public key as the secret: the old trick."""

    def part(document: dict[str, Any]) -> str:
        return jwt.utils.base64url_encode(json.dumps(document).encode()).decode()

    head = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'one'})}.{part(claims)}"
    mark = hmac.new(public_pem(), head.encode(), hashlib.sha256).digest()
    return f"{head}.{jwt.utils.base64url_encode(mark).decode()}"
