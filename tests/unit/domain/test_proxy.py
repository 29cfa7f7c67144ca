import pytest

from citadel_k8s.domain.proxy import (
    WAIT_MAX,
    check_org_id,
    is_loopback,
    json_object,
    moved,
    org_channel,
    proxy_base,
    said,
    wait_asked,
)
from citadel_k8s.errors import ConfigError

NOW = 1_795_420_800.0
"""23 November 2026, 08:00 UTC."""


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("https://aceteam.ai", "https://aceteam.ai"),
        (" https://aceteam.ai/ ", "https://aceteam.ai"),
        ("https://host:8443/base/", "https://host:8443/base"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_an_address_loses_its_last_slash(text: str, base: str):
    assert proxy_base(text) == base


@pytest.mark.parametrize(
    "text",
    [
        "",
        "aceteam.ai",
        "ftp://host",
        "https://",
        "https://host:0",
        "https://host:port",
        "https://[",
    ],
)
def test_what_is_no_address_is_refused(text: str):
    with pytest.raises(ConfigError):
        proxy_base(text)


@pytest.mark.parametrize(
    "text", ["https://me:secret@host", "https://host?k=secret", "https://h/#secret"]
)
def test_an_address_with_a_secret_is_refused_without_telling_it(text: str):
    with pytest.raises(ConfigError) as caught:
        proxy_base(text)
    assert "secret" not in str(caught.value)


def test_a_token_travels_in_clear_only_to_this_machine_or_on_purpose():
    for host in ("aceteam.ai", "10.0.0.1", "localhost.example.org", "127.0.0.1.example.org"):
        with pytest.raises(ConfigError, match="in clear"):
            proxy_base(f"http://{host}")
    assert proxy_base("http://10.0.0.1", insecure=True) == "http://10.0.0.1"
    assert is_loopback("127.8.8.8")


def test_an_org_fits_into_a_channel():
    assert org_channel(check_org_id("acme-1"), "n1") == "node:status:org:acme-1:n1"
    for text in ("", "a b", "a:b", "*", "a" * 129, "a\n"):
        with pytest.raises(ConfigError):
            check_org_id(text)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error":"no"}', "no"),
        (b'{"error":"no","error_description":"not\\nyours"}', "no: not yours"),
        (b'{"error":"no","error_description":7}', "no"),
        (b'{"error":{"code":7}}', '{"error":{"code":7}}'),
        (b"<html>\n <b>down</b>\x1b[2J", "<html> <b>down</b> [2J"),
        (b"\xff\xfe", "��"),
        (b"", ""),
        (b"x" * 2000, "x" * 512),
    ],
)
def test_what_a_refusal_says_is_one_short_clean_line(body: bytes, text: str):
    assert said(json_object(body), body) == text


def test_a_redirect_names_its_host_and_no_secret():
    assert moved("https://me:pw@login.example.org/x?token=1") == "login.example.org"
    assert "secret" not in moved("/login?secret")
    assert moved("https://[")


@pytest.mark.parametrize(
    ("document", "header", "wait"),
    [
        ({"retry_after": 60, "reset_at": "2026-11-23T09:00:00Z"}, "5", 60),
        ({"retry_after": 0.5}, "", 0.5),
        ({"retry_after": 0}, "9", 0),
        ({"reset_at": "2026-11-23T08:00:30Z"}, "5", 30),
        ({"reset_at": "2026-11-23T07:00:00Z"}, "5", 0),
        ({"retry_after": None, "reset_at": None}, "120", 120),
        ({"retry_after": "60", "reset_at": "soon"}, "7", 7),
        ({"retry_after": True}, "", None),
        ({"retry_after": -5}, "", None),
        ({"retry_after": float("nan")}, "", None),
        ({"retry_after": float("inf")}, "4", 4),
        ({"retry_after": int("9" * 99)}, "", WAIT_MAX),
        ({"reset_at": "9999-12-31T00:00:00Z"}, "", WAIT_MAX),
        (None, "Mon, 23 Nov 2026 08:01:00 GMT", 60),
        (None, "Mon, 23 Nov 2026 08:01:00 -0000", 60),
        (None, "Mon, 23 Nov 2026 07:01:00 GMT", 0),
        (None, "9" * 5000, WAIT_MAX),
        (None, "soon", None),
        (None, "-5", None),
        (None, "", None),
    ],
)
def test_the_wait_is_what_the_first_readable_of_three_says(document, header: str, wait):
    assert wait_asked(document, header, NOW) == wait


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_none(body: bytes):
    assert json_object(body) is None
