import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest

from citadel_k8s.publishers.websocket import (
    FRAME_MAX,
    PING_INTERVAL,
    WRITE_TIMEOUT,
    ProxySocket,
    SocketDownError,
)
from tests.aio.socketline import Line, kept, now, settled
from tests.proxy import FakeProxy, running

pytestmark = pytest.mark.looptime


@pytest.fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    async with running() as started:
        yield started


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "nonsense",
        "[]",
        "7",
        {"no": "type"},
        {"type": 7},
        {"type": "message"},
        {"type": "message", "channel": "a", "message": "text"},
        {"type": "message", "channel": 7, "message": {}},
        "[" * 100_000,
        json.dumps({"type": "message", "channel": "a", "message": {"k": "x" * FRAME_MAX}}),
    ],
)
async def test_a_frame_of_another_shape_is_dropped_and_counted(proxy: FakeProxy, frame: Any):
    async with kept(Line(proxy)) as line:
        await line.socket.subscribe("a", line.got.append)
        await proxy.say(frame)
        await proxy.say({"type": "message", "channel": "a", "message": {"k": 1}})
        await settled()
        assert line.socket.dropped == 1
        assert line.got == [{"k": 1}]
        assert line.states == [None]


async def test_a_binary_frame_is_dropped_and_a_giant_one_ends_the_connection(proxy: FakeProxy):
    async with kept(Line(proxy)) as line:
        await proxy.sockets[0].send_bytes(b"{}")
        await settled()
        assert line.socket.dropped == 1
        with suppress(ConnectionError):
            await proxy.say("x" * (5 * 1024 * 1024))
        await settled()
        assert "exceeds limit" in str(line.states[-1])
        await asyncio.sleep(3)
        assert line.socket.connected


async def test_types_that_nobody_asked_for_are_ignored_and_others_handed_over(proxy: FakeProxy):
    async with kept(Line(proxy)) as line:
        line.socket.on_type("live", line.got.append)
        await proxy.say({"type": "consuming", "queues": []})
        await proxy.say({"type": "live", "id": 7})
        await proxy.say({"type": "message", "channel": "elsewhere", "message": {}})
        await settled()
        assert line.got == [{"type": "live", "id": 7}]
        assert line.socket.dropped == 0


async def test_what_the_proxy_refuses_is_told_in_one_clean_line(proxy: FakeProxy):
    async with kept(Line(proxy)) as line:
        await proxy.say({"type": "error", "error": "channel\x1b[2J not yours"})
        await proxy.say({"type": "error"})
        await proxy.say({"type": "error", "error": "x" * 9999})
        await settled()
        assert "\x1b" not in line.refusals[0]
        assert line.refusals[1] == "no reason given"
        assert len(line.refusals[2]) <= 512
        assert line.socket.connected


async def test_a_listener_that_fails_does_not_end_the_connection(proxy: FakeProxy):
    def fail(message: dict[str, Any]) -> None:
        raise KeyError(message["k"])

    async with kept(Line(proxy)) as line:
        await line.socket.subscribe("a", fail)
        await proxy.say({"type": "message", "channel": "a", "message": {"k": 1}})
        await settled()
        assert line.refusals == ["message: KeyError: 1"]
        assert line.socket.connected


async def test_a_goodbye_of_the_proxy_is_told_with_its_code(proxy: FakeProxy):
    async with kept(Line(proxy)) as line:
        await proxy.sockets[0].close(code=4001, message=b"token\nrevoked")
        await settled()
        assert "4001" in str(line.states[-1])
        assert "\n" not in str(line.states[-1])


class StuckWire:
    """A connection that takes frames as slowly as it is told to."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.error: Exception | None = None
        self.sent: list[str] = []
        self.writing = 0
        self.cut = asyncio.Event()

    async def send_str(self, data: str) -> None:
        assert self.writing == 0
        self.writing += 1
        try:
            await asyncio.sleep(self.delay)
        finally:
            self.writing -= 1
        if self.error is not None:
            raise self.error
        self.sent.append(data)

    async def ping(self, message: bytes = b"") -> None:
        await self.send_str("ping")

    async def pong(self, message: bytes = b"") -> None:
        await self.send_str("pong")

    async def receive(self) -> aiohttp.WSMessage:
        await self.cut.wait()
        return aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None)

    async def close(self) -> bool:
        await self.cut.wait()
        return True

    def get_extra_info(self, name: str) -> Any:
        return self

    def shutdown(self, _how: int) -> None:
        self.cut.set()


@asynccontextmanager
async def stuck() -> AsyncIterator[tuple[ProxySocket, list[StuckWire], list[str | None]]]:
    wires: list[StuckWire] = []
    states: list[str | None] = []

    async def dial() -> StuckWire:
        wires.append(StuckWire())
        return wires[-1]

    socket = ProxySocket(dial, on_state=states.append, jitter=lambda: 0.0)
    async with asyncio.TaskGroup() as group:
        job = group.create_task(socket.run())
        await settled()
        yield socket, wires, states
        job.cancel()


async def test_writes_go_one_after_the_other():
    async with stuck() as (socket, wires, _):
        wires[0].delay = 1
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(socket.send(str(number)))
        assert wires[0].sent == ["0", "1", "2", "3", "4"]


async def test_a_write_that_does_not_leave_tears_the_connection_down():
    async with stuck() as (socket, wires, states):
        wires[0].delay = 1e6
        started = now()
        with pytest.raises(SocketDownError):
            await socket.send("x")
        assert now() - started == pytest.approx(WRITE_TIMEOUT, abs=0.1)
        assert not socket.connected
        assert wires[0].cut.is_set()
        await asyncio.sleep(2)
        assert states == [None, f"a frame did not leave within {WRITE_TIMEOUT:g} s", None]
        await socket.send("y")
        assert wires[1].sent == ["y"]


async def test_a_ping_that_cannot_be_written_tears_the_connection_down():
    async with stuck() as (socket, wires, states):
        wires[0].error = ConnectionResetError("reset by peer")
        await asyncio.sleep(PING_INTERVAL + 2)
        assert states == [None, "ConnectionResetError: reset by peer", None]
        assert socket.connected


async def test_a_subscription_that_cannot_be_written_is_made_by_the_next_connection():
    async with stuck() as (socket, wires, _):
        wires[0].error = aiohttp.ClientConnectionResetError("gone")
        await socket.subscribe("a", lambda _message: None)
        await asyncio.sleep(2)
        assert [json.loads(frame)["channels"] for frame in wires[1].sent] == [["a"]]
