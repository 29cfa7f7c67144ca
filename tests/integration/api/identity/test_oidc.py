"""Signing in with a provider of identities, there and back, over real HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from citadel_k8s.aio.clock import ManualClock, SystemClock
from citadel_k8s.models.identity import Role
from citadel_k8s.stores.postgres.database import Database
from tests.integration.api.identity.provider import CLIENT, SECRET, FakeProvider, providing
from tests.integration.api.identity.rooms import Room, room
from tests.unit.api.identity.signing import confused, jwks, pod_claims, rsa_jwk, unsigned

START = "/api/session/oidc/start"
CALLBACK = "/api/session/oidc/callback"


@asynccontextmanager
async def served(
    database: Database, tmp_path: Path, clock: Any = None, **oidc: Any
) -> AsyncIterator[tuple[Room, FakeProvider]]:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    async with providing() as provider:
        settings = {
            "issuer": provider.issuer,
            "client_id": CLIENT,
            "client_secret_file": secret,
            "default_org": "acme",
        } | oidc
        async with room(
            database, clock=clock, public_url="http://fabric.example", oidc=settings
        ) as here:
            yield here, provider


async def begun(here: Room) -> tuple[str, str]:
    """Give where the browser is sent, and its note."""
    status, _, response = await here.ask("GET", START)
    assert status == 303
    cookie = response.cookies["citadel_signin"]
    assert cookie["samesite"] == "Lax"
    assert cookie["httponly"]
    return response.headers["Location"], cookie.value


async def back(
    here: Room, note: str | None, **query: str
) -> tuple[int, dict[str, Any] | None, Any]:
    words = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    headers = {"Cookie": f"citadel_signin={note}"} if note else {}
    return await here.ask("GET", f"{CALLBACK}?{words}", headers=headers)


async def whole(here: Room, provider: FakeProvider) -> tuple[int, Any, Any]:
    location, note = await begun(here)
    code, state = provider.sign_in(location)
    return await back(here, note, code=code, state=state)


async def me(here: Room, response: Any) -> dict[str, Any]:
    cookie = response.cookies["citadel_session"].value
    status, body, _ = await here.ask("GET", "/api/session", cookie=cookie)
    assert status == 200
    return body


async def test_somebody_new_comes_in_as_a_viewer_of_the_default_org(
    database: Database, tmp_path: Path
):
    async with served(database, tmp_path) as (here, provider):
        status, _, response = await whole(here, provider)
        assert status == 303
        assert response.headers["Location"] == "/"
        assert response.cookies["citadel_session"]["samesite"] == "Strict"
        assert response.cookies["citadel_signin"].value == ""
        body = await me(here, response)
        assert body["user"]["email"] == "ann@acme.example"
        assert (body["orgId"], body["role"]) == ("acme", "viewer")
        # The second time they are known, and nothing is asked of the provider twice.
        assert (await whole(here, provider))[0] == 303
        assert len(await here.users.list("acme")) == 1
        assert provider.asked == ["discovery", "token", "keys", "token"]


async def test_somebody_known_by_a_verified_address_is_taken_for_them(
    database: Database, tmp_path: Path
):
    async with served(database, tmp_path) as (here, provider):
        ann = await here.users.create("acme", "Ann A", role=Role.ADMIN, email="Ann@acme.example")
        _, _, response = await whole(here, provider)
        body = await me(here, response)
        assert body["user"]["userId"] == str(ann.user_id)
        assert body["role"] == "admin"
        # From now on the subject counts: a second one with that address is somebody else.
        provider.claims = {"sub": "u-2"}
        status, refusal, _ = await whole(here, provider)
        assert status == 403
        assert "another account" in refusal["error_description"]


async def test_an_unverified_address_is_nobodys(database: Database, tmp_path: Path):
    async with served(database, tmp_path) as (here, provider):
        await here.users.create("acme", "Ann", role=Role.ADMIN, email="ann@acme.example")
        provider.claims = {"email_verified": False}
        status, refusal, _ = await whole(here, provider)
        assert status == 403
        assert "verified" in refusal["error_description"]
        # Not said at all: they come in, as themselves and nobody else.
        provider.claims = {"email_verified": None}
        body = await me(here, (await whole(here, provider))[2])
        assert body["role"] == "viewer"
        assert "email" not in body["user"]


async def test_claims_name_org_and_role(database: Database, tmp_path: Path):
    async with served(
        database, tmp_path, org_claim="org", role_claim="roles", default_org=None
    ) as (here, provider):
        provider.claims = {"org": ["other", "elsewhere"], "roles": ["staff", "editor"]}
        body = await me(here, (await whole(here, provider))[2])
        assert (body["orgId"], body["role"]) == ("other", "editor")
        provider.claims = {"org": "other"}
        body = await me(here, (await whole(here, provider))[2])
        assert body["role"] == "viewer"
        for org, said in (
            (None, "no org"),
            ("nowhere", "no org of yours"),
            (["acme", "other"], "several"),
            ("acme", "another org"),
            ("../acme", "no org of yours"),
        ):
            provider.claims = {"org": org}
            status, refusal, _ = await whole(here, provider)
            assert status == 403
            assert said in refusal["error_description"]


@pytest.mark.parametrize("what", ["user", "org"])
async def test_whoever_is_locked_out_stays_out(database: Database, tmp_path: Path, what: str):
    async with served(database, tmp_path) as (here, provider):
        await whole(here, provider)
        (user,) = await here.users.list("acme")
        if what == "user":
            await here.users.disable("acme", user.user_id)
        else:
            await here.orgs.disable("acme")
        status, refusal, response = await whole(here, provider)
        assert status == 403
        assert "Set-Cookie" not in response.headers
        assert refusal["error"] == "sign_in_refused"
        assert len(await here.users.list("acme")) == 1


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"exp": 1}, "expired"),
        ({"exp": None}, "exp"),
        ({"nbf": SystemClock().now() + 3600}, "not valid yet"),
        ({"aud": "another"}, "audience"),
        ({"aud": [CLIENT, "another"]}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"nonce": "replayed"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": 7}, "nonce"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": "x" * 300}, "sub"),
        ({"sub": 7}, "sub"),
    ],
)
async def test_a_token_that_does_not_hold_signs_nobody_in(
    database: Database, tmp_path: Path, claims: dict[str, Any], said: str
):
    async with served(database, tmp_path) as (here, provider):
        provider.claims = claims
        status, refusal, response = await whole(here, provider)
        assert status == 401
        assert said in refusal["error_description"]
        assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("forge", [unsigned, confused])
async def test_a_forged_token_signs_nobody_in(database: Database, tmp_path: Path, forge: Any):
    async with served(database, tmp_path) as (here, provider):
        provider.token = forge(pod_claims(iss=provider.issuer, aud=CLIENT))
        assert (await whole(here, provider))[0] == 401


async def test_new_keys_of_the_provider_are_looked_for_once_a_minute(
    database: Database, tmp_path: Path
):
    clock = ManualClock(_now=SystemClock().now())
    async with served(database, tmp_path, clock) as (here, provider):
        assert (await whole(here, provider))[0] == 303
        provider.key = "two"
        provider.keys = jwks(rsa_jwk("two"))
        assert (await whole(here, provider))[0] == 401
        clock.advance(60)
        assert (await whole(here, provider))[0] == 303
        assert provider.asked.count("keys") == 2


async def test_an_answer_counts_once_and_in_its_own_browser(database: Database, tmp_path: Path):
    async with served(database, tmp_path) as (here, provider):
        location, note = await begun(here)
        code, state = provider.sign_in(location)
        _, other_note = await begun(here)
        for given in (None, "", "x", "x.y", note[:-2], note + "x", other_note):
            assert (await back(here, given, code=code, state=state))[0] == 401
        assert (await back(here, note, code=code, state="x"))[0] == 401
        assert (await back(here, note, code=code))[0] == 401
        assert provider.asked.count("token") == 0
        assert (await back(here, note, code=code, state=state))[0] == 303
        status, refusal, response = await back(here, note, code=code, state=state)
        assert status == 401
        assert "used before" in refusal["error_description"]
        assert "Set-Cookie" not in response.headers


async def test_a_sign_in_takes_ten_minutes_at_most(database: Database, tmp_path: Path):
    clock = ManualClock(_now=SystemClock().now())
    async with served(database, tmp_path, clock) as (here, provider):
        location, note = await begun(here)
        code, state = provider.sign_in(location)
        clock.advance(600)
        assert (await back(here, note, code=code, state=state))[0] == 401


async def test_what_the_provider_refuses_is_told_in_its_own_word_only(
    database: Database, tmp_path: Path
):
    async with served(database, tmp_path) as (here, provider):
        location, note = await begun(here)
        _, state = provider.sign_in(location)
        evil = "access_denied<script>alert(1)</script>"
        status, refusal, _ = await back(here, note, error=evil, state=state)
        assert status == 403
        assert "<" not in refusal["error_description"]
        location, note = await begun(here)
        _, state = provider.sign_in(location)
        assert (await back(here, note, state=state))[0] == 400
        location, note = await begun(here)
        _, state = provider.sign_in(location)
        assert (await back(here, note, code="made-up", state=state))[0] == 401
        location, note = await begun(here)
        code, state = provider.sign_in(location)
        mixed = await back(here, note, code=code, state=state, iss="https://evil.example")
        assert mixed[0] == 401


async def test_a_provider_that_is_away_or_odd_is_a_503(database: Database, tmp_path: Path):
    async with served(database, tmp_path) as (here, provider):
        provider.status = 500
        assert (await here.ask("GET", START))[0] == 503
        provider.status = 200
        for odd in (
            {"issuer": "https://evil.example"},
            {"token_endpoint": "http://evil.example/token"},
            {"jwks_uri": "file:///etc/passwd"},
            {"authorization_endpoint": None},
            {"padding": "x" * 300_000},
        ):
            provider.document = odd
            assert (await here.ask("GET", START))[0] == 503
        provider.document = {}
        assert (await here.ask("GET", START))[0] == 303


async def test_a_planted_session_does_not_outlast_the_sign_in(database: Database, tmp_path: Path):
    async with served(database, tmp_path) as (here, provider):
        _, planted = await here.person(name="Mallory")
        location, note = await begun(here)
        code, state = provider.sign_in(location)
        headers = {"Cookie": f"citadel_signin={note}; citadel_session={planted}"}
        path = f"{CALLBACK}?code={code}&state={state}"
        status, _, response = await here.ask("GET", path, headers=headers)
        assert status == 303
        assert response.cookies["citadel_session"].value != planted
        assert (await here.ask("GET", "/api/session", cookie=planted))[0] == 401


async def test_the_page_is_told_how_one_can_sign_in(database: Database, tmp_path: Path):
    async with served(database, tmp_path) as (here, _):
        assert (await here.ask("GET", "/api/session/methods"))[1] == {"link": True, "oidc": True}
    async with room(database) as here:
        assert (await here.ask("GET", "/api/session/methods"))[1] == {"link": True, "oidc": False}
        assert (await here.ask("GET", START))[0] == 404
