"""A header that a proxy in front vouches for: believed from its addresses, and from no others."""

from typing import Any

import pytest

from citadel_k8s.models.identity import Role
from citadel_k8s.stores.postgres.database import Database
from tests.integration.api.identity.rooms import CSRF, room

HEADER = "Tailscale-User-Login"


def trusted(**changes: Any) -> dict[str, Any]:
    return {"name": HEADER, "from_cidrs": ("127.0.0.0/8",), "org_id": "acme"} | changes


async def test_somebody_new_is_added_once_and_known_again(database: Database):
    async with room(database, trusted_header=trusted(role="editor")) as here:
        for login in ("ann@acme.example", "Ann@Acme.example"):
            status, body, _ = await here.ask("GET", "/api/session", headers={HEADER: login})
            assert status == 200
            assert (body["orgId"], body["role"]) == ("acme", "editor")
        (user,) = await here.users.list("acme")
        assert user.email == "ann@acme.example"


async def test_the_role_that_somebody_has_stays(database: Database):
    async with room(database, trusted_header=trusted()) as here:
        await here.users.create("acme", "Ann", role=Role.ADMIN, email="ann@acme.example")
        await here.users.create("other", "Ann", role=Role.VIEWER, email="ann@acme.example")
        _, body, _ = await here.ask("GET", "/api/session", headers={HEADER: "ann@acme.example"})
        assert (body["orgId"], body["role"]) == ("acme", "admin")


@pytest.mark.parametrize("cidrs", [("10.0.0.0/8",), ("::1/128",), ("127.0.0.2/32",)])
async def test_from_elsewhere_the_header_is_nobody(database: Database, cidrs: tuple[str, ...]):
    async with room(
        database,
        trusted_header=trusted(from_cidrs=cidrs),
        trusted_proxies=("127.0.0.0/8",),
    ) as here:
        forged = {HEADER: "ann@acme.example", "X-Forwarded-For": "10.1.2.3"}
        status, body, _ = await here.ask("GET", "/api/session", headers=forged)
        assert (status, body["error"]) == (401, "unauthorized")
        assert await here.users.list("acme") == ()


async def test_without_a_setting_no_header_counts(database: Database):
    async with room(database) as here:
        for name in (HEADER, "X-Forwarded-Email", "X-Forwarded-User"):
            headers = {name: "ann@acme.example"}
            assert (await here.ask("GET", "/api/session", headers=headers))[0] == 401


@pytest.mark.parametrize(
    "login", ["", "ann", "a b@x.example", "ann@x,eve@x", "<ann@x>", "x" * 300 + "@x", "@", "é\x80"]
)
async def test_a_header_that_is_no_address_is_refused(database: Database, login: str):
    async with room(database, trusted_header=trusted()) as here:
        assert (await here.ask("GET", "/api/session", headers={HEADER: login}))[0] == 401
        assert await here.users.list("acme") == ()


async def test_two_headers_are_refused(database: Database):
    async with room(database, trusted_header=trusted()) as here:
        two = [(HEADER, "ann@acme.example"), (HEADER, "eve@acme.example")]
        async with here.client.get(here.base + "/api/session", headers=two) as response:
            assert response.status == 401


async def test_whoever_is_locked_out_is_not_added_again(database: Database):
    async with room(database, trusted_header=trusted()) as here:
        user = await here.users.create("acme", "Ann", role=Role.ADMIN, email="ann@acme.example")
        await here.users.disable("acme", user.user_id)
        headers = {HEADER: "ann@acme.example"}
        assert (await here.ask("GET", "/api/session", headers=headers))[0] == 401
        assert len(await here.users.list("acme")) == 1


async def test_a_change_must_come_from_our_page_here_too(database: Database):
    async with room(database, trusted_header=trusted(role="admin")) as here:
        headers = {HEADER: "ann@acme.example"}
        body = {"name": "n"}
        status, answer, _ = await here.ask("POST", "/api/orgs/tokens", headers=headers, json=body)
        assert (status, answer["error"]) == (403, "csrf")
        ours = {**headers, **CSRF}
        assert (await here.ask("POST", "/api/orgs/tokens", headers=ours, json=body))[0] == 201


async def test_authorization_goes_before_the_cookie_and_that_before_the_header(
    database: Database,
):
    async with room(database, trusted_header=trusted()) as here:
        _, raw = await here.tokens.create("acme", "n", created_by="t", node_id="gpu-1")
        _, cookie = await here.person(name="Cookie")
        headers = {HEADER: "ann@acme.example"}
        _, body, _ = await here.ask(
            "GET", "/api/session", headers=headers, cookie=cookie, token=raw
        )
        assert body["kind"] == "device"
        _, body, _ = await here.ask("GET", "/api/session", headers=headers, cookie=cookie)
        assert body["user"]["name"] == "Cookie"
        # A session that is over gives way; a bad Authorization does not.
        _, body, _ = await here.ask("GET", "/api/session", headers=headers, cookie="cs_" + "x" * 43)
        assert body["user"]["email"] == "ann@acme.example"
        bad = "act_" + "x" * 43
        assert (await here.ask("GET", "/api/session", headers=headers, token=bad))[0] == 401
