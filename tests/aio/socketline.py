"""A WebSocket to a fake proxy, and what it told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

from citadel_k8s.publishers.proxy import ProxyClient
from citadel_k8s.publishers.token import token_value
from citadel_k8s.publishers.transport import Transport
from citadel_k8s.publishers.websocket import ProxySocket
from tests.proxy import SOCKET, TOKEN, FakeProxy


class Line:
    """A socket to a fake proxy, with what it told."""

    def __init__(self, proxy: FakeProxy, jitter: Callable[[], float] = lambda: 0.0) -> None:
        self.proxy = proxy
        self.client = ProxyClient(Transport(proxy.base, token_value(TOKEN)))
        self.states: list[str | None] = []
        self.refusals: list[str] = []
        self.got: list[Any] = []
        self.socket = ProxySocket(
            self.client.upgrade,
            on_state=self.states.append,
            on_refusal=self.refusals.append,
            jitter=jitter,
        )

    @property
    def dials(self) -> list[float]:
        return [seen.at for seen in self.proxy.asked(SOCKET)]

    @property
    def pauses(self) -> list[float]:
        return [b - a for a, b in pairwise(self.dials)]

    def subscriptions(self) -> list[list[str]]:
        return [frame["channels"] for frame in self.proxy.of_type("subscribe")]


@asynccontextmanager
async def kept(line: Line) -> AsyncIterator[Line]:
    """Run the socket as the agent does: as a job."""
    try:
        async with asyncio.TaskGroup() as group:
            job = group.create_task(line.socket.run())
            await settled()
            yield line
            job.cancel()
    finally:
        await line.client.close()


async def settled() -> None:
    await asyncio.sleep(0.1)


def now() -> float:
    return asyncio.get_running_loop().time()
