"""Device tokens over HTTP: made, shown once, used, renewed, revoked."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from citadel_k8s.aio.clock import ManualClock, SystemClock
from citadel_k8s.api.identity.revocations import CHANNEL
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.models.identity import Role
from citadel_k8s.stores.channels import RedisChannel
from citadel_k8s.stores.postgres.database import Database
from tests.integration.api.identity.rooms import Room, room


async def made(here: Room, cookie: str, **wanted: Any) -> dict[str, Any]:
    status, body = await here.change("POST", "/api/orgs/tokens", cookie, {"name": "n", **wanted})
    assert status == 201
    return body


async def test_a_token_is_shown_once_and_speaks_for_its_node(database: Database):
    async with room(database) as here:
        user, cookie = await here.person()
        token = await made(here, cookie, nodeId="gpu-1", days=1)
        assert token["token"].startswith("act_")
        assert token["createdBy"] == f"user:{user.user_id}"
        _, listed, _ = await here.ask("GET", "/api/orgs/tokens", cookie=cookie)
        assert [one["tokenId"] for one in listed["tokens"]] == [token["tokenId"]]
        assert token["token"] not in str(listed)

        status, who, _ = await here.ask("GET", "/api/session", token=token["token"])
        assert status == 200
        assert who["kind"] == "device"
        assert who["nodeId"] == "gpu-1"
        assert who["orgId"] == "acme"
        assert who["subject"] == f"token:{token['tokenId']}"
        assert "device_authkey:write" not in who["scopes"]


async def test_a_revoked_token_is_refused_at_once(database: Database):
    async with room(database) as here:
        _, cookie = await here.person()
        token = await made(here, cookie)
        assert (await here.ask("GET", "/api/session", token=token["token"]))[0] == 200
        path = f"/api/orgs/tokens/{token['tokenId']}"
        assert (await here.change("DELETE", path, cookie))[0] == 204
        status, body, _ = await here.ask("GET", "/api/session", token=token["token"])
        assert status == 401
        assert token["token"] not in str(body)
        assert (await here.change("DELETE", path, cookie))[0] == 404


async def test_a_renewed_tokens_predecessor_works_for_its_grace_only(database: Database):
    async with room(database) as here:
        _, cookie = await here.person()
        token = await made(here, cookie, nodeId="gpu-1")
        path = f"/api/orgs/tokens/{token['tokenId']}/rotate"
        status, new = await here.change("POST", path, cookie, {"graceHours": 1})
        assert status == 201
        assert new["nodeId"] == "gpu-1"
        for raw in (token["token"], new["token"]):
            assert (await here.ask("GET", "/api/session", token=raw))[0] == 200
        assert (await here.change("POST", path, cookie, {}))[0] == 409
        path = f"/api/orgs/tokens/{new['tokenId']}/rotate"
        status, _ = await here.change("POST", path, cookie, {"graceHours": 0})
        assert status == 201
        assert (await here.ask("GET", "/api/session", token=new["token"]))[0] == 401


async def test_an_expired_token_is_refused_though_it_was_just_seen(database: Database):
    clock = ManualClock(_now=SystemClock().now())
    async with room(database, clock=clock) as here:
        _, raw = await here.tokens.create("acme", "n", created_by="t", life=timedelta(seconds=20))
        assert (await here.ask("GET", "/api/session", token=raw))[0] == 200
        clock.advance(21)
        assert (await here.ask("GET", "/api/session", token=raw))[0] == 401


@pytest.mark.parametrize("what", ["token", "org"])
async def test_without_redis_a_revocation_counts_within_half_a_minute(
    database: Database, what: str
):
    clock = ManualClock()
    async with room(database, clock=clock) as here:
        row, raw = await here.tokens.create("acme", "n", created_by="t")
        assert (await here.ask("GET", "/api/session", token=raw))[0] == 200
        if what == "token":
            await here.tokens.revoke("acme", row.token_id)
        else:
            await here.orgs.disable("acme")
        clock.advance(30)
        assert (await here.ask("GET", "/api/session", token=raw))[0] == 401


async def test_with_redis_a_revocation_reaches_other_replicas_at_once(
    database: Database, own_valkey: Valkey
):
    def channel() -> RedisChannel:
        return RedisChannel(own_valkey.url, CHANNEL)

    async with (
        room(database, channel=channel()) as here,
        room(database, channel=channel()) as there,
    ):
        _, cookie = await here.person()
        await asyncio.sleep(0.3)
        token = await made(here, cookie)
        assert (await there.ask("GET", "/api/session", token=token["token"]))[0] == 200
        await here.change("DELETE", f"/api/orgs/tokens/{token['tokenId']}", cookie)
        await asyncio.sleep(0.5)
        assert (await there.ask("GET", "/api/session", token=token["token"]))[0] == 401


async def test_nobody_sees_or_touches_another_orgs_tokens(database: Database):
    async with room(database) as here:
        _, ours = await here.person()
        _, theirs = await here.person(org_id="other", name="Eve")
        token = await made(here, ours)
        path = f"/api/orgs/tokens/{token['tokenId']}"
        assert (await here.change("DELETE", path, theirs))[0] == 404
        assert (await here.change("POST", path + "/rotate", theirs, {}))[0] == 404
        _, listed, _ = await here.ask("GET", "/api/orgs/tokens", cookie=theirs)
        assert listed["tokens"] == []
        after = f"/api/orgs/tokens?after={token['tokenId']}"
        assert (await here.ask("GET", after, cookie=theirs))[1]["tokens"] == []
        assert (await here.ask("GET", "/api/session", token=token["token"]))[0] == 200


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
async def test_only_admins_make_tokens_and_people(database: Database, role: Role):
    async with room(database) as here:
        _, cookie = await here.person(role)
        assert (await here.change("POST", "/api/orgs/tokens", cookie, {"name": "n"}))[0] == 403
        assert (await here.ask("GET", "/api/orgs/tokens", cookie=cookie))[0] == 403
        assert (await here.change("POST", "/api/orgs/users", cookie, {"name": "n"}))[0] == 403
        assert (await here.ask("GET", "/api/orgs/clusters", cookie=cookie))[0] == 403


async def test_a_device_makes_no_tokens(database: Database):
    async with room(database) as here:
        _, raw = await here.tokens.create("acme", "n", created_by="t")
        status, _, _ = await here.ask("POST", "/api/orgs/tokens", token=raw, json={"name": "n"})
        assert status == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "n", "nodeId": "a/b"},
        {"name": "n", "nodeId": "a\r\nb"},
        {"name": "n", "scopes": ["root"]},
        {"name": "n", "scopes": []},
        {"name": "n", "days": -1},
        {"name": "n", "days": 1e300},
        {"name": "n", "orgId": "other"},
        {"name": ["n"]},
    ],
)
async def test_a_token_that_makes_no_sense_is_not_made(database: Database, body: dict[str, Any]):
    async with room(database) as here:
        _, cookie = await here.person()
        status, answer = await here.change("POST", "/api/orgs/tokens", cookie, body)
        assert status == 400
        assert answer["error"] == "bad_request"


async def test_names_with_sql_in_them_are_names(database: Database):
    async with room(database) as here:
        _, cookie = await here.person()
        name = "'; DROP TABLE device_tokens; -- %s $1"
        token = await made(here, cookie, name=name)
        assert token["name"] == name
        assert (await here.change("DELETE", "/api/orgs/tokens/' OR 1=1", cookie))[0] == 404


async def test_the_use_of_a_token_is_noted(database: Database):
    async with room(database) as here:
        _, raw = await here.tokens.create("acme", "n", created_by="t")
        await here.ask("GET", "/api/session", token=raw)
        await here.identity._devices.note()
        (row,) = await here.tokens.list("acme")
        assert row.used_at is not None
