"""Signing in by links, sessions, and what another site may not do with them."""

import asyncio
from typing import Any

import pytest

from citadel_k8s.models.identity import Role
from citadel_k8s.stores.postgres.database import Database
from tests.integration.api.identity.rooms import CSRF, room


async def link(here: Any, user: Any) -> str:
    raw, _ = await here.logins.create_link(user.org_id, user.user_id)
    return raw


async def test_a_link_signs_in_once_and_its_secret_goes_no_further(database: Database):
    async with room(database) as here:
        user = await here.users.create("acme", "Ann", role=Role.ADMIN, email="ann@acme.example")
        raw = await link(here, user)
        status, _, response = await here.ask("GET", f"/api/session/link?token={raw}")
        assert status == 303
        assert response.headers["Location"] == "/"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cache-Control"] == "no-store"
        cookie = response.cookies["citadel_session"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert cookie["path"] == "/"
        assert not cookie["domain"]

        status, body, _ = await here.ask("GET", "/api/session", cookie=cookie.value)
        assert status == 200
        assert body["user"]["email"] == "ann@acme.example"
        assert (body["orgId"], body["orgName"], body["role"]) == ("acme", "Acme", "admin")

        again, refusal, replayed = await here.ask("GET", f"/api/session/link?token={raw}")
        assert again == 401
        assert raw not in refusal["error_description"]
        assert "Set-Cookie" not in replayed.headers


async def test_of_many_who_open_one_link_one_gets_in(database: Database):
    async with room(database) as here:
        user = await here.users.create("acme", "Ann", role=Role.VIEWER)
        raw = await link(here, user)
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(
                    here.ask("POST", "/api/session/link", json={"token": raw}, headers=CSRF)
                )
                for _ in range(8)
            ]
        assert sorted(task.result()[0] for task in asked) == [204, *[401] * 7]


async def test_a_preview_of_a_link_does_not_use_it_up(database: Database):
    async with room(database) as here:
        user = await here.users.create("acme", "Ann", role=Role.VIEWER)
        raw = await link(here, user)
        status, _, response = await here.ask("HEAD", f"/api/session/link?token={raw}")
        assert status == 405
        assert "Set-Cookie" not in response.headers
        assert (await here.ask("GET", f"/api/session/link?token={raw}"))[0] == 303


async def test_over_tls_the_cookie_is_the_hosts_own(database: Database):
    async with room(database, cookie_secure=True) as here:
        user = await here.users.create("acme", "Ann", role=Role.VIEWER)
        raw = await link(here, user)
        _, _, response = await here.ask("GET", f"/api/session/link?token={raw}")
        cookie = response.cookies["__Host-citadel_session"]
        assert cookie["secure"]
        plain = {"Cookie": f"citadel_session={cookie.value}"}
        assert (await here.ask("GET", "/api/session", headers=plain))[0] == 401


async def test_a_session_that_was_planted_is_not_the_one_that_signs_in(database: Database):
    async with room(database) as here:
        _, planted = await here.person(name="Mallory")
        victim = await here.users.create("acme", "Victim", role=Role.ADMIN)
        raw = await link(here, victim)
        _, _, response = await here.ask("GET", f"/api/session/link?token={raw}", cookie=planted)
        fresh = response.cookies["citadel_session"].value
        assert fresh != planted
        assert (await here.ask("GET", "/api/session", cookie=planted))[0] == 401
        _, body, _ = await here.ask("GET", "/api/session", cookie=fresh)
        assert body["user"]["name"] == "Victim"


async def test_signing_out_ends_the_session_at_once_and_takes_the_cookie_back(database: Database):
    async with room(database) as here:
        _, cookie = await here.person()
        status, _, response = await here.ask("DELETE", "/api/session", cookie=cookie, headers=CSRF)
        assert status == 204
        assert response.cookies["citadel_session"].value == ""
        assert (await here.ask("GET", "/api/session", cookie=cookie))[0] == 401
        # A stale cookie can be taken back, too.
        again = await here.ask("DELETE", "/api/session", cookie=cookie, headers=CSRF)
        assert again[0] == 204


async def test_whoever_has_no_session_leaves_no_trace_by_signing_out(database: Database):
    async with room(database) as here:
        for cookie in (None, "x" * 43):
            status, _, _ = await here.ask("DELETE", "/api/session", cookie=cookie, headers=CSRF)
            assert status == 204
        _, good = await here.person()
        await here.ask("DELETE", "/api/session", cookie=good, headers=CSRF)
        await here.service.stop()
    assert [row.action for row in here.rows] == ["session.begin", "session.end"]


@pytest.mark.parametrize("what", ["user", "org", "expired", "revoked"])
async def test_whoever_is_locked_out_is_out_at_the_next_request(database: Database, what: str):
    async with room(database) as here:
        user, cookie = await here.person()
        assert (await here.ask("GET", "/api/session", cookie=cookie))[0] == 200
        if what == "user":
            await here.users.disable("acme", user.user_id)
        elif what == "org":
            await here.orgs.disable("acme")
        elif what == "revoked":
            await here.logins.revoke_all("acme", user.user_id)
        else:
            async with database.transaction() as connection:
                await connection.execute("UPDATE sessions SET expires_at = now()")
        assert (await here.ask("GET", "/api/session", cookie=cookie))[0] == 401


async def test_a_link_of_somebody_locked_out_does_not_work(database: Database):
    async with room(database) as here:
        user = await here.users.create("acme", "Ann", role=Role.VIEWER)
        raw = await link(here, user)
        await here.users.disable("acme", user.user_id)
        assert (await here.ask("GET", f"/api/session/link?token={raw}"))[0] == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"X-Citadel-CSRF": "0"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://fabric.example.evil.example"}, 403),
        ({"X-Citadel-CSRF": "1"}, 201),
    ],
)
async def test_a_change_by_cookie_must_come_from_our_page(
    database: Database, headers: dict[str, str], status: int
):
    async with room(database, public_url="http://fabric.example") as here:
        _, cookie = await here.person()
        answer = await here.ask(
            "POST", "/api/orgs/tokens", cookie=cookie, headers=headers, json={"name": "n"}
        )
        assert answer[0] == status
        assert (await here.ask("GET", "/api/session", cookie=cookie))[0] == 200


async def test_a_change_with_our_origin_needs_no_header(database: Database):
    async with room(database, public_url="http://fabric.example/") as here:
        _, cookie = await here.person()
        headers = {"Origin": "http://fabric.example", "Host": "fabric.example"}
        status, _, _ = await here.ask(
            "POST", "/api/orgs/tokens", cookie=cookie, headers=headers, json={"name": "n"}
        )
        assert status == 201


async def test_a_bad_authorization_is_refused_though_the_cookie_is_good(database: Database):
    async with room(database) as here:
        _, cookie = await here.person()
        for bad in ("Bearer act_" + "x" * 43, "Bearer nonsense", "Basic YTpi", "Bearer a.b.c"):
            status, body, response = await here.ask(
                "GET", "/api/session", cookie=cookie, headers={"Authorization": bad}
            )
            assert status == 401
            assert body["error"] == "unauthorized"
            assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("cookie", ["", "x", "cs_" + "a" * 43, "cs_" + "%00" * 20, "a" * 4000])
async def test_made_up_cookies_are_nobodys(database: Database, cookie: str):
    async with room(database) as here:
        assert (await here.ask("GET", "/api/session", cookie=cookie))[0] == 401


async def test_no_secret_is_in_the_audit_log(database: Database):
    async with room(database) as here:
        user = await here.users.create("acme", "Ann", role=Role.VIEWER)
        raw = await link(here, user)
        await here.ask("GET", f"/api/session/link?token={raw}")
        await asyncio.sleep(0.7)
        (row,) = here.rows
        assert (row.action, row.org_id, row.target) == (
            "session.begin",
            "acme",
            f"user:{user.user_id}",
        )
        assert raw not in repr(row)
