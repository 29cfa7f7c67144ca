import asyncio
import itertools
from collections.abc import Callable

import pytest

from citadel_k8s.aio.outbox import BACKOFF_MAX, Freshness, Outbox

pytestmark = pytest.mark.looptime


class RefusedError(Exception):
    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class LoopClock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        return 1_000_000 + asyncio.get_running_loop().time()


class Server:
    """Takes items while it is up; remembers when each attempt came."""

    def __init__(self) -> None:
        self.up = True
        self.delay = 0.0
        self.asks: float | None = None
        self.taken: list[int] = []
        self.attempts: list[float] = []

    async def send(self, item: int) -> None:
        self.attempts.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.delay)
        if not self.up:
            raise RefusedError("connection refused", self.asks)
        self.taken.append(item)


def outbox_to(server: Server, jitter: Callable[[], float] = lambda: 0.0) -> Outbox[int]:
    return Outbox(server.send, errors=(RefusedError,), clock=LoopClock(), jitter=jitter)


async def test_an_item_is_sent_at_once():
    server = Server()
    outbox = outbox_to(server)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run())
        outbox.put(1)
        await asyncio.sleep(0.1)
        outbox.put(2)
        await asyncio.sleep(0.1)
        task.cancel()
    assert server.taken == [1, 2]
    assert (outbox.waiting, outbox.freshness.state, outbox.freshness.sent) == (0, "ok", 2)


async def test_after_an_outage_only_the_latest_item_is_sent():
    server = Server()
    server.up = False
    outbox = outbox_to(server)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run())
        for item in range(20):
            outbox.put(item)
            await asyncio.sleep(30)
        assert outbox.waiting == 1
        server.up = True
        await asyncio.sleep(30)
        task.cancel()
    assert server.taken == [19]
    assert outbox.freshness.consecutive_failures == 0


async def test_pauses_double_up_to_a_bound_and_jitter_only_lengthens_them():
    server = Server()
    server.up = False
    outbox = outbox_to(server, jitter=lambda: 0.5)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run())
        outbox.put(1)
        await asyncio.sleep(200)
        task.cancel()
    pauses = [b - a for a, b in zip(server.attempts, server.attempts[1:], strict=False)]
    assert pauses[:5] == pytest.approx([1.5, 3, 6, 12, 1.5 * BACKOFF_MAX], abs=0.01)
    assert max(pauses) == pytest.approx(1.5 * BACKOFF_MAX, abs=0.01)


async def test_no_pause_is_longer_than_the_owner_allows():
    server = Server()
    server.up = False
    outbox: Outbox[int] = Outbox(
        server.send,
        errors=(RefusedError,),
        clock=LoopClock(),
        longest_pause=10,
        jitter=lambda: 0.999,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run())
        outbox.put(1)
        await asyncio.sleep(200)
        task.cancel()
    pauses = [b - a for a, b in zip(server.attempts, server.attempts[1:], strict=False)]
    assert 9 < max(pauses) <= 10


async def test_a_short_limit_holds_from_the_first_pause_after_each_success():
    server = Server()
    outbox: Outbox[int] = Outbox(
        server.send, errors=(RefusedError,), clock=LoopClock(), longest_pause=0.5, jitter=lambda: 1
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run())
        outbox.put(1)
        await asyncio.sleep(1)
        server.up = False
        outbox.put(2)
        await asyncio.sleep(10)
        task.cancel()
    assert server.taken == [1]
    attempts = server.attempts[1:]
    assert len(attempts) == pytest.approx(20, abs=1)


async def test_a_send_that_hangs_is_a_failure_and_not_the_end():
    server = Server()
    server.delay = 1e6
    outbox = outbox_to(server)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run())
        outbox.put(1)
        await asyncio.sleep(10.5)
        assert outbox.freshness.consecutive_failures == 1
        server.delay = 0
        await asyncio.sleep(2)
        task.cancel()
    assert server.taken == [1]


async def test_nothing_is_known_of_the_way_out_before_the_first_success():
    server = Server()
    server.up = False
    outbox = outbox_to(server)
    assert outbox.freshness == Freshness()
    assert outbox.freshness.state == "unknown"
    assert not await outbox.send_now(1, timeout=2)
    assert outbox.freshness.state == "unknown"
    assert outbox.freshness.last_error == "connection refused"
    server.up = True
    assert await outbox.send_now(2, timeout=2)
    assert outbox.freshness.state == "ok"
    assert outbox.freshness.last_success is not None


async def test_the_last_word_does_not_wait_longer_than_it_may():
    server = Server()
    server.delay = 1e6
    outbox = outbox_to(server)
    started = asyncio.get_running_loop().time()
    assert not await outbox.send_now(1, timeout=2)
    assert asyncio.get_running_loop().time() - started == pytest.approx(2, abs=0.01)


async def test_an_item_that_comes_while_another_is_on_its_way_is_sent_after_it():
    server = Server()
    server.delay = 1
    outbox = outbox_to(server)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run())
        outbox.put(1)
        await asyncio.sleep(0.5)
        outbox.put(2)
        await asyncio.sleep(3)
        task.cancel()
    assert server.taken == [1, 2]


async def test_what_the_server_asked_to_wait_is_waited_in_full_whatever_comes_meanwhile():
    server = Server()
    server.up = False
    server.asks = 3600
    outbox = outbox_to(server, jitter=lambda: 0.5)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run())
        for item in range(119):
            outbox.put(item)
            await asyncio.sleep(30)
        assert len(server.attempts) == 1
        server.up = True
        await asyncio.sleep(60)
        task.cancel()
    assert server.taken == [118]
    assert server.attempts[1] == pytest.approx(3600.5, abs=0.01)


@pytest.mark.parametrize("asks", [None, 0, 0.1])
async def test_a_wait_shorter_than_the_own_pause_does_not_shorten_it(asks: float | None):
    server = Server()
    server.up = False
    server.asks = asks
    outbox = outbox_to(server)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run())
        outbox.put(1)
        await asyncio.sleep(16)
        task.cancel()
    assert server.attempts == pytest.approx([0, 1, 3, 7, 15], abs=0.01)


async def test_a_wait_that_was_asked_for_once_is_not_waited_again():
    server = Server()
    server.up = False
    server.asks = 600
    outbox = outbox_to(server)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run())
        outbox.put(1)
        await asyncio.sleep(1)
        server.asks = None
        await asyncio.sleep(610)
        task.cancel()
    assert server.attempts == pytest.approx([0, 600, 602, 606], abs=0.01)


async def test_a_last_word_does_not_wait_for_what_the_server_asked():
    server = Server()
    server.up = False
    server.asks = 3600
    outbox = outbox_to(server)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run())
        outbox.put(1)
        await asyncio.sleep(10)
        started = asyncio.get_running_loop().time()
        task.cancel()
    server.up = True
    assert await outbox.send_now(2, timeout=2)
    assert asyncio.get_running_loop().time() - started < 0.1


async def test_a_bound_that_moves_holds_from_the_next_pause_on():
    server = Server()
    server.up = False
    box = Outbox(
        server.send, errors=(RefusedError,), clock=LoopClock(), longest_pause=300, jitter=lambda: 0
    )
    box.put(1)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(box.run())
        await asyncio.sleep(60)
        box.limit_pause(10)
        await asyncio.sleep(240)
        task.cancel()
    pauses = [b - a for a, b in itertools.pairwise(server.attempts)]
    assert max(pauses[:6]) == 32
    assert pauses[6:]
    assert max(pauses[6:]) == 5
