import asyncio
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from citadel_k8s.config.operator import OperatorSettings
from citadel_k8s.errors import ConfigError
from citadel_k8s.operator.news import News, NewsApi, build
from citadel_k8s.stores.fake import FakeStatusStream
from tests.unit.operator.fakes import World
from tests.unit.operator.newsworld import FakeEvents


def made(world: World, exposed: CollectorRegistry, **settings: Any) -> News:
    return build(
        OperatorSettings.model_validate({"redis_url": "redis://127.0.0.1:1", **settings}),
        cast("NewsApi", FakeEvents()),
        world.registry,
        FakeStatusStream(world.clock),
        clock=world.clock,
        metrics=exposed,
        leads=lambda: True,
        pipeline=lambda: ("ReaderDown", "Redis cannot be read"),
    )


async def test_the_parts_tell_and_end_at_once() -> None:
    world, exposed = World(), CollectorRegistry()
    world.beat()
    news = made(world, exposed)
    before = world.registry.nodes["gpu-1"].live
    world.clock.advance(100)
    world.silence()
    for listener in news.listeners:
        listener(world.registry.nodes["gpu-1"], before)
    await news.notifier.refresh()
    for alert in ("NodeOffline", "HeartbeatPipelineDown"):
        labels = {"alert": alert}
        assert exposed.get_sample_value("citadel_operator_alerts_firing", labels) == 1
    task = asyncio.get_running_loop().create_task(news.run())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "wrong",
    [
        {"redis_url": None},
        {"cordon": {"mode": "on", "taint": "x:Never"}},
        {"alerts": {"external_labels": {"node": "x"}}},
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_at_the_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        made(World(), CollectorRegistry(), **wrong)


async def test_how_the_pipe_fares_is_an_event_also_of_who_cannot_read_the_stream_yet() -> None:
    world, api = World(), FakeEvents()
    news = build(
        OperatorSettings.model_validate({"redis_url": "redis://127.0.0.1:1"}),
        cast("NewsApi", api),
        world.registry,
        FakeStatusStream(world.clock),
        clock=world.clock,
        metrics=CollectorRegistry(),
        leads=lambda: False,
        tells=lambda: True,
    )
    news.recorder.tell("ReaderDown", "refused", kind="Warning")
    world.clock.advance(10)
    await news.recorder.flush()
    assert [event["reason"] for event in api.events.values()] == ["ReaderDown"]
    await news.letters.close()
