import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from citadel_k8s.publishers.transport import CLOSE_TIMEOUT
from citadel_k8s.publishers.websocket import PING_INTERVAL, READ_DEADLINE, SocketDownError
from tests.aio.socketline import Line, kept, now, settled
from tests.proxy import SOCKET, TOKEN, FakeProxy, running

pytestmark = pytest.mark.looptime


@pytest.fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    async with running() as started:
        yield started


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
        gaps = [b - a for a, b in pairwise(proxy.pings)]
        assert gaps == pytest.approx([PING_INTERVAL] * len(gaps), abs=0.01)


async def test_the_pings_of_the_proxy_are_answered_and_count_as_life(proxy: FakeProxy):
    async with kept(Line(proxy)) as line:
        proxy.deaf = True
        for number in range(20):
            await asyncio.sleep(READ_DEADLINE - 5)
            await proxy.sockets[0].ping(str(number).encode())
        await settled()
        assert line.states == [None]
        assert proxy.pongs == [str(number).encode() for number in range(20)]


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
        for _ in range(900):
            proxy.drop()
            await asyncio.sleep(4)
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


async def test_after_a_close_nothing_is_dialled(proxy: FakeProxy):
    line = Line(proxy)
    await line.socket.close()
    await line.socket.run()
    await line.socket.run()
    assert not line.dials
    await line.client.close()


async def test_a_second_run_beside_the_first_is_refused(proxy: FakeProxy):
    line = Line(proxy)
    async with kept(line):
        with pytest.raises(RuntimeError):
            await line.socket.run()
