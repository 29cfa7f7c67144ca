"""Cookies, and notes that browsers carry."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.api.identity.cookies import Cookies, Seal

NOTE = {"state": "a", "nonce": "b"}


def test_a_note_comes_back_as_it_was():
    seal = Seal("secret", "sign-in", ManualClock())
    assert seal.unseal(seal.seal(NOTE, 60)) == NOTE


def test_a_replica_with_the_same_secret_reads_it():
    clock = ManualClock()
    assert Seal("s", "p", clock).unseal(Seal("s", "p", clock).seal(NOTE, 60)) == NOTE


@pytest.mark.parametrize(("secret", "purpose"), [("other", "p"), ("s", "other")])
def test_nobody_else_can_make_one(secret: str, purpose: str):
    clock = ManualClock()
    assert Seal("s", "p", clock).unseal(Seal(secret, purpose, clock).seal(NOTE, 60)) is None


def test_a_note_ends():
    clock = ManualClock()
    seal = Seal("s", "p", clock)
    text = seal.seal(NOTE, 60)
    clock.advance(59)
    assert seal.unseal(text) == NOTE
    clock.advance(1)
    assert seal.unseal(text) is None


def test_a_changed_note_is_none():
    seal = Seal("s", "p", ManualClock())
    text = seal.seal(NOTE, 60)
    for at in range(len(text)):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        # The last letters of base64 hold bits that nothing reads.
        assert seal.unseal(changed) in (None, NOTE)
        assert at < text.index(".") or at >= len(text) - 1 or seal.unseal(changed) is None
    assert seal.unseal(text + "x" * 5000) is None


@given(st.text(max_size=200))
def test_any_text_is_no_note(text: str):
    assert Seal("s", "p", ManualClock()).unseal(text) is None


@pytest.mark.parametrize("raw", ["", "short", "a" * 300, "a" * 30 + ";", "é" * 30])
def test_what_cannot_be_a_session_is_not_looked_up(raw: str):
    cookies = Cookies(secure=False)
    request = make_mocked_request("GET", "/", headers={"Cookie": f'citadel_session="{raw}"'})
    assert cookies.session_of(request) is None


def test_over_tls_the_name_says_that_only_this_host_set_it():
    response = web.Response()
    Cookies(secure=True).set_session(response, "x" * 43, 60)
    line = response.cookies["__Host-citadel_session"].OutputString()
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=Strict", "Max-Age=60"} <= set(
        line.split("; ")
    )
    assert "Domain" not in line
