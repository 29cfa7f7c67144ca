"""The one object that tells how heartbeats arrive."""

import asyncio
from typing import Any

import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.domain.pipe import PipeCondition
from citadel_k8s.errors import KubeError
from citadel_k8s.operator.fabricstatus import FabricStatusWriter
from tests.unit.operator.fakes import World

HEALTHY = PipeCondition("True", "Healthy", "heartbeats can arrive")
BROKEN = PipeCondition("False", "ArrivalCollapse", "4 of 4 nodes fell silent at once")
DOWN = PipeCondition("False", "ReaderDown", "refused")


class Server:
    """One FabricStatus, and what was asked about it."""

    def __init__(self) -> None:
        self.object: dict[str, Any] | None = None
        self.patches: list[dict[str, Any]] = []
        self.created = self.fetched = 0
        self.fault: KubeError | None = None

    async def get_fabric_status(self, name: str) -> dict[str, Any] | None:
        assert name == "fabric"
        self.fetched += 1
        self._check()
        return self.object

    async def create_fabric_status(self, body: dict[str, Any]) -> dict[str, Any]:
        self._check()
        self.created += 1
        self.object = {**body, "status": {}}
        return self.object

    async def patch_fabric_status_status(self, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        self._check()
        if self.object is None:
            raise KubeError(404, "not there")
        self.patches.append(patch["status"])
        self.object["status"] = {**self.object["status"], **patch["status"]}
        return self.object

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault


class Desk:
    """A writer with all it needs."""

    def __init__(self) -> None:
        self.world = World()
        self.clock: ManualClock = self.world.clock
        self.server = Server()
        self.told = HEALTHY
        self.leading = True
        self.events: list[tuple[str, str]] = []
        self.writer = FabricStatusWriter(
            self.server,
            self.world.registry,
            lambda: self.told,
            self.clock,
            lambda: self.leading,
            "op-1",
            self._note,
        )

    def _note(self, reason: str, message: str, *, kind: str = "Normal") -> None:
        self.events.append((kind, reason))

    async def run(self, seconds: int, step: int = 1) -> None:
        for _ in range(0, seconds, step):
            await self.writer.step()
            self.clock.advance(step)

    @property
    def condition(self) -> dict[str, Any]:
        assert self.server.object is not None
        found: dict[str, Any] = self.server.object["status"]["conditions"][-1]
        return found


async def test_the_object_is_made_and_tells_how_many_nodes_are_how():
    desk = Desk()
    for name in ("a", "b", "c"):
        desk.world.beat(name)
    desk.world.registry.quarantined.update({f"x-{n:02}": 0.0 for n in range(20)})
    await desk.run(10)
    (status,) = desk.server.patches
    assert status["summary"] == {"nodes": "3/3"}
    assert status["nodes"]["online"] == 3
    assert status["nodes"]["silent"] == 0
    assert status["quarantined"] == [f"x-{n:02}" for n in range(16)]
    assert status["quarantinedCount"] == 20
    assert status["leader"] == "op-1"
    assert desk.condition["status"] == "True"
    assert desk.condition["type"] == "HeartbeatPipelineHealthy"
    assert desk.events == [], "that all is well at the start is no news"


async def test_numbers_are_written_each_half_minute_at_most_and_nothing_new_every_five_minutes():
    desk = Desk()
    desk.world.beat("a")
    await desk.run(10)
    for number in range(300):
        desk.world.beat(f"b-{number}")
        await desk.run(1)
    assert 10 <= len(desk.server.patches) <= 12
    await desk.run(60)
    before = len(desk.server.patches)
    await desk.run(1500)
    assert 4 <= len(desk.server.patches) - before <= 6


async def test_a_broken_way_is_told_after_two_seconds_with_an_event_and_so_is_its_end():
    desk = Desk()
    await desk.run(60)
    began = desk.clock.now()
    desk.told = BROKEN
    await desk.run(2)
    assert desk.condition["status"] == "True"
    await desk.run(2)
    assert (desk.condition["status"], desk.condition["reason"]) == ("False", "ArrivalCollapse")
    desk.told = DOWN
    await desk.run(20)
    assert desk.condition["reason"] == "ReaderDown"
    moment = desk.condition["lastTransitionTime"]
    desk.told = HEALTHY
    await desk.run(20)
    assert desk.condition["lastTransitionTime"] > moment
    assert desk.clock.now() - began < 60
    assert desk.events == [
        ("Warning", "ArrivalCollapse"),
        ("Warning", "ReaderDown"),
        ("Normal", "PipelineHealthy"),
    ]


async def test_what_heals_within_a_second_is_not_written_and_what_flutters_seldom():
    desk = Desk()
    await desk.run(60)
    before = len(desk.server.patches)
    for number in range(60):
        desk.told = BROKEN if number % 2 else HEALTHY
        await desk.run(1)
    assert len(desk.server.patches) == before
    for number in range(40):
        desk.told = BROKEN if number % 2 else HEALTHY
        await desk.run(3)
    assert len(desk.server.patches) - before <= 24


async def test_a_standby_writes_nothing_and_looks_before_it_does():
    desk = Desk()
    desk.leading = False
    await desk.run(100)
    assert (desk.server.fetched, desk.server.patches) == (0, [])
    date = "2026-01-01T00:00:00Z"
    theirs = {
        "type": "HeartbeatPipelineHealthy", "status": "True", "reason": "Healthy",
        "message": "", "lastTransitionTime": date,
    }  # fmt: skip
    other = {**theirs, "type": "Other"}
    desk.server.object = {"status": {"conditions": [theirs, other], "leader": "op-2"}}
    desk.leading = True
    await desk.run(5)
    assert desk.server.patches[0]["leader"] == "op-1"
    assert desk.condition["lastTransitionTime"] == date
    kinds = [c["type"] for c in desk.server.patches[0]["conditions"]]
    assert kinds == ["Other", "HeartbeatPipelineHealthy"]
    assert desk.events == []


async def test_a_start_leaves_what_stands_there():
    desk = Desk()
    desk.told = PipeCondition("Unknown", "Starting", "nothing is proved yet")
    await desk.run(60)
    assert (desk.server.fetched, desk.server.patches) == (0, [])


async def test_an_object_that_somebody_deletes_or_spoils_is_written_anew():
    desk = Desk()
    await desk.run(10)
    desk.server.object = None
    await desk.run(400)
    assert desk.server.created == 2
    assert desk.condition["status"] == "True"
    desk.server.object = {"status": {"conditions": "nonsense"}}
    desk.leading = False
    await desk.run(1)
    desk.leading = True
    await desk.run(5)
    assert desk.condition["status"] == "True"


async def test_trouble_with_the_server_is_told_and_over_when_it_is(
    monkeypatch: pytest.MonkeyPatch,
):
    desk = Desk()
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        desk.clock.advance(seconds)
        if len(pauses) == 4:
            assert desk.writer.trouble == "429"
            desk.server.fault = None
        if len(pauses) == 8:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    desk.server.fault = KubeError(429, "429", retry_after=7)
    with pytest.raises(asyncio.CancelledError):
        await desk.writer.run()
    assert all(7 <= pause < 9 for pause in pauses[:4])
    assert pauses[4:] == [1.0] * 4
    assert desk.writer.trouble is None
    assert len(desk.server.patches) == 1
