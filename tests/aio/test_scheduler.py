"""Judging a whole fleet leaves time for the heartbeats in between."""

import asyncio

import pytest

from citadel_k8s.operator.scheduler import AT_ONCE, REST, TICK, Scheduler
from tests.aio.operators import WorldClock
from tests.unit.operator.fakes import METRICS, World

pytestmark = pytest.mark.looptime


async def test_others_run_between_the_turns_of_a_fleet_that_falls_silent():
    world, turns = World(), 4
    world.clock = world.registry.clock = WorldClock()
    for number in range(turns * AT_ONCE):
        world.beat(f"n{number}")
    await asyncio.sleep(60)

    class Proof:
        proved_until = world.clock.monotonic()

    seen: list[int] = []
    begun = world.clock.monotonic()
    scheduler = Scheduler(world.registry, Proof(), world.clock, METRICS())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(scheduler.run())
        for _ in range(turns):
            await asyncio.sleep(REST / 2 if not seen else REST)
            seen.append(world.registry.tally["Offline"])
        task.cancel()
    assert seen == [AT_ONCE * (turn + 1) for turn in range(turns)]
    assert world.clock.monotonic() - begun < TICK
