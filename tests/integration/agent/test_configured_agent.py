"""A whole agent that is told what to do while it runs, and still knows it after a restart."""

import json
from pathlib import Path

from citadel_k8s.agent.state import MARKER_FILE
from tests.integration.configserver import Server, until


async def test_an_agent_does_what_it_is_told_and_says_so_also_after_a_restart(
    start_agent, own_valkey, stream, tmp_path: Path
):
    server = Server(own_valkey)
    settings = {"redis_url": own_valkey.url, "state_folder": str(tmp_path / "state")}
    agent = await start_agent(**settings)
    await stream.until(lambda messages: len(messages) >= 1)
    await server.send(
        {
            "deviceName": "far", "customTags": ["team:a"], "services": ["vllm"],
            "sshEnabled": True, "agent": {"intervalSeconds": 7},
        },
        revision="r1",
    )  # fmt: skip
    await stream.until(lambda messages: told(messages[-1]) is not None)
    message = (await stream.messages())[-1]
    config = message.status.config
    assert (config.revision, config.unsupported, config.error) == ("r1", ["sshEnabled"], None)
    assert message.interval_seconds == 7
    await server.send({"services": 7})
    await stream.until(lambda messages: told(messages[-1]).error is not None)
    assert await agent.stop() < 5
    await start_agent(**settings)
    count = len(await stream.messages())
    await stream.until(lambda messages: len(messages) > count)
    first = (await stream.messages())[count]
    assert (first.seq, first.interval_seconds) == (1, 7)
    again = (await stream.messages())[-1].status.config
    assert (again.revision, again.applied_at) == ("r1", config.applied_at)
    marker = tmp_path / "state" / MARKER_FILE
    await until(lambda: json.loads(marker.read_text())["state"] == "ok")


def told(message):
    return message.status.config
