import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from citadel_k8s.clients import fabrichttp
from citadel_k8s.clients.fabrichttp import ApiHttp, api_base
from citadel_k8s.clients.fleet import FleetError
from citadel_k8s.errors import ConfigError
from tests.unit.clients.fakeapi import FakeApi, serving


@pytest.fixture
async def server() -> AsyncIterator[FakeApi]:
    async with serving() as started:
        yield started


@pytest.fixture
async def http(server: FakeApi) -> AsyncIterator[ApiHttp]:
    opened = ApiHttp(server.url, "act_secret", timeout=0.5)
    yield opened
    await opened.close()


async def refused(http: ApiHttp) -> FleetError:
    with pytest.raises(FleetError) as caught:
        await http.get("/x")
    assert "act_secret" not in str(caught.value)
    return caught.value


async def test_an_answer_is_read_with_its_headers(server: FakeApi, http: ApiHttp):
    server.tell("/x", [1], headers={"X-Next-Cursor": "c"})
    found, headers = await http.get("/x", {"a": "b c"})
    assert (found, headers["X-Next-Cursor"]) == ([1], "c")
    assert server.asked[0].query["a"] == "b c"
    assert server.asked[0].headers["Authorization"] == "Bearer act_secret"


async def test_a_session_goes_into_the_cookie(server: FakeApi):
    server.tell("/x", {})
    http = ApiHttp(server.url, "cs_secret")
    await http.get("/x")
    await http.close()
    assert server.asked[0].cookies == {"citadel_session": "cs_secret"}
    assert "Authorization" not in server.asked[0].headers
    secure = ApiHttp("https://api.example.org", "cs_secret")
    assert "__Host-citadel_session=cs_secret" in secure._headers["Cookie"]


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, {"error": "unauthorized", "error_description": "no"}, "CITADEL_API_TOKEN"),
        (403, {"error": "forbidden", "error_description": "people only"}, "kubectl fabric login"),
        (429, {"error": "rate_limited", "retry_after": 7}, "ask again in 7 s"),
        (503, {"error": "unavailable", "error_description": "run db upgrade"}, "run db upgrade"),
        (400, {"error": "bad_request", "error_description": "state: no"}, "bad_request: state: no"),
        (502, b"<html>bad gateway</html>", "no answer of a citadel-k8s API"),
        (404, b"nothing", "no answer of a citadel-k8s API"),
        (200, b"<html>", "no JSON"),
        (200, b"[" * 100_000, "no JSON"),
    ],
)
async def test_a_refusal_says_why_and_what_to_do(
    server: FakeApi, http: ApiHttp, status: int, body: Any, told: str
):
    server.tell("/x", body, status)
    error = await refused(http)
    assert told in str(error)
    assert error.status == status
    assert str(error).startswith("the API at http://127.0.0.1")


async def test_what_a_server_says_cannot_act_on_a_terminal(server: FakeApi, http: ApiHttp):
    server.tell("/x", {"error": "\x1b[2J\u202e", "error_description": "\x07"}, 400)
    assert str(await refused(http)).isprintable()


async def test_a_redirect_is_not_followed(server: FakeApi, http: ApiHttp):
    server.tell("/x", b"", 302, {"Location": "https://evil.example.org/?secret"})
    error = await refused(http)
    assert "redirects to evil.example.org" in str(error)
    assert "?secret" not in str(error)


async def test_a_server_that_is_silent_costs_the_time_that_was_given(
    server: FakeApi, http: ApiHttp
):
    async def hang(_request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    server.answers["/x"] = hang
    http._timeout = 0.05
    assert "no answer within 0.05 s" in str(await refused(http))


async def test_an_answer_without_end_is_cut(
    server: FakeApi, http: ApiHttp, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fabrichttp, "BODY_MAX", 1 << 20)
    server.tell("/x", b" " * (3 << 20))
    assert "more than 1 MiB" in str(await refused(http))


async def test_nobody_at_the_address_is_told_with_what_to_look_at():
    http = ApiHttp("http://127.0.0.1:1", None, timeout=2)
    assert "is it up, and the address right" in str(await refused(http))
    await http.close()


async def test_a_server_that_speaks_no_tls_is_told(server: FakeApi):
    http = ApiHttp(server.url.replace("http:", "https:"), None, timeout=2)
    error = str(await refused(http))
    await http.close()
    assert "TLS" in error
    assert "SSL_CERT_FILE" in error


@pytest.mark.parametrize("secret", ["with space", "line\nbreak", "naïve"])
def test_a_credential_that_is_none_is_not_sent_and_not_told(secret: str):
    with pytest.raises(ConfigError) as caught:
        ApiHttp("https://x", secret)
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("https://api.example.org/", "https://api.example.org"),
        (" https://api.example.org:8443/fabric/ ", "https://api.example.org:8443/fabric"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_an_address_is_taken(text: str, base: str):
    assert api_base(text) == base


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.example.org",
        "ftp://x",
        "https://user:secret@x",
        "https://x?token=secret",
        "https://x:99999",
        "https://[::",
        "http://api.example.org",
    ],
)
def test_an_address_that_is_none_or_in_clear_is_refused_without_its_secrets(text: str):
    with pytest.raises(ConfigError) as caught:
        api_base(text)
    assert "secret" not in str(caught.value)


def test_clear_text_may_be_allowed_on_purpose():
    assert api_base("http://api.citadel.svc:8080", insecure=True) == "http://api.citadel.svc:8080"
