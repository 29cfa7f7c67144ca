"""The other side of a node's configuration, and nodes to listen to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis.asyncio

from citadel_k8s.agent.configuration import Configuration
from citadel_k8s.agent.state import State
from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.stores.channels import RedisChannel
from citadel_k8s.stores.configs import RedisConfigQueue

STREAM = "jobs:v1:config"
LETTERS = "dlq:v1:config"


class Server:
    """The other side: what a platform or an operator does by hand."""

    def __init__(self, valkey: Valkey) -> None:
        self.valkey = valkey

    async def send(self, config: Any, node: str = "n1", **fields: str) -> str:
        payload = config if isinstance(config, str) else json.dumps({"config": config})
        entry = {"type": "APPLY_DEVICE_CONFIG", "nodeId": node, "payload": payload, **fields}
        async with self.client() as client:
            return (await client.xadd(STREAM, entry)).decode()

    async def say(self, config: Any, node: str = "n1", **more: str) -> int:
        message = {"type": "config_updated", "nodeId": node, "config": config, **more}
        async with self.client() as client:
            return await client.publish(f"config:node:{node}", json.dumps(message))

    async def letters(self) -> list[dict[str, str]]:
        async with self.client() as client:
            found = await client.xrange(LETTERS)
        return [{k.decode(): v.decode() for k, v in fields.items()} for _, fields in found]

    async def all_done(self, node: str = "n1") -> None:
        """Wait until the node has nothing unfinished."""
        async with asyncio.timeout(5):
            while await self.pending(node):  # noqa: ASYNC110 - the server does not tell
                await asyncio.sleep(0.01)

    async def heard(self, config: Any, seconds: float = 15) -> None:
        """Say it until somebody listens."""
        async with asyncio.timeout(seconds):
            while not await self.say(config):  # noqa: ASYNC110 - the server does not tell
                await asyncio.sleep(0.01)

    async def pending(self, node: str = "n1") -> int:
        async with self.client() as client:
            return (await client.xpending(STREAM, f"citadel-config-{node}"))["pending"]

    def client(self) -> redis.asyncio.Redis:
        return redis.asyncio.Redis.from_url(self.valkey.url, protocol=2)


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is elsewhere
            await asyncio.sleep(0.005)


def configuration(
    url: str, node: str = "n1", folder: Path | None = None, **settings: Any
) -> Configuration:
    return Configuration(
        AgentSettings(**settings),
        node,
        queue=RedisConfigQueue(url, node, block=0.2),
        channel=RedisChannel(url, f"config:node:{node}"),
        state=State(folder, node),
    )


@asynccontextmanager
async def running(wanted: Configuration) -> AsyncIterator[Configuration]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(wanted.run())
        try:
            yield wanted
        finally:
            assert not task.done()
            task.cancel()
    await wanted.close()
