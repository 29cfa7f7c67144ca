"""Worker, API and their servers with a fleet that speaks, and a browser that may look at it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import redis.asyncio
from playwright.async_api import Browser, BrowserContext, CDPSession, Page, Route

from bench._page_naive import PAGE, PATH
from bench._page_probe import PROBE, Wire
from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.constants import ORG_STREAM_MAXLEN
from citadel_k8s.domain.deltas import node_delta
from citadel_k8s.domain.keys import org_events_stream
from citadel_k8s.domain.pulse import pulse_of
from citadel_k8s.local.controlplane import ORG, ControlPlane
from citadel_k8s.local.simulate import Fleet, SimulatedNode
from citadel_k8s.local.stack import Stack
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.models.lean import decode_lean
from citadel_k8s.stores.streams import RedisStatusStream
from tests.browser import chromium

CLOCK = SystemClock()

NODES: Final = 1000
"""Of eight GPUs each."""

INTERVAL: Final = 30.0
"""Seconds between two heartbeats of a node: 33 a second of all."""

SIZE: Final = {"width": 1440, "height": 900}
"""Of the window."""

TAKEN_SECONDS: Final = 30.0
"""Within which the worker has taken in a first word of each node."""

BATCH: Final = 20
"""Changes sent in one round trip where time is run fast."""


@dataclass
class Looked:
    """One page in a browser context of its own."""

    page: Page
    cdp: CDPSession
    wire: Wire


@dataclass
class Rig:
    """Everything that runs."""

    control: ControlPlane
    stream: RedisStatusStream
    fleet: Fleet
    redis: redis.asyncio.Redis
    browser: Browser
    started: float
    told: int = 0
    turn: int = 0
    pulses: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.control.url

    @asynccontextmanager
    async def look(self, path: str = "/") -> AsyncIterator[Looked]:
        """Open a page in a browser that has nothing of it yet, signed in."""
        context: BrowserContext = await self.browser.new_context(viewport=SIZE)  # type: ignore[arg-type]
        name, _, value = (await self.control.session()).partition("=")
        await context.add_cookies([{"name": name, "value": value, "url": self.url}])
        await context.add_init_script(PROBE)
        await context.route(f"**{PATH}", _naive)
        page = await context.new_page()
        cdp = await context.new_cdp_session(page)
        for domain in ("Network", "HeapProfiler", "Runtime"):
            await cdp.send(f"{domain}.enable")  # type: ignore[arg-type]
        # The thread's own time: what other programs take of the machine is not the page's.
        await cdp.send("Performance.enable", {"timeDomain": "threadTicks"})
        wire = Wire.of(cdp)
        try:
            await page.goto(self.url + path, wait_until="commit")
            yield Looked(page, cdp, wire)
        finally:
            await context.close()

    def another(self) -> int:
        """Give a utilization that no node has told lately, in per cent."""
        self.turn += 1
        return 7 + self.turn % 90

    async def beat(self, node: SimulatedNode, util: int) -> float:
        """Send one heartbeat with this utilization of all GPUs; gives when, of the wall clock."""
        said = json.loads(node.payload(CLOCK.now()))
        for gpu in said["status"]["gpu"]:
            gpu["utilization_percent"] = float(util)
        payload = json.dumps(said).encode()
        at = CLOCK.now()
        await self.stream.append(node.node_id, payload)
        return at

    async def hurry(self, count: int, rate: float, *, aging: bool) -> float:
        """Tell so many changes of all nodes in turn at a rate; gives the seconds that it took.

        With ``aging`` each says that it was made when it would have been at the fleet's own pace.
        """
        loop, key = asyncio.get_running_loop(), org_events_stream(ORG)
        began, changes = loop.time(), self._changes(aging=aging)
        for sent in range(0, count, BATCH):
            pipeline: Any = self.redis.pipeline(transaction=False)
            for _ in range(BATCH):
                pipeline.xadd(key, {"d": next(changes)}, maxlen=ORG_STREAM_MAXLEN, approximate=True)
            await pipeline.execute()
            await asyncio.sleep(began + (sent + BATCH) / rate - loop.time())
        return loop.time() - began

    def _changes(self, *, aging: bool) -> Iterator[str]:
        if not self.pulses:
            self.pulses = [
                pulse_of(decode_lean(node.payload(CLOCK.now()))) for node in self.fleet.nodes
            ]
        while True:
            at = self.started + self.told * INTERVAL / NODES if aging else CLOCK.now()
            name = self.fleet.nodes[self.told % NODES].node_id
            pulse = self.pulses[self.told * 7 % NODES]
            self.told += 1
            yield node_delta(name, NodeState.ONLINE, "", seen_ms=round(1000 * at), pulse=pulse)


async def _naive(route: Route) -> None:
    await route.fulfill(body=PAGE, content_type="text/html")


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    """Start everything; all nodes have spoken once."""
    async with AsyncExitStack() as held:
        stack = await held.enter_async_context(Stack(kube=False, postgres=True))
        control = ControlPlane(stack, interval=INTERVAL, missed=3, skew=10)
        held.push_async_callback(control.close)
        await control.start()
        stream = RedisStatusStream(stack.redis_url)
        held.push_async_callback(stream.close)
        client = redis.asyncio.Redis.from_url(stack.redis_url)
        held.push_async_callback(client.aclose)
        browser = await held.enter_async_context(chromium())
        fleet = Fleet(stream, CLOCK, NODES, interval=INTERVAL)
        one = Rig(control, stream, fleet, client, browser, CLOCK.now())
        await fleet.announce()
        await _taken(one)
        yield one


async def _taken(one: Rig) -> None:
    """Wait until the API lists all nodes."""
    context = await one.browser.new_context()
    name, _, value = (await one.control.session()).partition("=")
    await context.add_cookies([{"name": name, "value": value, "url": one.url}])
    async with asyncio.timeout(TAKEN_SECONDS):
        while True:
            answer = await context.request.get(f"{one.url}/api/fabric/nodes?limit=1")
            if answer.headers.get("x-total-count") == str(NODES):
                break
            await asyncio.sleep(0.2)
    await context.close()
