"""Which signed tokens are believed."""

from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.utils import base64url_encode

from citadel_k8s.api.identity.jwks import (
    LEEWAY,
    JwtError,
    UnknownKeyError,
    keys_of,
    unverified,
    verified,
)
from tests.unit.api.identity.signing import (
    AUDIENCE,
    ISSUER,
    NOW,
    confused,
    ec_jwk,
    ec_signed,
    jwks,
    pod_claims,
    rsa_jwk,
    rsa_key,
    signed,
    unsigned,
)


def check(token: str, now: float = NOW + 1, **changes: Any) -> dict[str, Any]:
    given = {"issuer": ISSUER, "audience": AUDIENCE} | changes
    return verified(token, keys_of(jwks()), now=now, **given)


def test_a_token_of_a_listed_key_is_believed():
    assert check(signed(pod_claims()))["sub"] == "system:serviceaccount:citadel:agent"
    assert check(ec_signed(pod_claims()))["iss"] == ISSUER


def test_one_audience_of_several_is_enough():
    assert check(signed(pod_claims(aud=["vault", AUDIENCE])))
    assert check(signed(pod_claims(aud=AUDIENCE)))


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (lambda: signed(pod_claims(exp=NOW - LEEWAY)), "expired"),
        (lambda: signed(pod_claims(nbf=NOW + 60)), "not valid yet"),
        (lambda: signed(pod_claims(iat=NOW + 60)), "not valid yet"),
        (lambda: signed(pod_claims(exp=None)), "no claim exp"),
        (lambda: signed(pod_claims(aud=None)), "no claim aud"),
        (lambda: signed(pod_claims(iss=None)), "no claim iss"),
        (lambda: signed(pod_claims(exp="soon")), "exp is no moment"),
        (lambda: signed(pod_claims(exp=True)), "exp is no moment"),
        (lambda: signed(pod_claims(exp=10**400)), "exp is no moment"),
        (lambda: signed(pod_claims(nbf="now")), "nbf is no moment"),
        (lambda: signed(pod_claims(aud="kubernetes")), "another audience"),
        (lambda: signed(pod_claims(aud=[])), "aud"),
        (lambda: signed(pod_claims(iss="https://evil.example")), "another issuer"),
        (lambda: unsigned(pod_claims()), "RS256 or ES256"),
        (lambda: confused(pod_claims()), "RS256 or ES256"),
        (lambda: signed(pod_claims(), key="two", kid="one"), "signature"),
        (lambda: signed(pod_claims(), kid="ec-one"), "signature"),
        (lambda: signed(pod_claims(), crit=["exp"]), "extension|no JSON Web Token"),
        (lambda: signed(pod_claims(), jku="https://evil.example/k", kid="evil"), "does not list"),
    ],
)
def test_a_token_that_does_not_hold_is_refused_and_not_quoted(token: Any, said: str):
    raw = token()
    with pytest.raises(JwtError, match=said) as raised:
        check(raw)
    assert raw.split(".")[2] not in str(raised.value) or not raw.split(".")[2]


def test_an_unknown_key_is_told_apart():
    with pytest.raises(UnknownKeyError):
        check(signed(pod_claims(), key="two"))


def test_a_token_without_a_key_id_is_refused():
    bare = jwt.encode(pod_claims(), rsa_key(), algorithm="RS256")
    with pytest.raises(JwtError, match="kid"):
        check(bare)


def test_a_changed_claim_breaks_the_signature():
    head, _, mark = signed(pod_claims()).split(".")
    _, body, _ = signed(pod_claims(sub="system:serviceaccount:kube-system:admin")).split(".")
    with pytest.raises(JwtError, match="signature"):
        check(f"{head}.{body}.{mark}")


def test_a_token_holds_until_its_very_end_and_the_skew_of_a_clock_beyond():
    token = signed(pod_claims(exp=NOW + 60))
    assert check(token, now=NOW + 60 + LEEWAY - 1)
    with pytest.raises(JwtError, match="expired"):
        check(token, now=NOW + 60 + LEEWAY)


@pytest.mark.parametrize("document", [None, [], "keys", {}, {"keys": {}}, {"keys": None}])
def test_what_is_no_key_set_is_refused(document: Any):
    with pytest.raises(JwtError, match="JWKS"):
        keys_of(document)


def test_keys_that_must_not_be_believed_are_left_out():
    odd = [
        None,
        7,
        {},
        {"kid": "a"},
        {"kid": "b", "kty": "oct", "k": "c2VjcmV0"},
        rsa_jwk("weak", 1024),
        rsa_jwk("enc", use="enc"),
        rsa_jwk("ps", alg="PS256"),
        {**rsa_jwk(), "kid": 7},
        {**rsa_jwk(), "kid": "broken", "n": "!!"},
        {**ec_jwk(), "kid": "odd", "crv": "P-999"},
        {**ec_jwk(), "kid": "off", "x": ec_jwk()["y"]},
    ]
    assert keys_of({"keys": odd}) == {}
    assert set(keys_of({"keys": [*odd, rsa_jwk()]})) == {"one"}


def test_the_first_of_two_keys_with_one_id_counts():
    keys = keys_of({"keys": [rsa_jwk(), {**rsa_jwk("two"), "kid": "one"}]})
    assert keys["one"][1].public_numbers() == keys_of(jwks())["one"][1].public_numbers()


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fall_over(text: str):
    with pytest.raises(JwtError):
        unverified(text)


@pytest.mark.parametrize(
    "token", ["a.b.c", "....", "e30.e30.", "W10.W10.W10", "eyJhbGciOiJSUzI1NiJ9.W10.AA"]
)
def test_nonsense_with_dots_is_refused(token: str):
    with pytest.raises(JwtError):
        check(token)


def test_deep_nesting_is_refused():
    head = base64url_encode(b'{"alg":"RS256","kid":"one"}').decode()
    body = base64url_encode(b"[" * 3000 + b"]" * 3000).decode()
    with pytest.raises(JwtError):
        check(f"{head}.{body}.AA")
