"""``kubectl fabric`` before a real API."""

import asyncio
import json
from pathlib import Path

import pytest

from citadel_k8s.domain.keys import org_events_stream
from tests.integration.api.conftest import WholeApi
from tests.integration.api.fabric.world import World
from tests.integration.cli.conftest import Fabric, command, environ

EVENTS = org_events_stream("acme")


def person(api: WholeApi, who: str = "viewer") -> dict[str, str]:
    secret = api.headers[who]["Cookie"].partition("=")[2]
    return {"CITADEL_API_URL": api.url(""), "CITADEL_API_TOKEN": secret}


def device(api: WholeApi) -> dict[str, str]:
    token = api.headers["device"]["Authorization"].removeprefix("Bearer ")
    return {"CITADEL_API_URL": api.url(""), "CITADEL_API_TOKEN": token}


async def test_a_person_sees_everything(api: WholeApi, world: World, fabric: Fabric):
    await world.node("gpu-1", labels={"zone": "a"})
    await world.node("gpu-2", verdict="Degraded")

    listed = await fabric("nodes", **person(api))
    assert listed.status == 0, listed.err
    assert [line.split()[:4] for line in listed.out.splitlines()[1:]] == [
        ["gpu-2", "Degraded", "8/8", "71%"],
        ["gpu-1", "Online", "8/8", "71%"],
    ]
    chosen = await fabric("nodes", "-l", "zone=a", "-o", "json", **person(api))
    assert [row["id"] for row in json.loads(chosen.out)] == ["gpu-1"]

    described = await fabric("describe", "gpu-2", **person(api))
    assert described.status == 0, described.err
    assert "GpuLost" in described.out
    for words in (["models"], ["events"]):
        assert (await fabric(*words, **person(api))).status == 0


async def test_a_node_that_nobody_can_ask_costs_the_exit_status(
    api: WholeApi, world: World, fabric: Fabric
):
    await world.node("gpu-1")
    asked = await fabric("live", "gpu-1", **person(api))
    assert asked.status == 1
    assert "not live: finding its address failed (address)" in asked.err
    missing = await fabric("live", "nope", **person(api))
    assert (missing.status, missing.err) == (
        1, 'error: fabricnodes.fabric.aceteam.ai "nope" not found\n',
    )  # fmt: skip


async def test_a_device_may_list_and_is_told_who_may_do_the_rest(
    api: WholeApi, world: World, fabric: Fabric
):
    await world.node("gpu-1")
    assert (await fabric("nodes", **device(api))).status == 0
    assert (await fabric("models", **device(api))).status == 0
    for words in (["describe", "gpu-1"], ["live", "gpu-1"], ["events"]):
        refused = await fabric(*words, **device(api))
        assert refused.status == 1
        assert "kubectl fabric login" in refused.err


@pytest.mark.parametrize("token", ["", "act_wrong", "cs_wrongwrongwrongwrongwrong"])
async def test_a_credential_that_does_not_hold_is_told(api: WholeApi, fabric: Fabric, token: str):
    refused = await fabric("nodes", CITADEL_API_URL=api.url(""), CITADEL_API_TOKEN=token)
    assert refused.status == 1
    assert "CITADEL_API_TOKEN" in refused.err
    assert not token or token not in refused.err


async def test_a_token_may_lie_in_a_file(
    api: WholeApi, world: World, fabric: Fabric, tmp_path: Path
):
    await world.node("gpu-1")
    file = tmp_path / "token"
    file.write_text(device(api)["CITADEL_API_TOKEN"] + "\n")
    words = ("nodes", "--api", api.url(""), "--token-file")
    assert (await fabric(*words, str(file))).status == 0
    missing = await fabric(*words, str(tmp_path / "none"))
    assert missing.status == 2
    assert "No such file" in missing.err


async def test_a_login_link_signs_in_once_and_logout_ends_it(
    api: WholeApi, fabric: Fabric, tmp_path: Path
):
    _, users, _ = await api.ask("/api/orgs/users", who="admin")
    viewer = next(user["userId"] for user in users["users"] if user["role"] == "viewer")
    _, made, _ = await api.ask(f"/api/orgs/users/{viewer}/link", "POST", who="admin")
    secret = made["url"].partition("token=")[2]
    link = f"{api.url('')}/api/session/link?token={secret}"

    signed = await fabric("login", link)
    assert signed.status == 0, signed.err
    assert secret not in signed.err
    kept = [file for file in (tmp_path / ".config").rglob("*") if file.is_file()]
    assert [file.stat().st_mode & 0o777 for file in kept] == [0o600]
    assert (await fabric("events", CITADEL_API_URL=api.url(""))).status == 0
    assert (await fabric("login", link)).status == 1
    assert (await fabric("login", "https://x/other?token=y")).status == 2

    assert (await fabric("logout", CITADEL_API_URL=api.url(""))).status == 0
    assert (await fabric("events", CITADEL_API_URL=api.url(""))).status == 1
    assert (await fabric("logout", CITADEL_API_URL=api.url(""))).status == 1


async def test_a_watch_prints_what_changes_and_ends_on_ctrl_c(
    api: WholeApi, world: World, tmp_path: Path
):
    await world.node("gpu-1")
    # Behind the first entry of a stream nobody knows whether there was one before.
    first = {"type": "node", "id": "gpu-1", "pulse": {}}
    await world.redis.xadd(EVENTS, {"d": json.dumps(first)})
    process = await asyncio.create_subprocess_exec(
        *command("nodes", "-w", "--no-headers"),
        env=environ(tmp_path, **person(api)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        assert (await process.stdout.readline()).split()[:2] == [b"gpu-1", b"Online"]
        delta = {"type": "node", "id": "gpu-1", "state": "Stale", "reason": "HeartbeatLate"}
        await world.redis.xadd(EVENTS, {"d": json.dumps(delta)})
        assert (await process.stdout.readline()).split()[:2] == [b"gpu-1", b"Stale"]
        process.send_signal(2)
        assert await process.wait() == 130


async def test_an_api_that_is_away_is_told(fabric: Fabric):
    away = await fabric("nodes", "--api", "http://127.0.0.1:1")
    assert away.status == 1
    assert away.err.startswith("error: the API at http://127.0.0.1:1: ")
    clear = await fabric("nodes", "--api", "http://api.example.org")
    assert (clear.status, "in clear" in clear.err) == (2, True)
