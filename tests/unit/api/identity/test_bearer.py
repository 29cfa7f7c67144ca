"""Which sort of credential an Authorization header holds."""

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.api.identity.bearer import TOKEN_MAX, Bearer, bearer
from citadel_k8s.stores.postgres.secret import secret_hash

DEVICE = "act_" + "a1B-_" * 8


def of(*values: str) -> Bearer | None:
    headers = CIMultiDict([("Authorization", value) for value in values])
    return bearer(CIMultiDictProxy(headers))


def test_no_header_is_nobody():
    assert of() is None


def test_a_device_token_is_looked_up_by_the_hash_that_is_stored():
    found = of(f"Bearer {DEVICE}")
    assert found is not None
    assert found.kind == "device"
    assert found.digest == secret_hash(DEVICE) == hashlib.sha256(DEVICE.encode()).digest()


def test_the_schemes_case_does_not_matter():
    found = of(f"bEaReR  {DEVICE}")
    assert found is not None
    assert found.token == DEVICE


def test_three_parts_with_dots_are_a_service_accounts_token():
    found = of("Bearer eyJh.eyJp.c2ln")
    assert found is not None
    assert found.kind == "jwt"


def test_nothing_of_a_credential_is_in_its_text():
    assert DEVICE not in repr(of(f"Bearer {DEVICE}"))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        DEVICE,
        f"Basic {DEVICE}",
        "Bearer act_short",
        "Bearer act_" + "a" * 300,
        f"Bearer {DEVICE} {DEVICE}",
        f"Bearer {DEVICE}\r\nX: 1",
        f"Bearer {DEVICE}\0",
        "Bearer act_a.b.c",
        "Bearer a..c",
        "Bearer a.b.c.d",
        "Bearer " + "a" * 100,
        "Bearer eyJh.eyJp.c2ln=",
        "Bearer \udcff.a.b",
        "Bearer " + "a" * TOKEN_MAX + ".b.c",
    ],
)
def test_what_cannot_be_a_credential_is_refused_and_not_quoted(value: str):
    with pytest.raises(RefusalError) as raised:
        of(value)
    assert raised.value.status == 401
    assert DEVICE not in raised.value.description
    assert "aaaa" not in raised.value.description


def test_two_headers_are_refused_even_if_both_are_good():
    with pytest.raises(RefusalError, match="more than one"):
        of(f"Bearer {DEVICE}", f"Bearer {DEVICE}")


@given(st.text(max_size=300))
def test_any_text_is_a_credential_or_a_401(text: str):
    with suppress(RefusalError):
        assert of(f"Bearer {text}") is not None
