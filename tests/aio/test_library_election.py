"""Why the Kubernetes client's own election does not do here; see docs/decisions/0021.

When one of these fails the library has been mended, and the decision can be taken again.
"""

import asyncio
import copy
from types import SimpleNamespace

import pytest
from kubernetes.aio.leaderelection import leaderelection
from kubernetes.aio.leaderelection.electionconfig import Config

pytestmark = pytest.mark.looptime

HOUR = 3600.0


class Lock:
    """One way to a lock in memory; ``away`` fails, ``hung`` never answers."""

    name, namespace = "lock", "default"

    def __init__(self, kept: dict, identity: str) -> None:
        self.kept, self.identity = kept, identity
        self.away = self.hung = False

    async def get(self, name, namespace):
        if self.hung:
            await asyncio.Event().wait()
        if self.away:
            return False, SimpleNamespace(body=None, reason="away")
        return True, copy.copy(self.kept.get("record"))

    async def update(self, name, namespace, record):
        if self.away:
            return False
        self.kept["record"] = copy.copy(record)
        return True


class Candidate:
    def __init__(self, kept: dict, identity: str, group: asyncio.TaskGroup) -> None:
        self.lock = Lock(kept, identity)
        self.leads = False
        config = Config(
            self.lock, 15, 10, 2, onstarted_leading=self._lead, onstopped_leading=self._stop
        )
        self.task = group.create_task(leaderelection.LeaderElection(config).run())

    async def _lead(self) -> None:
        self.leads = True
        try:
            await asyncio.Event().wait()
        finally:
            self.leads = False

    async def _stop(self) -> None:
        pass


@pytest.fixture
def date(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock on the wall of this machine."""
    wall = SimpleNamespace(wrong=0.0)
    wall.time = lambda: 1_795_420_800 + wall.wrong + asyncio.get_running_loop().time()
    monkeypatch.setattr(leaderelection, "time", wall)
    return wall


async def test_a_request_that_hangs_keeps_it_leading_for_ever(date):
    async with asyncio.TaskGroup() as group:
        one = Candidate({}, "one", group)
        await asyncio.sleep(5)
        one.lock.hung = True
        await asyncio.sleep(HOUR)
        assert one.leads
        one.task.cancel()


async def test_a_clock_set_back_keeps_a_leader_that_reaches_nobody_leading_for_an_hour(date):
    async with asyncio.TaskGroup() as group:
        one = Candidate({}, "one", group)
        await asyncio.sleep(5)
        one.lock.away = True
        await asyncio.sleep(1)
        date.wrong = -HOUR
        await asyncio.sleep(HOUR - 60)
        assert one.leads
        one.task.cancel()


async def test_a_clock_set_back_leaves_a_dead_leader_without_a_successor_for_an_hour(date):
    kept: dict = {}
    async with asyncio.TaskGroup() as group:
        one = Candidate(kept, "one", group)
        await asyncio.sleep(5)
        two = Candidate(kept, "two", group)
        await asyncio.sleep(5)
        one.task.cancel()
        date.wrong = -HOUR
        await asyncio.sleep(HOUR - 60)
        assert not two.leads
        two.task.cancel()
