"""A list's place in the stream: told when Redis answers, left out when it does not, never waited
for twice."""

import asyncio

import pytest
from typing_extensions import override

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.api.fabric.positions import PATIENCE, REST, Positions
from citadel_k8s.stores.orgfeed import Span
from tests.orgfeed import FakeOrgFeed, node

pytestmark = pytest.mark.looptime


class SlowFeed(FakeOrgFeed):
    """Answers after a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.asked = 0

    @override
    async def span(self, org_id: str) -> Span:
        self.asked += 1
        await asyncio.sleep(self.seconds)
        return await super().span(org_id)


async def test_the_place_is_the_last_id_that_is_there():
    feed = FakeOrgFeed()
    place = Positions(feed, ManualClock())
    assert await place("acme") is None
    first = feed.add("acme", node("n1"))
    feed.add("other", node("n2"))
    assert await place("acme") == first


async def test_an_id_whose_entry_is_gone_is_no_place_to_go_on_from():
    feed = FakeOrgFeed()
    feed.add("acme", node("n1"))
    feed.entries["acme"] = []
    assert await Positions(feed, ManualClock())("acme") is None


async def test_a_feed_that_hangs_holds_a_list_up_for_a_moment_and_not_each_time():
    feed = SlowFeed(3600)
    feed.add("acme", node("n1"))
    clock, loop = ManualClock(), asyncio.get_running_loop()
    place = Positions(feed, clock)
    began = loop.time()
    for _ in range(20):
        assert await place("acme") is None
    assert loop.time() - began <= PATIENCE + 0.01
    assert feed.asked == 1
    feed.seconds = 0
    clock.advance(REST)
    assert await place("acme") == feed.last["acme"]


async def test_a_feed_that_is_away_is_left_alone_for_a_while():
    feed = SlowFeed(0)
    feed.add("acme", node("n1"))
    feed.down = "refused"
    clock = ManualClock()
    place = Positions(feed, clock)
    assert [await place("acme"), await place("acme")] == [None, None]
    assert feed.asked == 1
    feed.down = ""
    clock.advance(REST)
    assert await place("acme") is not None
