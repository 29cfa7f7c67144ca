"""When a sweep is made: in its turn, and soon when it is asked for."""

import asyncio

import pytest

from citadel_k8s.operator.sweep import SOONEST, SWEEP_INTERVAL, Sweep
from tests.unit.operator.fakes import FakeKube, World

pytestmark = pytest.mark.looptime


async def sweeps(asks: tuple[float, ...], seconds: float) -> int:
    """Give how many sweeps were made in so many seconds."""
    world, kube = World(), FakeKube()
    sweep = Sweep(kube, world.registry, world.clock)
    loop = asyncio.get_running_loop()
    for moment in asks:
        loop.call_later(moment, sweep.soon)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(sweep.run())
        await asyncio.sleep(seconds)
        task.cancel()
    return kube.requests.count(("list", "nodes"))


async def test_a_sweep_is_made_in_its_turn() -> None:
    assert await sweeps((), SWEEP_INTERVAL - 1) == 0
    assert await sweeps((), 3 * SWEEP_INTERVAL + 1) == 3


async def test_a_sweep_that_is_asked_for_does_not_wait_for_its_turn() -> None:
    assert await sweeps((20.0,), 21) == 1


async def test_sweeps_that_are_asked_for_again_and_again_are_some_seconds_apart() -> None:
    often = tuple(number / 2 for number in range(120))
    assert await sweeps(often, 60) <= 60 / SOONEST
