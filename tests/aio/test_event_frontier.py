"""How far statuses are taken in, as streams are told: lately, or not at all."""

import asyncio

import pytest

from citadel_k8s.api.events.hub import FRONTIER_EVERY
from citadel_k8s.api.events.stream import TIME_EVERY
from citadel_k8s.models.codec import format_timestamp
from tests.aio.eventclients import Client, world
from tests.orgfeed import START_MS

pytestmark = pytest.mark.looptime


def now_ms() -> int:
    return START_MS + round(asyncio.get_running_loop().time() * 1000)


class Ingest:
    """A frontier that is now, unless it is away."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0
        self.last = ""

    async def frontier(self) -> int | None:
        self.asked += 1
        if self.away:
            raise OSError("the database is away")
        moment = now_ms()
        self.last = f"{format_timestamp(moment / 1000, fraction=True)[:-4]}Z"
        return moment


async def test_the_first_time_after_a_while_without_streams_is_not_of_the_last_stream():
    ingest = Ingest()
    async with world(frontier=ingest.frontier) as w:
        first, later = Client(), Client()
        w.connect(first)
        await asyncio.sleep(2)
        assert first.times()[0]["asOf"] == ingest.last
        first.left = True
        await asyncio.sleep(600)
        asked, before = ingest.asked, ingest.last
        assert asked <= 3  # nobody listens, nobody asks
        w.connect(later)
        await asyncio.sleep(1)
        assert later.times()[0]["asOf"] == ingest.last > before
        assert ingest.asked == asked + 1


async def test_a_frontier_of_long_ago_is_told_to_nobody_who_comes_now():
    ingest = Ingest()
    async with world(frontier=ingest.frontier) as w:
        early, late = Client(), Client()
        w.connect(early)
        await asyncio.sleep(2)
        ingest.away = True
        await asyncio.sleep(60)
        w.connect(late)
        await asyncio.sleep(1)
        assert "asOf" not in late.times()[0]
        assert early.times()[-1]["asOf"] == ingest.last  # as far as it was last known
        ingest.away = False
        await asyncio.sleep(FRONTIER_EVERY + TIME_EVERY)
        assert "asOf" in late.times()[-1]
