import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from citadel_k8s.aio.outbox import Outbox
from citadel_k8s.errors import ConfigError, PublishError
from citadel_k8s.models.wire import Goodbye, NodeInfo, NodeStatus, StatusMessage, SystemInfo
from citadel_k8s.publishers.api import ANNOUNCE_TIMEOUT, PUBLISH_TIMEOUT, ApiPublisher
from citadel_k8s.publishers.token import token_file, token_value
from tests.proxy import ADD, PUBLISH, SOCKET, TOKEN, WORKER_CONFIG, FakeProxy, running

pytestmark = pytest.mark.looptime

CHANNEL = "node:status:org:acme:n1"


def message(seq: int = 1, *, goodbye: bool = False) -> StatusMessage:
    stamp = "2026-11-23T08:00:00Z"
    status = NodeStatus(timestamp=stamp, node=NodeInfo(name="n1"), system=SystemInfo())
    last = Goodbye(reason="terminating") if goodbye else None
    return StatusMessage(
        timestamp=stamp, node_id="n1", status=status, boot_id="b", seq=seq, goodbye=last
    )


class LoopClock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        return 1_795_420_800 + asyncio.get_running_loop().time()


class Way:
    """A publisher to a fake proxy, with all that it told."""

    def __init__(self, proxy: FakeProxy, token=None, org_id: str | None = "acme") -> None:
        self.proxy = proxy
        self.channel: list[str | None] = []
        self.states: list[str | None] = []
        self.refusals: list[str] = []
        self.publisher = ApiPublisher(
            proxy.base,
            token or token_value(TOKEN),
            org_id=org_id,
            clock=LoopClock(),
            on_channel=self.channel.append,
            on_socket=self.states.append,
            on_refusal=self.refusals.append,
        )
        self.outbox = Outbox(
            self.publisher.publish,
            errors=(PublishError,),
            clock=LoopClock(),
            longest_pause=30,
        )

    def told(self) -> str:
        return repr((self.channel, self.states, self.refusals, self.outbox.freshness))


@pytest.fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    async with running() as started:
        yield started


@asynccontextmanager
async def opened(way: Way, *, socket: bool = True) -> AsyncIterator[Way]:
    try:
        async with asyncio.TaskGroup() as group:
            jobs = [group.create_task(way.outbox.run())]
            if socket:
                jobs.append(group.create_task(way.publisher.run()))
            await asyncio.sleep(0.1)
            yield way
            for job in jobs:
                job.cancel()
    finally:
        await way.publisher.close()


async def test_a_status_is_written_first_and_announced_by_the_socket(proxy: FakeProxy):
    async with opened(Way(proxy)) as way:
        assert way.publisher.pubsub_transport == "websocket"
        await way.publisher.publish(message())
        await asyncio.sleep(0.1)
    (values,) = proxy.streams["node:status:stream"]
    assert set(values) == {"nodeId", "timestamp", "payload"}
    assert (values["nodeId"], values["timestamp"]) == ("n1", "2026-11-23T08:00:00Z")
    assert proxy.asked(ADD)[0].body["maxLen"] == 10_000
    assert proxy.asked(ADD)[0].body["approx"] is True
    (frame,) = proxy.of_type("publish")
    assert frame == {
        "type": "publish",
        "channel": CHANNEL,
        "message": json.loads(values["payload"]),
    }
    assert way.channel == [None]
    assert not proxy.asked(PUBLISH)


async def test_without_a_socket_it_is_announced_by_rest_as_text(proxy: FakeProxy):
    async with opened(Way(proxy), socket=False) as way:
        assert way.publisher.pubsub_transport == "http"
        await way.publisher.publish(message())
    (seen,) = proxy.asked(PUBLISH)
    assert seen.body["channel"] == CHANNEL
    assert json.loads(seen.body["message"])["nodeId"] == "n1"


async def test_a_socket_that_breaks_is_told_as_http_and_the_next_status_goes_by_rest(
    proxy: FakeProxy,
):
    async with opened(Way(proxy)) as way:
        proxy.tell(SOCKET, 503, {"error": "no"})
        proxy.drop()
        await asyncio.sleep(0.1)
        assert way.publisher.pubsub_transport == "http"
        await way.publisher.publish(message())
        assert len(proxy.asked(PUBLISH)) == 1
        assert way.channel == [None]


async def test_an_announcement_that_fails_or_hangs_does_not_make_the_heartbeat_fail(
    proxy: FakeProxy,
):
    async with opened(Way(proxy), socket=False) as way:
        proxy.tell(PUBLISH, 403, {"error": "missing scope"}, times=1)
        await way.publisher.publish(message(1))
        proxy.tell(PUBLISH, hang=True)
        started = asyncio.get_running_loop().time()
        await way.publisher.publish(message(2))
        assert asyncio.get_running_loop().time() - started <= ANNOUNCE_TIMEOUT + 0.1
        assert way.channel == [
            f"POST {PUBLISH}: status 403: missing scope",
            "the announcement did not leave in time",
        ]
    assert [status["seq"] for status in proxy.statuses()] == [1, 2]


async def test_a_slow_write_and_a_slow_courtesy_stay_within_the_outbox_patience(proxy: FakeProxy):
    proxy.tell(WORKER_CONFIG, 200, {"org_id": "acme"}, delay=3.9)
    proxy.tell(ADD, 200, {}, delay=5.4)
    proxy.tell(PUBLISH, hang=True)
    async with opened(Way(proxy, org_id=None), socket=False) as way:
        started = asyncio.get_running_loop().time()
        await way.publisher.publish(message())
        assert asyncio.get_running_loop().time() - started <= PUBLISH_TIMEOUT + 0.1


async def test_an_announcement_that_hangs_is_not_sent_twice_by_the_outbox(proxy: FakeProxy):
    proxy.tell(PUBLISH, hang=True)
    async with opened(Way(proxy), socket=False) as way:
        way.outbox.put(message(1))
        await asyncio.sleep(60)
        assert way.outbox.freshness.state == "ok"
    assert [status["seq"] for status in proxy.statuses()] == [1]


async def test_an_announcement_that_met_a_429_waits_without_holding_the_heartbeat_up(
    proxy: FakeProxy,
):
    proxy.tell(PUBLISH, 429, {"error": "quota", "retry_after": 100}, times=1)
    async with opened(Way(proxy), socket=False) as way:
        for seq in range(1, 8):
            way.outbox.put(message(seq))
            await asyncio.sleep(30)
        assert way.outbox.freshness.failed == 0
    assert len(proxy.statuses()) == 7
    announced = [seen.at for seen in proxy.asked(PUBLISH)]
    assert announced[1] - announced[0] >= 100
    assert len(announced) == 4


async def test_a_refused_frame_is_told(proxy: FakeProxy):
    async with opened(Way(proxy)) as way:
        await proxy.say({"type": "error", "error": "channel is not yours"})
        await asyncio.sleep(0.1)
        assert way.refusals == ["channel is not yours"]


async def test_an_outage_of_ten_minutes_costs_one_item_and_ends_within_an_interval(
    proxy: FakeProxy,
):
    async with opened(Way(proxy)) as way:
        tasks = len(asyncio.all_tasks())
        way.outbox.put(message(1))
        await asyncio.sleep(30)
        port = proxy.port
        await proxy.stop()
        for seq in range(2, 22):
            way.outbox.put(message(seq))
            await asyncio.sleep(30)
            assert way.outbox.waiting == 1
            assert len(asyncio.all_tasks()) <= tasks
        assert not way.publisher.socket.connected
        await proxy.start(port)
        await asyncio.sleep(30)
        assert [status["seq"] for status in proxy.statuses()] == [1, 21]
        assert way.outbox.freshness.state == "ok"
        await asyncio.sleep(120)
        assert way.publisher.pubsub_transport == "websocket"
    assert TOKEN not in way.told()


async def test_a_half_open_socket_does_not_hold_heartbeats_up(proxy: FakeProxy):
    async with opened(Way(proxy)) as way:
        proxy.deaf = True
        for seq in range(1, 11):
            way.outbox.put(message(seq))
            await asyncio.sleep(30)
        assert [status["seq"] for status in proxy.statuses()] == list(range(1, 11))
        assert way.outbox.freshness.failed == 0
        assert "nothing came" in str(way.states)


async def test_a_429_for_heartbeats_is_honoured_in_full_and_the_latest_arrives(proxy: FakeProxy):
    proxy.tell(ADD, 429, {"error": "quota", "reset_at": "2026-11-23T08:30:00Z"}, times=1)
    async with opened(Way(proxy)) as way:
        for seq in range(1, 62):
            way.outbox.put(message(seq))
            await asyncio.sleep(30)
        first, second = (seen.at for seen in proxy.asked(ADD)[:2])
        assert second >= 1800 > first
        assert second < 1805
    assert proxy.statuses()[0]["seq"] >= 60


async def test_a_goodbye_is_tried_even_while_a_429_is_waited_out(proxy: FakeProxy):
    way = Way(proxy)
    proxy.tell(ADD, 429, {"error": "quota", "retry_after": 3600}, times=1)
    assert not await way.outbox.send_now(message(2), timeout=2)
    assert not await way.outbox.send_now(message(3), timeout=2)
    assert len(proxy.asked(ADD)) == 1
    assert await way.outbox.send_now(message(4, goodbye=True), timeout=2)
    assert [status["seq"] for status in proxy.statuses()] == [4]
    await way.publisher.close()


async def test_the_org_is_learnt_from_the_proxy_for_as_long_as_it_takes(proxy: FakeProxy):
    proxy.tell(WORKER_CONFIG, 404, {"error": "not found"}, times=2)
    proxy.tell(WORKER_CONFIG, hang=True, times=1)
    proxy.tell(WORKER_CONFIG, 200, {"queue": "q"}, times=1)
    proxy.tell(WORKER_CONFIG, 200, {"org_id": "a:b"}, times=1)
    async with opened(Way(proxy, org_id=None)) as way:
        way.outbox.put(message(1))
        await asyncio.sleep(1)
        error = str(way.outbox.freshness.last_error)
        assert "set orgId" in error
        assert f"GET {WORKER_CONFIG}: status 404" in error
        assert not proxy.asked(ADD)
        await asyncio.sleep(120)
        way.outbox.put(message(2))
        await asyncio.sleep(1)
    assert [status["seq"] for status in proxy.statuses()] == [1, 2]
    assert {channel for channel, _ in proxy.published} == {CHANNEL}
    assert len(proxy.asked(WORKER_CONFIG)) == 6


async def test_a_proxy_that_names_no_org_says_what_to_set(proxy: FakeProxy):
    proxy.org_id = None
    way = Way(proxy, org_id=None)
    with pytest.raises(PublishError, match="set orgId"):
        await way.publisher.publish(message())
    proxy.org_id = "a:b"
    with pytest.raises(PublishError, match="set orgId"):
        await way.publisher.publish(message())
    assert not proxy.asked(ADD)
    await way.publisher.close()


async def test_a_429_on_the_way_to_the_org_is_honoured_too(proxy: FakeProxy):
    proxy.tell(WORKER_CONFIG, 429, {"error": "quota", "retry_after": 900}, times=1)
    async with opened(Way(proxy, org_id=None)) as way:
        way.outbox.put(message(1))
        await asyncio.sleep(890)
        assert len(proxy.asked(WORKER_CONFIG)) == 1
        assert way.outbox.freshness.failed == 1
        await asyncio.sleep(30)
    assert len(proxy.statuses()) == 1


async def test_a_token_that_is_renewed_is_used_at_once_by_both_ways(
    proxy: FakeProxy, tmp_path: Path
):
    path = tmp_path / "token"
    path.write_text("first")
    proxy.tokens = {"first"}
    async with opened(Way(proxy, token_file(path).__call__)) as way:
        await way.publisher.publish(message(1))
        proxy.tokens = {"second"}
        proxy.drop()
        await asyncio.sleep(5)
        assert way.publisher.pubsub_transport == "http"
        with pytest.raises(PublishError, match="status 401"):
            await way.publisher.publish(message(2))
        path.write_text("second\n")
        await way.publisher.publish(message(3))
        await asyncio.sleep(130)
        assert way.publisher.pubsub_transport == "websocket"
        assert "first" not in way.told()
        assert "second" not in way.told()


async def test_a_token_that_is_not_there_yet_is_no_reason_to_end(proxy: FakeProxy, tmp_path: Path):
    path = tmp_path / "token"
    async with opened(Way(proxy, token_file(path).__call__)) as way:
        way.outbox.put(message(1))
        await asyncio.sleep(60)
        assert "enrol this node" in str(way.outbox.freshness.last_error)
        path.write_text(TOKEN)
        await asyncio.sleep(31)
        assert way.outbox.freshness.state == "ok"


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503])
async def test_no_error_tells_the_token(proxy: FakeProxy, status: int):
    for path in (ADD, PUBLISH, SOCKET, WORKER_CONFIG):
        proxy.tell(path, status, {"error": f"Bearer {TOKEN} is not welcome"})
    async with opened(Way(proxy, org_id=None)) as way:
        way.outbox.put(message(1))
        await asyncio.sleep(60)
        proxy.forgive(WORKER_CONFIG)
        await asyncio.sleep(60)
        proxy.forgive(ADD)
        await asyncio.sleep(60)
        assert f"status {status}: Bearer [token] is not welcome" in way.told()
        assert TOKEN not in way.told()


async def test_nothing_outlives_the_close(proxy: FakeProxy):
    before = asyncio.all_tasks()
    async with opened(Way(proxy)) as way:
        await way.publisher.publish(message())
        proxy.tell(ADD, hang=True, times=1)
        way.outbox.put(message())
        await asyncio.sleep(1)
    await asyncio.sleep(1)
    assert asyncio.all_tasks() == before
    assert not proxy.sockets
    with pytest.raises(PublishError, match="closed"):
        await way.publisher.publish(message())
    await way.publisher.close()


async def test_settings_that_cannot_be_are_refused(proxy: FakeProxy):
    token = token_value(TOKEN)
    for base, org in (("nonsense", "acme"), (proxy.base, "a b"), ("http://example.org", "acme")):
        with pytest.raises(ConfigError):
            ApiPublisher(base, token, org_id=org)
