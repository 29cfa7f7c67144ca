"""Who listens while requests are made: pages, nodes' sockets, and the machines of each org."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from citadel_k8s.domain.keys import org_events_channel, org_events_stream
from tests.integration.api.isolation import HOUSE, ORGS, Org, Owners
from tests.integration.api.isolation_world import ALL_RAIDS, BOOTLESS, DIALLED, World, delta

EVENTS, SOCKET = "/api/fabric/events", "/api/fabric/ws"
PROXY = "/api/fabric/redis/ws"

OWN_CHANNELS = ("node:status:gpu-1", "stream:v1:shared", "config:node:gpu-1")
"""Channels that each org has, by the same name."""

PACE = 0.02
"""Seconds between two things that are told to each org."""


@dataclass
class Ear:
    """One listener and all that it heard."""

    org: str
    kind: str
    heard: list[str] = field(default_factory=list)
    ready: bool = False


@dataclass
class Ears:
    """Listeners of all orgs, and who speaks to them."""

    base: str
    owners: Owners
    world: World
    client: aiohttp.ClientSession
    ears: list[Ear] = field(default_factory=list)
    told: dict[str, set[str]] = field(default_factory=lambda: {org: set() for org in ORGS})
    speaking: asyncio.Event = field(default_factory=asyncio.Event)
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    expected: int = 0
    over: bool = False

    def begin(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Listen and speak until the tasks are cancelled."""
        tasks = [group.create_task(self._speak())]
        for name in ORGS:
            keys = self.owners.orgs[name].credentials
            listening = [
                *(
                    c
                    for who in ("viewer", "bound", "workload")
                    for c in self._people(name, keys[who])
                ),
                *(self._node(name, keys[who]) for who in ("talker", "unbound")),
            ]
            tasks += [group.create_task(listener) for listener in listening]
        self.expected = len(tasks) - 1
        self.speaking.set()
        return tasks

    async def settled(self) -> None:
        """Wait until all listen: each has heard something, nodes the last refusal of a name."""
        async with asyncio.timeout(20):
            while len(self.ears) < self.expected or not all(e.ready for e in self.ears):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def hush(self) -> None:
        """Have nothing told any more, until `speaking` is set again."""
        self.speaking.clear()
        await self.quiet.wait()

    def _people(self, org: str, headers: dict[str, str]) -> list[Coroutine[Any, Any, None]]:
        return [self._page(org, headers), self._socket(org, headers)]

    async def _page(self, org: str, headers: dict[str, str]) -> None:
        ear = self._ear(org, "SSE")
        timeout = aiohttp.ClientTimeout(total=None)
        async with self.client.get(
            self.base + EVENTS, headers=headers, timeout=timeout
        ) as response:
            while line := await response.content.readline():
                ear.heard.append(line.decode())
                ear.ready = True

    async def _socket(self, org: str, headers: dict[str, str]) -> None:
        ear = self._ear(org, "WebSocket")
        async with self.client.ws_connect(self.base + SOCKET, headers=headers) as socket:
            await socket.send_json({"type": "subscribe"})
            async for message in socket:
                ear.heard.append(str(message.data))
                ear.ready = True

    async def _node(self, org: str, headers: dict[str, str]) -> None:
        """Listen as a node: to one's own, and to whatever another's may be called."""
        ear, owner = self._ear(org, "proxy WebSocket"), self.owners.orgs[org]
        async with self.client.ws_connect(self.base + PROXY, headers=headers) as socket:
            names = list(OWN_CHANNELS)
            for other in ORGS:
                names += [f"org:{other}:node:status:gpu-1", f"node:status:org:{other}:gpu-1",
                          f"fabric:org:{other}:events", f"fabric:live:{other}:gpu-2"]  # fmt: skip
            for name in [*names, "*", "node:status:*", "quota:*"]:
                await socket.send_json({"type": "subscribe", "channels": [name]})
            async for message in socket:
                ear.heard.append(str(message.data))
                frame = json.loads(message.data)
                ear.ready = ear.ready or "quota" in message.data
                if frame["type"] == "live":
                    said = {"nodeId": "gpu-2", "bootId": f"boot-{org}-gpu-2",
                            "status": {"node": {"name": owner.mark()}}}  # fmt: skip
                    answer = {"type": "live_answer", "id": frame["id"], "ok": True, "status": said}
                    await socket.send_json(answer)

    async def _speak(self) -> None:
        server = self.world.redis
        # Not ended by a cancellation alone: a client of Redis may swallow it.
        while not self.over:
            self.quiet.set()
            await self.speaking.wait()
            self.quiet.clear()
            for name in ORGS:
                org = self.owners.orgs[name]
                text = delta(org)
                place = (await server.xadd(org_events_stream(name), {"d": text})).decode()
                self.told[name].add(place)
                # What a later request asks to go on from.
                org.has["place"] = [*org.has["place"][-50:], place]
                event = json.dumps({"event": place, "delta": json.loads(text)})
                await server.publish(org_events_channel(name), event)
                for channel in OWN_CHANNELS:
                    said = json.dumps({"nodeId": "gpu-1", "note": org.mark()})
                    await server.publish(f"org:{name}:{channel}", said)
            house = self.owners.orgs[HOUSE]
            for channel in OWN_CHANNELS:
                await server.publish(channel, json.dumps({"nodeId": "gpu-1", "n": house.mark()}))
            self.quiet.set()
            await asyncio.sleep(PACE)

    def _ear(self, org: str, kind: str) -> Ear:
        self.ears.append(Ear(org, kind))
        return self.ears[-1]


@asynccontextmanager
async def machines(owners: Owners) -> AsyncIterator[dict[str, int]]:
    """Run each org's machines on addresses of the loopback; give the port of each org's."""
    ports: dict[str, int] = {}
    async with AsyncExitStack() as stack:
        for name in ORGS:
            org = owners.orgs[name]
            runner = web.AppRunner(_machine(org), access_log=None)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            for node_id in (*DIALLED, *ALL_RAIDS):
                address = org.address(int(node_id.removeprefix("gpu-")))
                await web.TCPSite(runner, address, ports.get(name, 0)).start()
                ports.setdefault(name, runner.addresses[0][1])
        yield ports


def _machine(org: Org) -> web.Application:
    async def status(request: web.Request) -> web.Response:
        socket: Any = request.transport
        node_id = "gpu-" + socket.get_extra_info("sockname")[0].rpartition(".")[2]
        said: dict[str, Any] = {"version": "1.0", "nodeId": node_id}
        said["status"] = {"node": {"name": org.mark()}, "services": [{"models": [org.mark()]}]}
        if node_id not in BOOTLESS:
            said["bootId"] = f"boot-{org.name}-{node_id}"
        return web.json_response(said)

    app = web.Application()
    app.router.add_get("/status", status)
    return app
