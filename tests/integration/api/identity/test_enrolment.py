"""Enrolment over HTTP, by the wire contract and by our own client."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from citadel_k8s.aio.clock import ManualClock, SystemClock
from citadel_k8s.api.identity.deviceauth import NO_MESH
from citadel_k8s.clients.enroll import enroll
from citadel_k8s.clients.enrolment import EnrolError
from citadel_k8s.models.identity import Role
from citadel_k8s.stores.postgres.database import Database
from tests.integration.api.identity.rooms import Room, room

START = "/api/fabric/device-auth/start"
POLL = "/api/fabric/device-auth/token"
APPROVE = "/api/fabric/device-auth/approve"
DENY = "/api/fabric/device-auth/deny"
PENDING = "/api/fabric/device-auth/pending"
DEREGISTER = "/api/fabric/device-auth/deregister"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
GO_CLIENT = {"client_id": "citadel-cli", "client_version": "1.0.0", "hostname": "gpu-1"}


async def started(here: Room, **changes: Any) -> dict[str, Any]:
    status, body, _ = await here.ask("POST", START, json=GO_CLIENT | changes)
    assert status == 200
    return body


async def polled(here: Room, code: str) -> tuple[int, dict[str, Any]]:
    body = {"device_code": code, "grant_type": GRANT}
    status, answer, _ = await here.ask("POST", POLL, json=body)
    return status, answer


async def rested(database: Database) -> None:
    """Let the pace between two polls pass."""
    async with database.transaction() as connection:
        await connection.execute("UPDATE device_auths SET polled_at = NULL")


async def test_a_device_is_let_in_to_the_letter_of_the_contract(database: Database, tmp_path: Path):
    key = tmp_path / "authkey"
    key.write_text("mesh-key-1\n")
    enrolment = {"authkey_file": key, "nexus_url": "https://nexus.example"}
    async with room(database, public_url="https://fabric.example/", enrolment=enrolment) as here:
        user, cookie = await here.person(Role.EDITOR, email="ann@acme.example")
        begun = await started(here, machine_id="m1", force_new=False)
        assert set(begun) == {
            "device_code",
            "user_code",
            "verification_uri",
            "verification_uri_complete",
            "expires_in",
            "interval",
        }
        assert (begun["expires_in"], begun["interval"]) == (600, 5)
        assert begun["verification_uri"] == "https://fabric.example/device"
        complete = f"https://fabric.example/device?code={begun['user_code']}"
        assert begun["verification_uri_complete"] == complete

        status, answer = await polled(here, begun["device_code"])
        assert (status, answer["error"]) == (400, "authorization_pending")
        status, answer = await polled(here, begun["device_code"])
        assert (status, answer["error"]) == (400, "slow_down")

        path = f"{PENDING}?user_code={begun['user_code'].lower()}"
        status, waiting, _ = await here.ask("GET", path, cookie=cookie)
        assert status == 200
        assert (waiting["hostname"], waiting["node_id"]) == ("gpu-1", "gpu-1")
        status, approved = await here.change(
            "POST", APPROVE, cookie, {"user_code": begun["user_code"]}
        )
        assert status == 200
        assert (approved["state"], approved["org_id"]) == ("approved", "acme")

        await rested(database)
        status, answer = await polled(here, begun["device_code"])
        assert status == 200
        token = answer.pop("device_api_token")
        assert answer == {
            "authkey": "mesh-key-1",
            "expires_in": 3600,
            "nexus_url": "https://nexus.example",
            "org_id": "acme",
            "org_name": "Acme",
            "api_base_url": "https://fabric.example",
            "user_email": "ann@acme.example",
            "user_name": "Ann",
        }
        _, who, _ = await here.ask("GET", "/api/session", token=token)
        assert (who["orgId"], who["nodeId"]) == ("acme", "gpu-1")
        (row,) = await here.tokens.list("acme")
        assert row.created_by == f"user:{user.user_id}"

        await rested(database)
        status, answer = await polled(here, begun["device_code"])
        assert (status, answer["error"]) == (400, "expired_token")


async def test_our_own_client_gets_in(database: Database):
    async with room(database) as here:
        _, cookie = await here.person(Role.EDITOR)
        shown = asyncio.Event()

        async def approve() -> None:
            await shown.wait()
            async with database.transaction() as connection:
                await connection.execute("UPDATE device_auths SET pace_seconds = 1")
                cursor = await connection.execute("SELECT user_code FROM device_auths")
                (row,) = await cursor.fetchall()
            body = {"user_code": row["user_code"]}
            assert (await here.change("POST", APPROVE, cookie, body))[0] == 200

        async with asyncio.TaskGroup() as group:
            group.create_task(approve())
            enrolment = await enroll(
                here.base, "gpu-7", "m1", tell=lambda _: shown.set(), clock=SystemClock()
            )
        assert enrolment.authkey == NO_MESH
        assert enrolment.org_id == "acme"
        assert enrolment.api_base_url == here.base
        assert enrolment.device_api_token is not None
        status, who, _ = await here.ask("GET", "/api/session", token=enrolment.device_api_token)
        assert (status, who["nodeId"]) == (200, "gpu-7")


async def test_our_own_client_is_told_that_it_was_refused(database: Database):
    async with room(database) as here:
        _, cookie = await here.person(Role.EDITOR)

        shown = asyncio.Event()

        async def deny() -> None:
            await shown.wait()
            async with database.transaction() as connection:
                cursor = await connection.execute("SELECT user_code FROM device_auths")
                (row,) = await cursor.fetchall()
            body = {"user_code": row["user_code"]}
            assert (await here.change("POST", DENY, cookie, body))[0] == 200

        async with asyncio.TaskGroup() as group:
            group.create_task(deny())
            with pytest.raises(EnrolError, match="refused in the browser"):
                await enroll(
                    here.base, "gpu-7", "", tell=lambda _: shown.set(), clock=SystemClock()
                )
        assert await here.tokens.list("acme") == ()


async def test_of_many_polls_one_gets_the_token(database: Database):
    async with room(database) as here:
        _, cookie = await here.person(Role.EDITOR)
        begun = await started(here)
        await here.change("POST", APPROVE, cookie, {"user_code": begun["user_code"]})
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(polled(here, begun["device_code"])) for _ in range(6)]
        answers = [task.result() for task in asked]
        assert sorted(status for status, _ in answers) == [200, *[400] * 5]
        assert len(await here.tokens.list("acme")) == 1


async def test_the_probe_is_answered(database: Database):
    async with room(database) as here:
        assert (await here.ask("HEAD", START))[0] == 204


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"grant_type": GRANT}, "bad_request"),
        ({"device_code": "x", "grant_type": "password"}, "unsupported_grant_type"),
        ({"device_code": "x", "grant_type": GRANT}, "expired_token"),
        ({"device_code": "' OR 1=1 --", "grant_type": GRANT}, "expired_token"),
        ({"device_code": 7, "grant_type": GRANT}, "bad_request"),
        ({"device_code": "\ud800", "grant_type": GRANT}, "bad_request"),
    ],
)
async def test_a_poll_that_makes_no_sense_is_a_400(
    database: Database, body: dict[str, Any], error: str
):
    async with room(database) as here:
        status, answer, _ = await here.ask("POST", POLL, json=body)
        assert (status, answer["error"]) == (400, error)


async def test_who_approves_is_at_least_an_editor_and_signed_in(database: Database):
    async with room(database) as here:
        begun = await started(here)
        body = {"user_code": begun["user_code"]}
        _, viewer = await here.person(Role.VIEWER)
        assert (await here.change("POST", APPROVE, viewer, body))[0] == 403
        assert (await here.ask("POST", APPROVE, json=body))[0] == 401
        _, raw = await here.tokens.create("acme", "n", created_by="t")
        assert (await here.ask("POST", APPROVE, json=body, token=raw))[0] == 403
        _, editor = await here.person(Role.EDITOR)
        status, _, _ = await here.ask("POST", APPROVE, json=body, cookie=editor)
        assert status == 403  # by cookie alone: another site's page could do that
        assert (await polled(here, begun["device_code"]))[1]["error"] == "authorization_pending"


async def test_a_code_is_decided_once(database: Database):
    async with room(database) as here:
        begun = await started(here)
        body = {"user_code": begun["user_code"]}
        _, ours = await here.person(Role.EDITOR)
        _, theirs = await here.person(Role.EDITOR, org_id="other", name="Eve")
        assert (await here.change("POST", APPROVE, ours, body))[0] == 200
        assert (await here.change("POST", APPROVE, theirs, body))[0] == 404
        assert (await here.change("POST", DENY, theirs, body))[0] == 404
        assert (await polled(here, begun["device_code"]))[1]["org_id"] == "acme"


async def test_a_hostname_that_is_no_node_id_needs_one(database: Database):
    async with room(database) as here:
        _, cookie = await here.person(Role.EDITOR)
        begun = await started(here, hostname="!!!")
        body = {"user_code": begun["user_code"]}
        assert (await here.change("POST", APPROVE, cookie, body))[0] == 400
        status, answer = await here.change("POST", APPROVE, cookie, {**body, "node_id": "gpu-9"})
        assert (status, answer["node_id"]) == (200, "gpu-9")


async def test_guessing_codes_is_slow(database: Database):
    async with room(database) as here:
        _, cookie = await here.person(Role.EDITOR)
        body = {"user_code": "BCDF-GHJK"}
        asked = [await here.change("POST", APPROVE, cookie, body) for _ in range(21)]
        assert [status for status, _ in asked] == [*[404] * 20, 429]


async def test_one_address_cannot_start_without_end(database: Database):
    async with room(database, clock=ManualClock()) as here:
        asked = [await here.ask("POST", START, json=GO_CLIENT) for _ in range(21)]
        assert [status for status, _, _ in asked] == [*[200] * 20, 429]
        assert asked[-1][1]["retry_after"] == 5
        assert asked[-1][2].headers["Retry-After"] == "5"


async def test_a_mesh_key_that_cannot_be_read_uses_up_no_code(database: Database, tmp_path: Path):
    key = tmp_path / "authkey"
    async with room(database, enrolment={"authkey_file": key}) as here:
        _, cookie = await here.person(Role.EDITOR)
        begun = await started(here)
        await here.change("POST", APPROVE, cookie, {"user_code": begun["user_code"]})
        status, answer = await polled(here, begun["device_code"])
        assert status == 503
        assert str(key) not in str(answer)
        key.write_text("mesh-key-1")
        assert (await polled(here, begun["device_code"]))[0] == 200


async def test_an_enrolled_node_is_known_before_it_reports(database: Database):
    async with room(database) as here:
        _, cookie = await here.person(Role.EDITOR)
        begun = await started(here)
        await here.change("POST", APPROVE, cookie, {"user_code": begun["user_code"]})
        await polled(here, begun["device_code"])
        assert await here.orgs.org_of_node(["gpu-1"]) == {"gpu-1": ["acme"]}


async def test_a_device_that_leaves_ends_its_own_token(database: Database):
    async with room(database) as here:
        _, raw = await here.tokens.create("acme", "n", created_by="t", node_id="gpu-1")
        _, other = await here.tokens.create("acme", "n", created_by="t", node_id="gpu-2")
        _, free = await here.tokens.create("acme", "n", created_by="t")
        for credential in (None, other, free, "act_" + "x" * 43):
            status, _, _ = await here.ask(
                "POST", DEREGISTER, token=credential, json={"node_name": "gpu-1"}
            )
            assert status == 404
        assert (await here.ask("GET", "/api/session", token=raw))[0] == 200
        status, _, _ = await here.ask("POST", DEREGISTER, token=raw, json={"node_name": "gpu-1"})
        assert status == 200
        assert (await here.ask("GET", "/api/session", token=raw))[0] == 401
        assert (await here.ask("GET", "/api/session", token=other))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"client_id": 7},
        {"client_id": "x" * 300},
        {"client_id": "x", "hostname": "h" * 600},
        {"client_id": "x", "force_new": "yes"},
        [],
        None,
    ],
)
async def test_a_start_that_makes_no_sense_is_a_400(database: Database, body: Any):
    async with room(database) as here:
        assert (await here.ask("POST", START, json=body))[0] == 400


async def test_odd_hostnames_are_kept_as_text(database: Database):
    async with room(database) as here:
        _, cookie = await here.person(Role.EDITOR)
        odd = "gpu\u0000\r\n'; --\u202e"
        begun = await started(here, hostname=odd, something_new=1)
        path = f"{PENDING}?user_code={begun['user_code']}"
        _, waiting, _ = await here.ask("GET", path, cookie=cookie)
        assert not any(c in waiting["hostname"] for c in "\0\r\n\u202e")
        assert waiting["node_id"] == "gpu"
