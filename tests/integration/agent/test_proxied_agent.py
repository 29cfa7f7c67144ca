"""A real agent that publishes through the API proxy, and what the proxy may do to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests import proxy as proxies
from tests.integration.agent.conftest import AgentProcess, alive, until
from tests.proxy import ADD, CONSUME, PUBLISH, SOCKET, TOKEN, WORKER_CONFIG, FakeProxy

NEW_TOKEN = "device-token-2"


@pytest.fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    async with proxies.running() as running:
        yield running


class TokenFile:
    """The device's token as the kubelet renews it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(TOKEN)

    def write(self, token: str) -> None:
        self.path.write_text(f"{token}\n")

    def remove(self) -> None:
        self.path.unlink()


@pytest.fixture
def token(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "device-token")


@pytest.fixture
async def start(
    start_agent: Callable[..., Awaitable[AgentProcess]], proxy: FakeProxy, token: TokenFile
) -> Callable[..., Awaitable[AgentProcess]]:
    async def begin(**more: Any) -> AgentProcess:
        settings = {
            "publish": "api", "api_base_url": proxy.base, "api_token_file": str(token.path),
            "fake_gpu": "h100x2",
        }  # fmt: skip
        return await start_agent(**(settings | more))

    return begin


def job(number: str, config: dict[str, Any], node: str = "n1") -> dict[str, Any]:
    payload = json.dumps({"config": config})
    data = {"jobId": number, "type": "APPLY_DEVICE_CONFIG", "nodeId": node, "payload": payload}
    return {"id": number, "data": data}


def secrets_told(agent: AgentProcess) -> bool:
    told = json.dumps(agent.lines)
    return TOKEN in told or NEW_TOKEN in told


async def heartbeat(agent: AgentProcess) -> dict[str, Any]:
    return (await agent.get("/health"))["heartbeat"]


async def test_a_life_through_the_proxy_from_the_first_word_to_the_last(
    start, proxy: FakeProxy, tmp_path: Path
):
    agent = await start(state_folder=str(tmp_path / "state"))
    await until(proxy.statuses)
    first = proxy.statuses()[0]
    assert (first["nodeId"], first["seq"], len(first["status"]["gpu"])) == ("n1", 1, 2)
    await until(lambda: proxy.of_type("publish"))
    assert proxy.of_type("publish")[-1]["channel"] == "node:status:org:acme:n1"
    proxy.jobs.append(job("1-0", {"deviceName": "nobody's"}, "n2"))
    proxy.jobs.append(job("2-0", {"deviceName": "far", "revision": "r1"}))
    proxy.jobs.append(job("3-0", {"services": 7}))
    await until(lambda: proxy.acknowledged == ["1-0", "2-0", "3-0"])
    await until(lambda: "error" in proxy.statuses()[-1]["status"].get("config", {}))
    status = proxy.statuses()[-1]["status"]
    assert status["config"]["revision"] == "r1"
    assert status["node"]["display_name"] == "far"
    assert "services" in proxy.streams["dlq:v1:config"][0]["reason"]
    assert proxy.statuses()[-1]["agent"]["transport"] == "websocket"
    assert await agent.stop() < 5
    assert agent.process.returncode == 0
    last = proxy.statuses()[-1]
    assert last["goodbye"]["reason"] == "terminating"
    numbers = [message["seq"] for message in proxy.statuses()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert agent.find("goodbye")["said"] is True
    assert not secrets_told(agent)


async def test_a_token_that_is_refused_and_then_renewed_needs_no_restart(
    start, proxy: FakeProxy, token: TokenFile
):
    proxy.tokens = {NEW_TOKEN}
    agent = await start()
    await until(lambda: agent.find("publish_failed"))
    health = await heartbeat(agent)
    assert health["state"] == "unknown"
    assert "401" in health["lastError"]
    assert not proxy.statuses()
    token.write(NEW_TOKEN)
    await until(proxy.statuses)
    await until(lambda: agent.find("publish_failed_recovered"))
    assert (await heartbeat(agent))["state"] == "ok"
    token.remove()
    await until(lambda: len([x for x in agent.lines if x["event"] == "publish_failed"]) == 2)
    token.write(NEW_TOKEN)
    assert not secrets_told(agent)
    assert await agent.stop() < 5
    assert "goodbye" in proxy.statuses()[-1]


@pytest.mark.parametrize(
    "answers",
    [
        [(403, {"error": "insufficient_scope"}, {}), (500, "<html>", {})],
        [(302, "", {"Location": "http://elsewhere/"}), (200, "no json", {})],
    ],
    ids=["refuses", "is-another"],
)
async def test_a_proxy_that_refuses_for_a_while_is_a_failure_and_then_none(
    start, proxy: FakeProxy, answers: list[tuple[int, Any, dict[str, str]]]
):
    for status, body, headers in answers:
        proxy.tell(ADD, status, body, headers=headers, times=1)
    agent = await start()
    await until(proxy.statuses)
    assert len(proxy.asked(ADD)) >= len(answers) + 1
    assert agent.find("publish_failed")["error"]
    assert await agent.stop() < 5
    assert "goodbye" in proxy.statuses()[-1]


async def test_a_proxy_that_asks_for_an_hour_is_given_it_and_gets_the_last_word_all_the_same(
    start, proxy: FakeProxy
):
    proxy.tell(ADD, 429, {"error": "rate_limited", "retry_after": 3600}, times=1)
    agent = await start()
    await until(lambda: agent.find("publish_failed"))
    await asyncio.sleep(2.5)
    assert len(proxy.asked(ADD)) == 1
    assert await agent.stop() < 5
    assert len(proxy.asked(ADD)) == 2
    assert "goodbye" in proxy.statuses()[-1]


@pytest.mark.parametrize("paths", [(ADD,), (SOCKET, PUBLISH, CONSUME), (WORKER_CONFIG,)])
async def test_sigterm_ends_in_time_though_the_proxy_hangs(
    start, proxy: FakeProxy, paths: tuple[str, ...]
):
    for path in paths:
        proxy.tell(path, hang=True)
    agent = await start()
    await until(lambda: all(proxy.asked(path) for path in paths))
    children = agent.children()
    assert await agent.stop() < 5
    assert agent.process.returncode == 0
    assert not [pid for pid in children if alive(pid)]
    durable = ADD not in paths and WORKER_CONFIG not in paths
    assert bool(proxy.statuses() and "goodbye" in proxy.statuses()[-1]) is durable


async def test_sigterm_ends_in_time_though_the_socket_is_half_open(start, proxy: FakeProxy):
    agent = await start()
    await until(lambda: proxy.of_type("publish"))
    for socket in proxy.sockets:
        socket._req.transport.pause_reading()
    assert await agent.stop() < 4
    assert "goodbye" in proxy.statuses()[-1]
