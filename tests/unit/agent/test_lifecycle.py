"""An agent in this process with a part of it broken."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from citadel_k8s.agent.main import Agent, collectors_of
from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.publishers.api import ApiPublisher
from citadel_k8s.publishers.fake import FakePublisher
from citadel_k8s.publishers.token import token_value

SETTINGS = AgentSettings(
    node_name="n1",
    fake_gpu="l40sx2",
    redis_url="redis://127.0.0.1:1",
    configuration="off",
    listen_host="127.0.0.1",
    listen_port=0,
)


def an_agent(publisher: FakePublisher, **more: Any) -> Agent:
    settings = SETTINGS.model_copy(update=more)
    clock = SystemClock()
    return Agent(settings, collectors_of(settings, clock), publisher, clock=clock)


@asynccontextmanager
async def running(agent: Agent) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(agent.run(stop))
        yield
        stop.set()


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110 - nothing of it sets an event
        await asyncio.sleep(0.01)


async def broken(*_arguments: Any) -> None:
    raise ValueError("a defect")


async def test_the_first_heartbeat_says_by_what_way_it_went():
    publisher = FakePublisher()
    async with running(an_agent(publisher)):
        await until(lambda: publisher.messages)
    first = publisher.messages[0]
    assert first.agent is not None
    assert first.agent.transport == publisher.transport


@pytest.mark.parametrize("part", ["_configuration.run", "_rivals.run", "_access.keep_fresh"])
async def test_a_part_that_fails_takes_neither_heartbeats_nor_the_goodbye_along(
    part: str, monkeypatch: pytest.MonkeyPatch
):
    publisher = FakePublisher()
    agent = an_agent(publisher)
    owner, _, method = part.partition(".")
    monkeypatch.setattr(getattr(agent, owner), method, broken)
    async with running(agent):
        await until(lambda: publisher.messages)
    assert publisher.messages[-1].goodbye is not None
    assert publisher.closed


async def test_a_reading_that_cannot_be_told_is_a_failure_of_its_source(
    monkeypatch: pytest.MonkeyPatch,
):
    publisher = FakePublisher()
    agent = an_agent(publisher)
    learn = agent.board.learn_engines
    loop = agent._collecting._loops["engines"]

    def stumble(outcome: Any, duration: float) -> None:
        if outcome.__class__.__name__ == "Reading":
            raise TypeError("an odd value")
        learn(outcome, duration)

    monkeypatch.setattr(loop, "_learn", stumble)
    async with running(agent):
        await until(lambda: publisher.messages)
    sources = {c.name: c for c in publisher.messages[-1].status.collectors or ()}
    assert (sources["engines"].state, sources["engines"].reason) == ("failed", "CollectorError")
    assert sources["host"].state == "ok"


async def test_a_job_that_does_not_end_does_not_cost_the_goodbye(monkeypatch: pytest.MonkeyPatch):
    publisher = FakePublisher()
    agent = an_agent(publisher)
    said = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await said.wait()

    monkeypatch.setattr(agent._access, "keep_fresh", stubborn)
    async with running(agent):
        await until(lambda: publisher.messages)
        monkeypatch.setattr(publisher, "publish", _then(publisher.publish, said))
    assert publisher.messages[-1].goodbye is not None


def _then(publish: Callable[..., Any], said: asyncio.Event) -> Callable[..., Any]:
    async def then(message: Any) -> None:
        await publish(message)
        said.set()

    return then


async def test_a_goodbye_that_fails_in_an_unheard_of_way_closes_everything_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
):
    publisher = FakePublisher()
    agent = an_agent(publisher)
    async with running(agent):
        await until(lambda: publisher.messages)
        monkeypatch.setattr(publisher, "publish", broken)
    assert publisher.closed


async def test_no_pause_of_the_way_out_is_longer_than_a_sixth_of_the_interval_from_afar():
    agent = an_agent(FakePublisher(), interval_seconds=300.0)
    assert agent._outbox is not None
    assert 15 <= max(agent._outbox._pause() for _ in range(10)) <= 30
    current = agent._configuration.current
    object.__setattr__(current, "interval_seconds", 12.0)
    agent._apply(current)
    assert 1 <= max(agent._outbox._pause() for _ in range(10)) <= 2


async def test_where_an_api_counts_the_attempts_a_pause_may_be_as_long_as_the_interval():
    agent = an_agent(ApiPublisher("http://127.0.0.1:9", token_value("t")), interval_seconds=20.0)
    assert agent._outbox is not None
    assert 10 <= max(agent._outbox._pause() for _ in range(10)) <= 20
