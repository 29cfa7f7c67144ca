import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from citadel_k8s.agent.board import Board
from citadel_k8s.agent.collecting import Collecting
from citadel_k8s.agent.heartbeat import Heartbeat
from citadel_k8s.agent.sources import SourceLoop
from citadel_k8s.agent.wiring import Collectors
from citadel_k8s.aio.outbox import Outbox
from citadel_k8s.domain.keys import heartbeat_phase
from citadel_k8s.domain.report import Moment, Speaker
from citadel_k8s.errors import PublishError
from citadel_k8s.models.readings import Absent, Engine, Gpu, Gpus, Host, Outcome, Reading
from citadel_k8s.models.wire import StatusMessage

pytestmark = pytest.mark.looptime

SPEAKER = Speaker("n1", "n1", "boot", 30.0, "1")
PHASE = heartbeat_phase("n1", 30.0)
VLLM = Engine("vllm", "llm", "running", "ok", "vllm", 8000, ("m1",))


class LoopClock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        return 1_795_420_800 + asyncio.get_running_loop().time()


def moment() -> Moment:
    clock = LoopClock()
    return Moment(clock.now(), clock.monotonic(), clock.monotonic())


class Node:
    """A heartbeat with all around it pretended; remembers when each message was put out."""

    def __init__(self) -> None:
        self.board = Board(SPEAKER, moment)
        self.sent: list[tuple[float, StatusMessage]] = []
        self.looks = 0
        self.redis_up = True
        self.outbox = Outbox(
            self._send, errors=(PublishError,), clock=LoopClock(), jitter=lambda: 0.0
        )
        self.heartbeat = Heartbeat(self.board, self.outbox, self._look_again)

    async def _send(self, message: StatusMessage) -> None:
        if not self.redis_up:
            raise PublishError("refused")
        self.sent.append((asyncio.get_running_loop().time(), message))

    async def _look_again(self) -> None:
        self.looks += 1

    def learn(self, *, gpu: str = "ok", engine: Engine = VLLM) -> None:
        self.board.learn_host(Reading(Host()), 0)
        reading: Outcome[Gpus] = Reading(Gpus("575", (Gpu(0, uuid="GPU-0", health=gpu),)))
        self.board.learn_gpus(reading, 0)
        self.board.learn_engines(Reading((engine,)), 0)

    async def during(self, *steps: Callable[[], Awaitable[None]]) -> list[float]:
        """Run all while the steps are made; give when messages were sent."""
        async with asyncio.TaskGroup() as group:
            jobs = [self.heartbeat.run(), self.heartbeat.confirm(), self.outbox.run()]
            tasks = [group.create_task(job) for job in jobs]
            for step in steps:
                await step()
            for task in tasks:
                task.cancel()
        return [round(at, 2) for at, _ in self.sent]


def after(seconds: float, action: Callable[[], None] = lambda: None):
    async def step() -> None:
        await asyncio.sleep(seconds)
        action()

    return step


def on_grid(at: float) -> bool:
    return (at - PHASE) % 30 == pytest.approx(0, abs=0.02) or (at - PHASE) % 30 > 29.98


async def test_the_first_heartbeat_leaves_with_the_first_answers_and_then_on_the_grid():
    node = Node()
    sent = await node.during(after(1, node.learn), after(300))
    assert sent[0] == 1
    assert len(sent) == 11
    assert all(on_grid(at) for at in sent[1:])


async def test_without_answers_the_first_heartbeat_leaves_after_five_seconds():
    node = Node()
    sent = await node.during(after(8))
    assert sent[0] == 5


async def test_numbers_count_from_one_without_a_gap():
    node = Node()
    await node.during(after(0, node.learn), after(100))
    assert [m.seq for _, m in node.sent] == list(range(1, len(node.sent) + 1))


async def test_a_gpu_that_fails_is_told_at_once_and_once():
    node = Node()
    node.learn()
    fail = PHASE + 10
    sent = await node.during(
        after(fail, lambda: node.learn(gpu="failed")),
        after(1, lambda: node.learn(gpu="failed")),
        after(15),
    )
    extra = [at for at in sent[1:] if not on_grid(at)]
    assert extra == [pytest.approx(fail, abs=0.02)]
    told = [m for at, m in node.sent if at == pytest.approx(fail, abs=0.02)]
    assert told[0].status.gpu is not None
    assert told[0].status.gpu[0].health == "failed"


async def test_many_changes_in_a_second_are_told_together():
    node = Node()
    node.learn()

    async def flap() -> None:
        await asyncio.sleep(PHASE + 5)
        for i in range(50):
            node.learn(gpu="failed" if i % 2 else "unknown")
            await asyncio.sleep(0.1)

    sent = await node.during(flap, after(3))
    extra = [at for at in sent[1:] if not on_grid(at)]
    assert 5 <= len(extra) <= 7
    assert min(b - a for a, b in itertools.pairwise(extra)) >= 0.99


async def test_a_soft_change_is_told_at_once_and_confirmed_after_a_second_look():
    node = Node()
    node.learn()
    change = PHASE + 5
    slow = replace(VLLM, health="unhealthy", reason="Timeout")
    sent = await node.during(after(change, lambda: node.learn(engine=slow)), after(15))
    extra = [at for at in sent[1:] if not on_grid(at)]
    assert extra == [pytest.approx(change, abs=0.02), pytest.approx(change + 5, abs=0.02)]
    assert node.looks == 1


async def test_a_change_just_before_the_grid_does_not_move_the_grids_heartbeat():
    node = Node()
    node.learn()
    sent = await node.during(
        after(PHASE + 29.5, lambda: node.learn(gpu="failed")),
        after(0.2, lambda: node.learn(gpu="unknown")),
        after(31),
    )
    assert len([at for at in sent[1:] if on_grid(at)]) == 3


async def test_heartbeats_stay_on_the_grid_while_redis_is_down_and_the_latest_gets_through():
    node = Node()
    node.learn()
    node.redis_up = False

    def up() -> None:
        node.redis_up = True

    sent = await node.during(after(600, up), after(20))
    assert len(sent) <= 2
    assert node.sent[0][1].seq == node.heartbeat.seq or len(sent) == 2
    assert node.sent[0][1].seq is not None
    assert node.sent[0][1].seq >= 20


async def test_the_last_word_says_that_the_agent_ends_and_no_more():
    node = Node()
    node.learn()
    goodbye = node.heartbeat.goodbye()
    assert goodbye.goodbye is not None
    assert goodbye.goodbye.reason == "terminating"
    assert goodbye.goodbye.expected_back_seconds is None
    assert goodbye.seq == 1


class SlowSource:
    name = "slow"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.collected = 0
        self.error: Exception | None = None

    async def collect(self) -> Outcome[Host]:
        self.collected += 1
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        return Reading(Host())

    async def close(self) -> None:
        pass


async def running(source: SlowSource, *steps: Callable[[], Awaitable[None]]) -> list[Outcome[Host]]:
    learnt: list[Outcome[Host]] = []
    loop = SourceLoop(source, lambda outcome, _duration: learnt.append(outcome), interval=10)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(loop.run())
        for step in steps:
            await step()
        task.cancel()
    return learnt


async def test_a_source_is_read_at_once_and_then_on_its_grid():
    source = SlowSource(0.5)
    await running(source, after(95))
    assert source.collected == 10


async def test_a_source_that_is_slow_misses_ticks_instead_of_piling_up():
    source = SlowSource(25)
    await running(source, after(100))
    assert source.collected == 4


async def test_a_source_that_never_answers_is_told_as_unresponsive():
    (first, *_) = await running(SlowSource(1e6), after(100))
    assert getattr(first, "reason", None) == "Unresponsive"


async def test_a_source_with_a_defect_is_told_and_read_again():
    source = SlowSource(0)
    source.error = RuntimeError("defect")
    outcomes = await running(source, after(25))
    assert {getattr(o, "reason", None) for o in outcomes} == {"CollectorError"}
    assert len(outcomes) == 3


async def test_whoever_wants_a_fresh_reading_shares_the_one_under_way():
    source = SlowSource(2)
    loop = SourceLoop(source, lambda _o, _d: None, interval=60, phase=1)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(loop.run())
        await asyncio.sleep(1)
        await loop.refresh()
        await asyncio.sleep(7)
        assert source.collected == 1
        async with asyncio.TaskGroup() as many:
            for _ in range(20):
                many.create_task(loop.refresh())
        await asyncio.sleep(10)
        task.cancel()
    assert source.collected == 2


async def test_a_new_interval_counts_at_once_and_is_told_at_once():
    node = Node()

    def hurry() -> None:
        node.board.speaker = replace(SPEAKER, interval_seconds=10.0)
        node.heartbeat.retime()

    await node.during(after(1, node.learn), after(100, hurry), after(100))
    times = [at for at, _ in node.sent]
    changed = [at for at in times if at >= 101]
    assert changed[0] == pytest.approx(101, abs=0.1)
    assert [round(b - a) for a, b in itertools.pairwise(changed[1:])] == [10] * (len(changed) - 2)
    assert {m.interval_seconds for at, m in node.sent if at >= 101} == {10.0}


class Changing:
    """A source with nothing to read until something appears."""

    name = "changing"

    def __init__(self) -> None:
        self.there = False
        self.asked: list[float] = []

    async def collect(self) -> Outcome[int]:
        self.asked.append(asyncio.get_running_loop().time())
        return Reading(1) if self.there else Absent("NoDriver", "none")

    async def close(self) -> None:
        pass


async def run_for(loop: SourceLoop[int], seconds: float) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(loop.run())
        await asyncio.sleep(seconds)
        task.cancel()


async def test_a_source_with_nothing_to_read_is_asked_less_often_until_there_is():
    source = Changing()
    loop = SourceLoop(source, lambda *_: None, interval=10, phase=0, rest=5)
    await run_for(loop, 125)
    assert [round(at) for at in source.asked] == [0, 60, 120]
    source.there = True
    await run_for(loop, 30)
    assert [round(at) for at in source.asked[3:]] == [125, 130, 140, 150]


async def test_a_source_that_rests_is_asked_at_once_when_it_is_wanted():
    source = Changing()
    loop = SourceLoop(source, lambda *_: None, interval=10, phase=0, rest=5)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(loop.run())
        await asyncio.sleep(15)
        loop.want()
        await asyncio.sleep(1)
        task.cancel()
    assert [round(at) for at in source.asked] == [0, 15]


async def test_a_driver_that_comes_late_is_read_at_the_next_reading():
    node, driver = Node(), Changing()
    driver.name = "nvml"
    jobs = Collecting(Collectors(Changing(), driver, Changing()), node.board).jobs()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(jobs["collect nvml"]())
        await asyncio.sleep(200)
        task.cancel()
    assert max(b - a for a, b in itertools.pairwise(driver.asked)) == pytest.approx(30)
