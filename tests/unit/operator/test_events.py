import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.domain.events import EVENTS_MAX
from citadel_k8s.errors import KubeError
from citadel_k8s.operator.events import Recorder
from citadel_k8s.operator.newsmetrics import NewsMetrics
from tests.unit.operator.fakes import World
from tests.unit.operator.newsworld import FakeEvents


class Scene:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.api = FakeEvents()
        self.exposed = CollectorRegistry()
        self.leading = True
        self.recorder = Recorder(
            self.api,
            self.clock,
            NewsMetrics(self.exposed),
            lambda: self.leading,
            jitter=lambda: 0.0,
        )
        self.world = World()

    async def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 2)):
            self.clock.advance(0.5)
            await self.recorder.flush()

    def count(self, result: str) -> float | None:
        labels = {"result": result}
        return self.exposed.get_sample_value("citadel_operator_events_total", labels)

    def lose(self, node: str = "gpu-1") -> None:
        if node not in self.world.registry.nodes:
            self.world.beat(node)
        record = self.world.registry.nodes[node]
        before = record.live
        self.world.clock.advance(100)
        self.world.silence()
        self.recorder.told(record, before)


async def test_a_transition_is_one_event_about_the_nodes_object() -> None:
    scene = Scene()
    scene.world.restore()
    scene.lose()
    await scene.pass_time(3)
    (event,) = scene.api.events.values()
    assert event["involved"]["metadata"] == {"name": "gpu-1", "uid": "uid-of-gpu-1"}
    assert (event["reason"], event["kind"], event["count"]) == ("NeverReported", "Warning", 1)


async def test_it_is_counted_on_and_made_anew_once_the_server_has_forgotten_it() -> None:
    scene = Scene()
    for _ in range(3):
        scene.recorder.tell("Odd", "again")
    await scene.pass_time(3)
    scene.recorder.tell("Odd", "again")
    await scene.pass_time(11)
    (event,) = scene.api.events.values()
    assert event["count"] == 4
    scene.api.events.clear()
    scene.recorder.tell("Odd", "again")
    await scene.pass_time(11)
    (event,) = scene.api.events.values()
    assert event["count"] == 5


async def test_an_event_about_the_fleet_is_found_by_describe_where_the_object_is_there() -> None:
    scene = Scene()
    scene.api.fleet = None
    scene.recorder.tell("One", "a")
    await scene.pass_time(3)
    scene.api.fleet = {"metadata": {"uid": "uid-fabric"}}
    scene.recorder.tell("Two", "b")
    await scene.pass_time(3)
    uids = [e["involved"]["metadata"].get("uid") for e in scene.api.events.values()]
    assert uids == [None, "uid-fabric"]


async def test_events_keep_to_their_budget() -> None:
    scene = Scene()
    for number in range(500):
        scene.recorder.tell(f"Odd{number}", "x")
    await scene.pass_time(22)
    assert scene.api.requests <= 20 + 5 * 20 + 2


async def test_too_many_are_dropped_and_counted() -> None:
    scene = Scene()
    for number in range(EVENTS_MAX + 7):
        scene.recorder.tell(f"Odd{number}", "x")
    assert scene.count("dropped") == 7


@pytest.mark.parametrize("status", [0, 401, 403, 409, 429, 500, 503])
async def test_a_server_in_trouble_is_left_alone_for_a_while(status: int) -> None:
    scene = Scene()
    scene.api.fault = KubeError(status, "trouble")
    scene.recorder.tell("Odd", "x", kind="Warning")
    await scene.pass_time(60)
    assert scene.api.requests <= 12
    scene.api.fault = None
    await scene.pass_time(17)
    assert len(scene.api.events) == 1


async def test_a_wait_that_the_server_asks_for_is_kept() -> None:
    scene = Scene()
    scene.api.fault = KubeError(429, "later", 20)
    scene.recorder.tell("Odd", "x")
    await scene.pass_time(21)
    assert scene.api.requests == 1


async def test_an_event_that_is_refused_holds_up_no_other() -> None:
    scene = Scene()
    scene.recorder.tell("Bad", "x")
    await scene.pass_time(1.5)
    scene.api.fault = KubeError(422, "never")
    await scene.pass_time(1)
    scene.api.fault = None
    scene.recorder.tell("Good", "x")
    await scene.pass_time(5)
    assert [event["reason"] for event in scene.api.events.values()] == ["Good"]
    assert scene.count("refused") == 1


async def test_what_is_not_written_when_another_leads_is_forgotten() -> None:
    scene = Scene()
    scene.recorder.tell("Odd", "x")
    scene.leading = False
    await scene.pass_time(3)
    scene.leading = True
    await scene.pass_time(3)
    assert scene.api.events == {}


async def test_a_write_that_the_fence_refuses_is_no_trouble() -> None:
    scene = Scene()
    scene.api.fault = KubeError(-2, "not the leader")
    scene.recorder.tell("Odd", "x")
    await scene.pass_time(3)
    assert scene.count("failed") is None


async def test_a_server_that_stalls_delays_nobody_who_tells() -> None:
    scene = Scene()

    async def stall(*_: Any, **__: Any) -> dict[str, Any]:
        await asyncio.sleep(3600)
        return {}

    scene.api.create_event = stall  # type: ignore[method-assign]
    scene.recorder.tell("Odd", "x")
    scene.clock.advance(3)
    task = asyncio.get_running_loop().create_task(scene.recorder.flush())
    await asyncio.sleep(0)
    for _ in range(1000):
        scene.recorder.tell("Odd", "x")
        scene.lose()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
