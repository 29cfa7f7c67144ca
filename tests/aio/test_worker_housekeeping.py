import asyncio

import pytest

from citadel_k8s.errors import DatabaseError
from citadel_k8s.worker.housekeeping import AGAIN, EVERY, JITTER, Housekeeping

pytestmark = pytest.mark.looptime


async def test_a_round_is_done_each_hour_and_soon_after_one_that_failed() -> None:
    loop = asyncio.get_running_loop()
    began: list[float] = []

    async def one() -> None:
        began.append(loop.time())
        if len(began) == 2:
            raise DatabaseError("away")

    house = Housekeeping(one)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(house.run())
        await asyncio.sleep(2.5 * EVERY)
        running.cancel()
    assert len(began) == 4
    first, second, third, fourth = began
    assert EVERY <= second - first <= EVERY * (1 + JITTER)
    assert AGAIN <= third - second <= AGAIN * (1 + JITTER)
    assert fourth - third >= EVERY
    assert (house.done, house.failures) == (3, 1)
