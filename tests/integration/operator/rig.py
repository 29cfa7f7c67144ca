"""The operator as a process of its own, nodes that speak to it, and a record of what it wrote."""

import asyncio
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.errors import StreamError
from citadel_k8s.local.charge import Charge, spawn
from citadel_k8s.local.kube import Kube
from citadel_k8s.local.parts import documents
from citadel_k8s.local.simulate import SimulatedNode
from citadel_k8s.local.stack import Stack
from citadel_k8s.models.codec import encode
from citadel_k8s.models.wire import Goodbye, StatusMessage
from citadel_k8s.stores.streams import RedisStatusStream
from tests.faultproxy import FaultProxy

CLOCK = SystemClock()

INTERVAL = 5.0
T_FAILURE = 11.0
"""Two missed heartbeats of 5 s, and 1 s."""

RETRY = 1.0
"""Seconds before a message that was not taken is sent again."""

PROGRAM = ("-m", "citadel_k8s")
"""What Python runs as the operator."""

SWEEP = 4.0
"""Seconds between two sweeps of a swift operator."""

_SWIFTLY = f"""
import functools, citadel_k8s.cli, citadel_k8s.operator.sweep as sweep
sweep.Sweep.__init__ = functools.partialmethod(sweep.Sweep.__init__, interval={SWEEP})
citadel_k8s.cli.main()
"""

SWIFT = ("-c", _SWIFTLY)
"""The operator with a sweep that is not waited two minutes for."""

START = 30.0
"""Seconds for what takes two on an idle machine: a Python process starts among others."""


async def until(
    what: str, condition: Callable[[], Awaitable[Any] | Any], seconds: float = START
) -> Any:
    """Wait for a condition to be true and give its value."""
    deadline = CLOCK.monotonic() + seconds
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        if CLOCK.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(0.1)


class Operator:
    """``citadel-k8s operator`` with a log of its own; may be killed and started again."""

    def __init__(
        self,
        log: Path,
        kubeconfig: Path | None,
        redis_url: str,
        *more: str,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self.log = log
        self._program = program
        self.charge: Charge | None = None
        self._words = [*(["--kubeconfig", str(kubeconfig)] if kubeconfig else []), *more]
        self._env = {**os.environ, "CITADEL__REDIS_URL": redis_url}
        self._from = 0

    async def start(self) -> "Operator":
        words = ["--interval", f"{INTERVAL:g}", "--missed", "2", "--skew", "1", *self._words]
        words += ["--listen-host", "127.0.0.1", "--listen-port", "0"]
        self._from = self.log.stat().st_size if self.log.exists() else 0
        argv = [sys.executable, *self._program, "operator", *words]
        self.charge = await spawn(argv, self.log, env=self._env)
        return self

    async def kill(self) -> None:
        if self.charge is not None and self.charge.running:
            await self.charge.kill()

    async def ready(self, seconds: float = START) -> None:
        await until("ready", self._is_ready, seconds)

    def text(self) -> str:
        """Give what the process that runs now has said."""
        return self.log.read_bytes()[self._from :].decode() if self.log.exists() else ""

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """Give the log's lines, each of which has to be JSON."""
        parsed = [json.loads(line) for line in self.text().splitlines()]
        return [line for line in parsed if event in {None, line["event"]}]

    async def get(self, path: str) -> tuple[int, str]:
        """Ask the operator's own server; status 0 if it does not answer."""
        served = self.lines("serving")
        if not served:
            return 0, ""
        host, port = served[0]["addresses"][0]
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.get(f"http://{host}:{port}{path}") as answer,
            ):
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return 0, ""

    async def probe(self, path: str) -> tuple[int, dict[str, Any]]:
        """Ask a probe; its answer is JSON."""
        status, text = await self.get(path)
        return status, json.loads(text or "{}")

    async def metric(self, name: str, **labels: str) -> float:
        """Give the sum of the samples that have these labels."""
        _, text = await self.get("/metrics")
        families = text_string_to_metric_families(text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def verdict(self, node_id: str) -> str:
        """Give the state that the operator's own figures tell of a node."""
        _, text = await self.get("/metrics")
        for family in text_string_to_metric_families(text):
            if family.name == "citadel_node_state":
                for sample in family.samples:
                    if sample.labels["node"] == node_id:
                        return sample.labels["state"]
        return ""

    async def _is_ready(self) -> bool:
        return (await self.get("/readyz"))[0] == 200


@dataclass
class Speaker:
    """One node that speaks every 5 s until it falls silent."""

    node: SimulatedNode
    stream: RedisStatusStream
    lost: int = 0
    alter: Callable[[StatusMessage], StatusMessage] = lambda message: message

    async def run(self) -> None:
        while True:
            due = CLOCK.monotonic() + INTERVAL
            if self.node.speaking:
                await self.speak(until=due - RETRY)
            await asyncio.sleep(max(0.0, due - CLOCK.monotonic()))

    async def speak(self, goodbye: Goodbye | None = None, until: float = 0.0) -> None:
        """Send one message; try again each second, as an agent's outbox does, until a moment."""
        message = self.node.message(CLOCK.now()).model_copy(update={"goodbye": goodbye})
        payload = encode(self.alter(message))
        while True:
            try:
                await self.stream.append(self.node.node_id, payload)
            except StreamError:
                self.lost += 1  # an outage is what some tests are about
                if CLOCK.monotonic() + RETRY > until:
                    return
                await asyncio.sleep(RETRY)
            else:
                return

    def fall_silent(self) -> float:
        """Die without a word; gives the moment."""
        self.node.speaking = False
        return CLOCK.monotonic()

    async def leave(self, **goodbye: Any) -> None:
        """Say goodbye and nothing more."""
        self.node.speaking = False
        await self.speak(Goodbye(**goodbye))

    async def come_back(self) -> float:
        """Start anew: another boot, at once."""
        self.node.reboot()
        self.node.speaking = True
        await self.speak()
        return CLOCK.monotonic()


class Nodes:
    """Speakers on one Valkey, each with a connection of its own."""

    def __init__(self, group: asyncio.TaskGroup, url: str) -> None:
        self._group, self._url = group, url
        self._tasks: list[asyncio.Task[None]] = []
        self._streams: list[RedisStatusStream] = []

    def add(self, node_id: str, *, gpus: int = 8) -> Speaker:
        stream = RedisStatusStream(self._url)
        number = len(self._tasks)
        speaker = Speaker(
            SimulatedNode(node_id, number, changing=False, interval=INTERVAL, gpus=gpus), stream
        )
        self._streams.append(stream)
        self._tasks.append(self._group.create_task(speaker.run(), name=node_id))
        return speaker

    def add_all(self, prefix: str, count: int) -> list[Speaker]:
        return [self.add(f"{prefix}-{number}") for number in range(count)]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for stream in self._streams:
            await stream.close()


@asynccontextmanager
async def speaking(url: str) -> AsyncIterator[Nodes]:
    """Let nodes speak to a Valkey until the end of the block."""
    async with asyncio.TaskGroup() as group:
        nodes = Nodes(group, url)
        try:
            yield nodes
        finally:
            await nodes.close()


@dataclass(frozen=True)
class Seen:
    """One event of a watch on FabricNodes."""

    at: float
    type: str
    object: dict[str, Any]

    @property
    def name(self) -> str:
        return self.object["metadata"]["name"]

    @property
    def state(self) -> str | None:
        return self.object.get("status", {}).get("state")


@dataclass
class Recorder:
    """A watch of its own on FabricNodes: every version of every object, with its moment."""

    stack: Stack
    events: list[Seen] = field(default_factory=list)

    async def run(self) -> None:
        """Watch for ever; after an outage it goes on with what is there then."""
        while True:
            try:
                await self._watch()
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.2)

    def of(self, name: str, since: float = 0.0) -> Iterator[Seen]:
        return (event for event in self.events if event.name == name and event.at >= since)

    def states(self, name: str, since: float = 0.0) -> list[str | None]:
        """Give the states that an object went through, without repetition."""
        found = [event.state for event in self.of(name, since) if event.state]
        return [s for i, s in enumerate(found) if i == 0 or s != found[i - 1]]

    def last(self, name: str) -> dict[str, Any] | None:
        """Give an object as it is now, None if it is gone."""
        events = list(self.of(name))
        return events[-1].object if events and events[-1].type != "DELETED" else None

    def state(self, name: str) -> str | None:
        return ((self.last(name) or {}).get("status") or {}).get("state")

    def all_in(self, speakers: list[Speaker], state: str) -> bool:
        return all(self.state(s.node.node_id) == state for s in speakers)

    async def reached(
        self, name: str, state: str, since: float = 0.0, seconds: float = START
    ) -> float:
        """Wait until an object says so and give the moment."""

        def found() -> Seen | None:
            return next((e for e in self.of(name, since) if e.state == state), None)

        return (await until(f"{name} is {state}", found, seconds)).at

    async def remade(self, name: str, delete: Awaitable[Any]) -> None:
        """Delete an object and wait until there is another, Online, in its place."""
        uid = (self.last(name) or {})["metadata"]["uid"]
        await delete

        def found() -> bool:
            events = self.of(name)
            return any(e.object["metadata"]["uid"] != uid and e.state == "Online" for e in events)

        await until(f"{name} is made anew", found)

    async def _watch(self) -> None:
        kube = self.stack.kube
        path = "/apis/fabric.aceteam.ai/v1alpha1/fabricnodes?watch=1"
        connector = aiohttp.TCPConnector(ssl=admin_context(kube))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=2**20) as http,
            http.get(kube.server + path) as answer,
        ):
            answer.raise_for_status()
            async for line in answer.content:
                event = json.loads(line)
                self.events.append(Seen(CLOCK.monotonic(), event["type"], event["object"]))


def admin_context(kube: Kube) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(kube.ca))
    admin = kube._keys().admin
    context.load_cert_chain(admin.certificate, admin.key)
    return context


@asynccontextmanager
async def recording(stack: Stack) -> AsyncIterator[Recorder]:
    """Record FabricNodes until the end of the block."""
    async with asyncio.TaskGroup() as group:
        recorder = Recorder(stack)
        task = group.create_task(recorder.run(), name="recorder")
        try:
            yield recorder
        finally:
            task.cancel()


async def install(stack: Stack, *names: str) -> None:
    """Apply manifests."""
    client = await KubeClient.connect(stack.kubeconfig)
    try:
        await client.apply(documents(*names))
    finally:
        await client.close()


async def account(stack: Stack, proxy: FaultProxy | None = None) -> Path:
    """Write the kubeconfig of the operator's own service account, and no more rights."""
    path = stack.folder / "operator.kubeconfig"
    if proxy is not None:
        token = await stack.kube.create_token("citadel", "citadel-operator")
        return proxy.kubeconfig(path, "citadel-operator", token)
    return await stack.kube.write_kubeconfig(path, "citadel", "citadel-operator")
