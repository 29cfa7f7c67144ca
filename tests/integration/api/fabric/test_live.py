"""Live questions to real agents and to servers on this host, through the whole API."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tests.integration.api.fabric.world import World, message, serving
from tests.unit.api.frame.serving import Running
from tests.unit.api.live.nodes import FakeNode, body, fake_node, response, says, silent

PATH = "/api/fabric/nodes/a/live"


@asynccontextmanager
async def known(world: World, node: FakeNode, **more: Any) -> AsyncIterator[None]:
    """Have a node in the database that is at a fake one's port."""
    status = message("a", addresses=["127.0.0.1"], statusPort=node.port, bootId="b1")
    await world.node("a", boot_id="b1", status=status | more)
    yield


async def ask(api: Running, path: str = PATH) -> dict[str, Any]:
    status, told, _ = await api.ask(path, who="viewer")
    assert status == 200, told
    return told


async def test_a_node_tells_its_status_now(world: World, api: Running) -> None:
    async with fake_node(says(response(body(seq=9)))) as node, known(world, node):
        told = await ask(api)

    assert (told["live"], told["status"]["seq"]) == (True, 9)
    assert told["address"] == f"127.0.0.1:{node.port}"
    assert told["node"]["id"] == "a"


async def test_what_goes_wrong_is_told_with_the_last_status(world: World, api: Running) -> None:
    bomb = response(gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip")
    away = response(b"", "302 Found", Location="http://169.254.169.254/latest/meta-data/")
    for data, step in (
        (response(b"{}", "401 Unauthorized"), "auth"),
        (bomb, "body"),
        (away, "body"),
        (response(body("b")), "identity"),
        (response(body("a", "former")), "identity"),
    ):
        async with fake_node(says(data)) as node:
            await world.run("DELETE FROM nodes")
            async with known(world, node), serving(world) as fresh_api:
                told = await ask(fresh_api)
        assert (told["live"], told["step"]) == (False, step)
        assert told["status"]["nodeId"] == "a"
        assert told["age"] == 5.0


async def test_a_silent_node_is_waited_for_no_longer_than_the_deadline(world: World) -> None:
    hasty = {"deadlineSeconds": 0.5}
    async with fake_node(silent) as node, known(world, node), serving(world, live=hasty) as api:
        began = asyncio.get_running_loop().time()
        told = await ask(api)
        took = asyncio.get_running_loop().time() - began

    assert (told["live"], told["step"]) == (False, "timeout")
    assert took < 2


async def test_addresses_outside_the_allowed_networks_are_not_dialled(world: World) -> None:
    async with fake_node(says(response(body()))) as node, known(world, node):
        for cidrs in (["100.64.0.0/10"], ["0.0.0.0/0", "::/0"]):
            async with serving(world, live={"allowedCidrs": cidrs}) as api:
                assert (await ask(api))["step"] == "address"

    assert node.heads == []


async def test_an_address_of_another_orgs_node_is_not_dialled(world: World, api: Running) -> None:
    await world.node("theirs", org="other", addresses=["127.0.0.1"])
    async with fake_node(says(response(body()))) as node, known(world, node):
        assert (await ask(api))["step"] == "address"
        await world.run("UPDATE nodes SET decommissioned_at = now() WHERE org_id = 'other'")
        assert (await ask(api))["step"] == "address"

    assert node.heads == []


async def test_who_reports_without_a_boot_id_is_not_told_what_another_process_says(
    world: World,
) -> None:
    # No mesh knows whose the address is; the node that is there has the same id in another org.
    async with fake_node(says(response(body("a", "theirs")))) as node:
        claims = {"addresses": ["127.0.0.1"], "statusPort": node.port}
        await world.node("a", status=message("a", **claims))
        async with serving(world) as api:
            told = await ask(api)
    assert (told["live"], told["step"]) == (False, "identity")

    async with fake_node(says(response(body("b", "first")))) as node:
        await world.node("b", age=None, addresses=["127.0.0.1"])
        async with serving(world) as api:
            told = await ask(api, "/api/fabric/nodes/b/live")
    assert told["step"] != "identity"


async def test_an_address_that_two_orgs_claim_is_nobodys_without_a_boot_id(world: World) -> None:
    bare = json.dumps(message("a")).encode()
    async with fake_node(says(response(bare))) as node:
        claims = {"addresses": ["127.0.0.1"], "statusPort": node.port}
        await world.node("a", status=message("a", **claims))
        async with serving(world) as api:
            assert (await ask(api))["live"]
        profile = {"name": "a", "address": "127.0.0.1"}
        await world.node("a", org="other", profile=profile)
        async with serving(world) as api:
            assert (await ask(api))["step"] == "address"


async def test_a_name_that_changes_its_meaning_leads_nowhere(world: World) -> None:
    class Rebinding:
        answers = [["127.0.0.1"], ["169.254.169.254"]]  # noqa: RUF012 - consumed by one test

        async def resolve(self, name: str) -> list[str]:
            return self.answers.pop(0)

    async with fake_node(says(response(body()))) as node:
        status = message("a", statusPort=node.port)
        await world.node("a", boot_id="b1", status=status, addresses=["gpu.mesh.example"])
        async with serving(world, resolver=Rebinding()) as api:
            assert (await ask(api))["live"] is True
            await asyncio.sleep(1.1)
            assert (await ask(api))["step"] == "address"

    assert len(node.heads) == 1


async def test_many_who_ask_at_once_are_one_question(world: World, api: Running) -> None:
    speak = says(response(body()))
    async with fake_node(speak) as node, known(world, node), asyncio.TaskGroup() as group:
        asking = [group.create_task(ask(api)) for _ in range(30)]

    assert all(task.result()["live"] for task in asking)
    assert len(node.heads) == 1


async def test_who_hangs_up_while_waiting_harms_nobody(world: World, api: Running) -> None:
    let = asyncio.Event()

    async def waits(_reader: Any, writer: asyncio.StreamWriter, _head: bytes) -> None:
        await let.wait()
        writer.write(response(body()))
        await writer.drain()

    async with fake_node(waits) as node, known(world, node), asyncio.TaskGroup() as group:
        asking = [group.create_task(ask(api)) for _ in range(5)]
        while not node.heads:  # noqa: ASYNC110 - a server tells nobody
            await asyncio.sleep(0.01)
        asking[0].cancel()
        await asyncio.sleep(0.05)
        let.set()

    assert [task.result()["live"] for task in asking[1:]] == [True] * 4


async def test_a_node_without_a_way_is_asked_by_its_own_connection(world: World) -> None:
    class Channel:
        async def ask(self, org_id: str, node_id: str, deadline: float) -> bytes | None:
            assert (org_id, node_id) == ("acme", "a")
            return body(seq=3)

    await world.node("a", boot_id="b1")
    async with serving(world, channel=Channel()) as api:
        told = await ask(api)

    assert (told["live"], told["address"], told["status"]["seq"]) == (True, "websocket", 3)


async def test_too_many_questions_at_once_are_refused_and_not_queued(world: World) -> None:
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(fake_node(silent))
        status = {"addresses": ["127.0.0.1"], "statusPort": node.port, "bootId": "b1"}
        for number in range(26):
            name = f"n{number}"
            await world.node(name, boot_id="b1", status=message(name, **status))
        api = await stack.enter_async_context(serving(world, live={"deadlineSeconds": 1.5}))
        async with asyncio.TaskGroup() as group:
            asking = [
                group.create_task(api.ask(f"/api/fabric/nodes/n{number}/live", who="viewer"))
                for number in range(26)
            ]
    codes = sorted(task.result()[0] for task in asking)

    assert codes == [200] * 24 + [429] * 2
    (refused, *_) = [task.result() for task in asking if task.result()[0] == 429]
    assert (refused[1]["error"], refused[1]["retry_after"]) == ("too_many_requests", 1)


async def test_the_answer_is_json_whatever_the_node_sends(world: World, api: Running) -> None:
    odd = json.dumps({"x": "</script>\u2028\x00é", "n": 1e300}, ensure_ascii=False)
    more = body()[:-1] + b"," + odd[1:].encode()
    async with fake_node(says(response(more))) as node, known(world, node):
        told = await ask(api)

    assert told["status"]["x"] == "</script>\u2028\x00é"
