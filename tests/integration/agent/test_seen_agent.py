"""What others see of a real agent: over TLS, on its disk, and as a second of its name."""

import json
import ssl
from pathlib import Path
from typing import Any

import aiohttp

from citadel_k8s import __version__
from citadel_k8s.agent.state import MARKER_FILE
from citadel_k8s.local import certs
from tests.integration.agent.conftest import AgentProcess, until
from tests.integration.configserver import Server

SECRET = "s3cret"


async def test_over_tls_a_token_or_a_certificate_opens_what_is_not_health(
    start_agent, tmp_path: Path
):
    pki = certs.make(tmp_path / "pki")
    token = token_file(tmp_path)
    agent = await start_agent(
        publish="none",
        fake_gpu="h100x2",
        http_cert_file=str(pki.server.certificate),
        http_key_file=str(pki.server.key),
        http_client_ca_file=str(pki.ca),
        http_token_file=str(token),
    )
    anybody = ssl.create_default_context(cafile=str(pki.ca))
    admin = ssl.create_default_context(cafile=str(pki.ca))
    admin.load_cert_chain(pki.admin.certificate, pki.admin.key)
    assert await ask(agent, "/health", anybody) == (200, {"status": "ok", "version": __version__})
    assert (await ask(agent, "/status", anybody))[0] == 401
    assert (await ask(agent, "/metrics", anybody, SECRET[:-1]))[0] == 401
    assert (await ask(agent, "/status", anybody, SECRET))[1]["nodeId"] == "n1"
    assert (await ask(agent, "/status", admin))[1]["nodeId"] == "n1"
    assert SECRET not in json.dumps(agent.lines)
    assert await agent.stop() < 5


def token_file(folder: Path) -> Path:
    file = folder / "token"
    file.write_text(SECRET)
    return file


async def ask(
    agent: AgentProcess, path: str, context: ssl.SSLContext, token: str = ""
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"https://127.0.0.1:{agent.port}{path}"
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(url, ssl=context) as response,
    ):
        text = await response.text()
        return response.status, json.loads(text) if response.status == 200 else text


async def test_two_agents_of_one_name_say_so_and_each_keeps_its_marker(
    start_agent, own_valkey, stream, tmp_path: Path
):
    folders = [tmp_path / "one", tmp_path / "two"]
    agents = [
        await start_agent(redis_url=own_valkey.url, fake_gpu="h100x2", state_folder=str(folder))
        for folder in folders
    ]
    # One of them takes it from their queue; the other one hears nothing of it.
    await Server(own_valkey).send({"agent": {"intervalSeconds": 6}}, revision="r1")

    async def told() -> bool:
        return all([rivals((await a.get("/status"))["status"]) for a in agents])

    await until(told, seconds=40)
    assert all(agent.find("duplicate_agent") for agent in agents)
    messages = await stream.messages()
    assert {m.interval_seconds for m in messages} == {5.0, 6.0}
    for folder in folders:
        marker = json.loads((folder / MARKER_FILE).read_text())
        assert (marker["state"], marker["nodeId"]) == ("ok", "n1")
        assert marker["lastSuccessAt"]
    assert [await agent.stop() < 5 for agent in agents] == [True, True]


def rivals(status: dict[str, Any]) -> list[dict[str, Any]]:
    return [c for c in status["collectors"] if c.get("reason") == "DuplicateAgent"]
