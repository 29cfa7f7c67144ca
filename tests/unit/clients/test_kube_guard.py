"""A client behind a guard writes only while it may, and gives up in time."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.clients.kube.transport import NOT_ALLOWED
from citadel_k8s.errors import KubeError
from tests.unit.clients.test_kube_transport import kubeconfig


class Server:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request.method)
        if request.method != "GET":
            await self.answer.wait()
        return web.json_response({"items": []})


@pytest_asyncio.fixture
async def server() -> Server:
    return Server()


@pytest_asyncio.fixture
async def client(server: Server, tmp_path: Path) -> AsyncIterator[KubeClient]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    file = tmp_path / "kube.conf"
    file.write_text(yaml.safe_dump(kubeconfig(f"http://127.0.0.1:{runner.addresses[0][1]}")))
    client = await KubeClient.connect(file)
    yield client
    server.answer.set()
    await client.close()
    await runner.cleanup()


WRITES = [
    lambda api: api.create_fabric_node({"metadata": {"name": "n"}}),
    lambda api: api.patch_fabric_node("n", {}),
    lambda api: api.patch_fabric_node_status("n", {}),
    lambda api: api.delete_fabric_node("n"),
    lambda api: api.create_fabric_status({}),
    lambda api: api.patch_fabric_status_status("n", {}),
    lambda api: api.patch_event("e", {}),
]


@pytest.mark.parametrize("seconds", [0.0, -1.0])
@pytest.mark.parametrize("write", WRITES)
async def test_what_is_not_allowed_is_not_sent(client, server, write, seconds):
    with pytest.raises(KubeError) as caught:
        await write(client.guarded(lambda: seconds))
    assert caught.value.status == NOT_ALLOWED
    assert server.asked == []


async def test_reading_is_always_allowed(client, server):
    assert await client.guarded(lambda: 0.0).get_fabric_node("n") == {"items": []}
    assert await client.guarded(lambda: 0.0).list_nodes() == []


async def test_a_write_is_given_up_when_the_time_is_over(client, server):
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(KubeError) as caught:
        await client.guarded(lambda: 0.1).patch_fabric_node("n", {})
    assert caught.value.status == 0
    assert 0.09 < loop.time() - began < 1


async def test_the_guard_is_asked_last_of_all(client, server):
    """While headers are made a token may be renewed, which takes as long as it takes."""
    allowed = [10.0]
    guarded = client.guarded(lambda: allowed[0])
    transport = guarded._transport
    make = transport._headers

    async def slow(content_type: str) -> dict[str, str]:
        headers = await make(content_type)
        allowed[0] = 0.0
        return headers

    transport._headers = slow
    with pytest.raises(KubeError, match="not sent"):
        await guarded.patch_fabric_node("n", {})
    assert server.asked == []


async def test_the_client_itself_stays_free(client, server):
    client.guarded(lambda: 0.0)
    server.answer.set()
    assert await client.patch_fabric_node("n", {}) == {"items": []}
