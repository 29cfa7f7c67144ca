import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.aio.periodic import Ticker, next_tick

pytestmark = pytest.mark.looptime


@given(
    now=st.floats(0, 1e7),
    interval=st.floats(0.5, 600),
    phase=st.floats(-600, 600),
)
def test_the_next_tick_is_after_now_and_no_later_than_an_interval(
    now: float, interval: float, phase: float
):
    tick = next_tick(now, interval, phase)
    assert now < tick <= now + interval * (1 + 1e-6)


async def test_ticks_stay_on_the_grid_over_a_day_of_slow_work():
    loop = asyncio.get_running_loop()
    ticker = Ticker(30, phase=7)
    for _ in range(2880):
        tick = await ticker.wait()
        assert tick is not None
        assert (tick.at - 7) % 30 == pytest.approx(0, abs=1e-6)
        assert loop.time() == pytest.approx(tick.at, abs=1e-3)
        await asyncio.sleep(11.3)
    assert loop.time() == pytest.approx(2880 * 30, abs=60)


async def test_a_late_tick_is_dropped_and_counted_instead_of_queued():
    ticker = Ticker(10)
    await ticker.wait()
    await asyncio.sleep(35)
    tick = await ticker.wait()
    assert tick is not None
    assert (tick.at, tick.dropped) == (50, 3)


async def test_an_early_event_ends_the_wait_and_leaves_the_tick_to_come():
    loop = asyncio.get_running_loop()
    ticker = Ticker(10)
    early = asyncio.Event()
    loop.call_later(4, early.set)
    assert await ticker.wait(early=early) is None
    assert loop.time() == pytest.approx(4, abs=1e-3)
    early.clear()
    tick = await ticker.wait(early=early)
    assert tick is not None
    assert (tick.at, tick.dropped) == (10, 0)


async def test_the_same_moment_is_never_given_twice():
    ticker = Ticker(5)
    moments = []
    for _ in range(50):
        tick = await ticker.wait()
        assert tick is not None
        moments.append(tick.at)
    assert moments == sorted(set(moments))
