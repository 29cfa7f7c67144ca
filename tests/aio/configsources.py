"""A queue and a channel of configuration in memory, in virtual time."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from citadel_k8s.agent.configuration import Configuration
from citadel_k8s.agent.state import State
from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.domain.configmessage import ConfigEntry
from citadel_k8s.errors import StreamError
from citadel_k8s.stores.entries import EntryId


class LoopClock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        return 1_795_420_800 + asyncio.get_running_loop().time()


class Queue:
    """A stream with one group, which is this node's."""

    name = "jobs:v1:config"

    def __init__(self) -> None:
        self.entries: list[tuple[EntryId, dict[str, bytes]]] = []
        self.pending: dict[EntryId, int] = {}
        self.cursor = EntryId.ZERO
        self.letters: list[dict[str, str]] = []
        self.opened: list[tuple[float, bool]] = []
        self.down: Exception | None = None
        self.no_letters = False
        self.empty_at_once = False
        self.reads = 0
        self.closed = False

    def put(self, config: Any = None, *, node: str = "n1", at: int = 0, **fields: str) -> str:
        last = self.entries[-1][0].ms if self.entries else 0
        number = EntryId(at or last + 1, 0)
        payload = config if isinstance(config, str) else json.dumps({"config": config})
        raw = {"type": "APPLY_DEVICE_CONFIG", "payload": payload, "nodeId": node, **fields}
        self.entries.append((number, {k: v.encode() for k, v in raw.items()}))
        return str(number)

    async def open(self, *, replay: bool, after: EntryId = EntryId.ZERO) -> EntryId | None:
        del after
        self.opened.append((asyncio.get_running_loop().time(), replay))
        self._check()
        return self.entries[-1][0] if self.entries else EntryId.ZERO

    async def consume(self) -> list[ConfigEntry]:
        self.reads += 1
        self._check()
        if self.pending:
            key = min(self.pending)
            self.pending[key] += 1
            fields = dict(self.entries).get(key, {})
            return [ConfigEntry(str(key), fields, self.pending[key])]
        new = [e for e in self.entries if e[0] > self.cursor]
        if not new and not self.empty_at_once:
            await asyncio.sleep(2)
        for key, _ in new:
            self.cursor = key
            self.pending[key] = 1
        return [ConfigEntry(str(key), fields) for key, fields in new]

    async def acknowledge(self, *entry_ids: str) -> None:
        self._check()
        for entry_id in entry_ids:
            self.pending.pop(EntryId.parse(entry_id), None)

    async def bury(self, letter: Mapping[str, str]) -> None:
        if self.no_letters:
            raise StreamError("no permission")
        self.letters.append(dict(letter))

    async def close(self) -> None:
        self.closed = True
        raise StreamError("cannot even be closed")

    def _check(self) -> None:
        if self.down is not None:
            raise self.down


class Channel:
    """A channel; says what is put into it while it is up."""

    name = "config:node:n1"

    def __init__(self) -> None:
        self.said: asyncio.Queue[Any] = asyncio.Queue()
        self.down = False
        self.joined: list[float] = []

    async def listen(self, heard: Callable[[bytes], Awaitable[None]]) -> NoReturn:
        self.joined.append(asyncio.get_running_loop().time())
        if self.down:
            raise StreamError("refused")
        while True:
            word = await self.said.get()
            if isinstance(word, Exception):
                raise word
            await heard(word)

    async def close(self) -> None:
        pass

    def say(self, config: Any, node: str = "n1", **more: Any) -> None:
        message = {"type": "config_updated", "nodeId": node, "config": config, **more}
        self.said.put_nowait(json.dumps(message).encode())


def configuration(
    queue: Queue | None = None, channel: Channel | None = None, **settings: Any
) -> Configuration:
    return Configuration(
        AgentSettings(**settings),
        "n1",
        queue=queue,
        channel=channel,
        state=State(None, "n1"),
        clock=LoopClock(),
        jitter=lambda: 0.0,
    )


@asynccontextmanager
async def running(wanted: Configuration) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(wanted.run())
        try:
            yield
        finally:
            assert not task.done()
            task.cancel()
