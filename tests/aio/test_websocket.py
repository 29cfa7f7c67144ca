import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest

from citadel_k8s.publishers.proxy import ProxyClient
from citadel_k8s.publishers.token import token_value
from citadel_k8s.publishers.transport import CLOSE_TIMEOUT, Transport
from citadel_k8s.publishers.websocket import (
    FRAME_MAX,
    PING_INTERVAL,
    READ_DEADLINE,
    WRITE_TIMEOUT,
    ProxySocket,
    SocketDownError,
)
from tests.proxy import SOCKET, TOKEN, FakeProxy, running

pytestmark = pytest.mark.looptime


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
        return [b - a for a, b in zip(self.dials, self.dials[1:], strict=False)]

    def subscriptions(self) -> list[list[str]]:
        return [frame["channels"] for frame in self.proxy.of_type("subscribe")]


@pytest.fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    async with running() as started:
        yield started


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


async def test_a_connection_carries_the_token_and_stands_at_once(proxy: FakeProxy):
    async with kept(Line(proxy)) as line:
        assert line.socket.connected
        assert line.states == [None]
        (seen,) = proxy.asked(SOCKET)
        assert seen.headers["Authorization"] == f"Bearer {TOKEN}"
        assert not {"Origin", "Sec-WebSocket-Protocol"} & set(seen.headers)


async def test_frames_are_sent_as_text_and_refused_without_a_connection(proxy: FakeProxy):
    line = Line(proxy)
    with pytest.raises(SocketDownError):
        await line.socket.send("{}")
    async with kept(line):
        await line.socket.send('{"type":"publish","channel":"c","message":{"k":1}}')
        await settled()
        assert proxy.published == [("c", {"k": 1})]
    with pytest.raises(SocketDownError):
        await line.socket.send("{}")


async def test_it_pings_on_time_and_lives_on_pongs_alone(proxy: FakeProxy):
    async with kept(Line(proxy)) as line:
        await asyncio.sleep(600)
        assert line.states == [None]
        assert len(line.dials) == 1
        assert len(proxy.pings) == 600 / PING_INTERVAL
        gaps = [b - a for a, b in zip(proxy.pings, proxy.pings[1:], strict=False)]
        assert gaps == pytest.approx([PING_INTERVAL] * len(gaps), abs=0.01)


async def test_the_pings_of_the_proxy_are_answered_and_count_as_life(proxy: FakeProxy):
    async with kept(Line(proxy)) as line:
        proxy.deaf = True
        for number in range(20):
            await asyncio.sleep(READ_DEADLINE - 5)
            await proxy.sockets[0].ping(str(number).encode())
        assert line.states == [None]


async def test_any_frame_counts_as_life_even_one_that_is_dropped(proxy: FakeProxy):
    async with kept(Line(proxy)) as line:
        proxy.deaf = True
        for _ in range(20):
            await asyncio.sleep(READ_DEADLINE - 5)
            await proxy.say("nonsense")
        await settled()
        assert line.states == [None]
        assert line.socket.dropped == 20


async def test_a_half_open_connection_is_found_out_within_the_read_deadline(proxy: FakeProxy):
    async with kept(Line(proxy)) as line:
        await asyncio.sleep(10)
        proxy.deaf = True
        await asyncio.sleep(READ_DEADLINE - 1)
        assert line.socket.connected
        await asyncio.sleep(2)
        assert line.states[:2] == [None, f"nothing came for {READ_DEADLINE:g} s"]
        proxy.deaf = False
        await asyncio.sleep(5)
        assert line.socket.connected
        assert len(proxy.sockets) == 1


async def test_a_dropped_connection_is_opened_again_with_all_channels_once(proxy: FakeProxy):
    line = Line(proxy)
    await line.socket.subscribe("b", line.got.append)
    await line.socket.subscribe("a", line.got.append)
    async with kept(line):
        assert line.subscriptions() == [["a", "b"]]
        proxy.drop()
        await settled()
        assert not line.socket.connected
        await asyncio.sleep(2)
        assert line.subscriptions() == [["a", "b"], ["a", "b"]]
        await proxy.say({"type": "message", "channel": "a", "message": {"k": 1}})
        await settled()
        assert line.got == [{"k": 1}]


async def test_a_channel_is_asked_for_once_whenever_it_is_subscribed(proxy: FakeProxy):
    async with kept(Line(proxy)) as line:
        await line.socket.subscribe("a", line.got.append)
        await line.socket.subscribe("a", line.got.append)
        await settled()
        assert line.subscriptions() == [["a"]]
        await proxy.say({"type": "message", "channel": "a", "message": {}})
        await settled()
        assert line.got == [{}]
        await line.socket.unsubscribe("a")
        await line.socket.unsubscribe("a")
        await settled()
        assert len(proxy.of_type("unsubscribe")) == 1
        await proxy.say({"type": "message", "channel": "a", "message": {}})
        await settled()
        assert line.got == [{}]


async def test_a_late_first_connection_subscribes_too(proxy: FakeProxy):
    proxy.tell(SOCKET, 503, {"error": "starting"})
    async with kept(Line(proxy)) as line:
        await line.socket.subscribe("a", line.got.append)
        await asyncio.sleep(600)
        assert line.states[0] == f"GET {SOCKET}: status 503: starting"
        assert None not in line.states
        proxy.forgive()
        await asyncio.sleep(130)
        assert line.states[-1] is None
        assert line.subscriptions() == [["a"]]


async def test_before_the_first_connection_pauses_go_from_2_to_120_seconds(proxy: FakeProxy):
    proxy.tell(SOCKET, 401, {"error": "invalid_token"})
    async with kept(Line(proxy)) as line:
        await asyncio.sleep(1000)
        assert line.pauses[:8] == pytest.approx([2, 4, 8, 16, 32, 64, 120, 120], abs=0.1)


async def test_after_it_they_go_from_1_to_60_and_are_only_lengthened(proxy: FakeProxy):
    async with kept(Line(proxy, jitter=lambda: 0.5)) as line:
        proxy.tell(SOCKET, 500, {"error": "no"})
        proxy.drop()
        await asyncio.sleep(600)
        expected = [1.5, 3, 6, 12, 24, 48, 90, 90]
        assert line.pauses[1:8] == pytest.approx(expected[1:8], abs=0.1)
        assert line.pauses[0] == pytest.approx(0.1 + 1.5, abs=0.1)


async def test_only_a_connection_that_lived_long_shortens_the_pauses_again(proxy: FakeProxy):
    async with kept(Line(proxy)) as line:
        for _ in range(5):
            proxy.drop()
            await settled()
            while not line.socket.connected:  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(0.1)
        assert [round(pause) for pause in line.pauses] == [1, 2, 4, 8, 16]
        await asyncio.sleep(130)
        proxy.drop()
        await asyncio.sleep(40)
        assert line.pauses[-1] == pytest.approx(130 + 32, abs=1)
        await asyncio.sleep(140)
        before = now()
        proxy.drop()
        await asyncio.sleep(10)
        assert line.dials[-1] - before == pytest.approx(1, abs=0.2)


async def test_a_server_that_accepts_and_drops_is_not_dialled_in_a_loop(proxy: FakeProxy):
    async with kept(Line(proxy)) as line:
        for _ in range(3600 * 2):
            proxy.drop()
            await asyncio.sleep(0.5)
        assert len(line.dials) < 70


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"error": "quota", "retry_after": 7200}, {}),
        ("quota", {"Retry-After": "7200"}),
    ],
)
async def test_a_429_on_the_upgrade_is_honoured_in_full(
    proxy: FakeProxy, body: Any, headers: dict[str, str]
):
    proxy.tell(SOCKET, 429, body, headers=headers, times=1)
    async with kept(Line(proxy)) as line:
        await asyncio.sleep(7100)
        assert len(line.dials) == 1
        assert not line.socket.connected
        await asyncio.sleep(110)
        assert line.socket.connected
        assert line.pauses == pytest.approx([7200], abs=1)


async def test_after_an_honoured_429_the_pauses_begin_anew(proxy: FakeProxy):
    async with kept(Line(proxy)) as line:
        proxy.tell(SOCKET, 500, {"error": "no"}, times=4)
        proxy.tell(SOCKET, 429, {"error": "quota", "retry_after": 600}, times=1)
        proxy.tell(SOCKET, 500, {"error": "no"}, times=2)
        proxy.drop()
        await asyncio.sleep(1000)
        assert [round(pause) for pause in line.pauses] == [1, 2, 4, 8, 16, 600, 1, 2]
        assert line.socket.connected


async def test_a_429_that_asks_for_nothing_does_not_make_it_dial_in_a_loop(proxy: FakeProxy):
    proxy.tell(SOCKET, 429, {"error": "quota", "retry_after": 0})
    async with kept(Line(proxy)) as line:
        await asyncio.sleep(3600)
        assert len(line.dials) < 40


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


async def test_closing_says_goodbye_and_leaves_neither_task_nor_socket(proxy: FakeProxy):
    before = asyncio.all_tasks()
    line = Line(proxy)
    async with kept(line):
        started = now()
        await line.socket.close()
        assert now() - started < 0.1
        await settled()
        assert proxy.closes == [aiohttp.WSCloseCode.OK]
        assert not line.socket.connected
        await asyncio.sleep(300)
        assert len(line.dials) == 1
    assert asyncio.all_tasks() == before
    assert not proxy.sockets


async def test_a_peer_that_does_not_answer_a_close_is_not_waited_for(proxy: FakeProxy):
    async with kept(Line(proxy)) as line:
        transport = proxy.sockets[0]._req.transport  # type: ignore[union-attr]
        transport.pause_reading()
        started = now()
        await line.socket.close()
        assert now() - started <= CLOSE_TIMEOUT + 0.1
        transport.resume_reading()


async def test_closing_ends_a_sleep_and_a_dial(proxy: FakeProxy):
    for hang in (False, True):
        proxy.forgive()
        proxy.tell(SOCKET, 503, {"error": "no"}, hang=hang)
        line = Line(proxy)
        async with kept(line):
            dials = len(line.dials)
            started = now()
            await line.socket.close()
            assert now() - started < 0.1
            proxy.forgive()
            await asyncio.sleep(300)
            assert len(line.dials) == dials
    assert not proxy.sockets


async def test_after_a_close_nothing_is_dialled_and_a_second_run_is_refused(proxy: FakeProxy):
    line = Line(proxy)
    await line.socket.close()
    await line.socket.run()
    assert not line.dials
    with pytest.raises(RuntimeError):
        await line.socket.run()
    await line.client.close()


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
