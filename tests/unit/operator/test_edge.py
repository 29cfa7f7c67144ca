"""The watch over kopf: what it says is missing, and how a kopf that hangs is begun anew."""

import asyncio
import logging
import threading
from types import SimpleNamespace

import kopf
import pytest
import structlog
from yarl import URL

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.operator import edge
from citadel_k8s.operator.edge import HUNG, NOT_OPEN, Watcher
from citadel_k8s.operator.kopfsession import NODES, OBJECTS
from tests.unit.operator.fakes import World

FAILED = "Watcher for nodes.v1@none has failed: ('too old', {'code': 410})"


class Setting:
    def __init__(self) -> None:
        self.world = World()
        self.watcher = Watcher(self.world.registry, self.world.clock, self.restored)
        self.watcher._closed_since = self.world.clock.monotonic()
        self.responses: list[SimpleNamespace] = []

    async def restored(self) -> None:
        pass

    async def open(self) -> None:
        """Let both watches be answered."""
        self.watcher.ready.set()
        for path in (OBJECTS, NODES):
            context = SimpleNamespace()
            url = edge_url(path)
            requests = self.watcher._requests
            await requests._starts(None, context, SimpleNamespace(url=url))
            self.responses.append(SimpleNamespace(status=200, closed=False))
            await requests._ends(None, context, SimpleNamespace(response=self.responses[-1]))

    def close(self) -> None:
        for response in self.responses:
            response.closed = True

    def says(self, text: str, name: str = "kopf._core.reactor.orchestration") -> None:
        record = logging.LogRecord(name, logging.ERROR, "", 0, text, (), None)
        self.watcher._lines.handle(record)


def edge_url(path: str) -> URL:
    return URL(f"https://kube:6443{path}").with_query(watch="true")


@pytest.fixture
def setting() -> Setting:
    return Setting()


async def test_watches_that_are_open_are_no_trouble(setting):
    assert setting.watcher.trouble == NOT_OPEN
    await setting.open()
    assert setting.watcher.trouble is None
    setting.close()
    assert setting.watcher.trouble == NOT_OPEN


async def test_what_ends_kopf_is_the_trouble_until_it_has_ended(setting):
    await setting.open()
    setting.says(FAILED)
    assert setting.watcher.trouble == FAILED


async def test_a_kopf_whose_watches_stay_closed_without_a_word_hangs(setting):
    await setting.open()
    setting.world.clock.advance(10 * HUNG)
    assert not setting.watcher._hangs()
    setting.close()
    setting.world.clock.advance(HUNG - 1)
    assert not setting.watcher._hangs()
    setting.world.clock.advance(2)
    assert setting.watcher._hangs()


async def test_a_kopf_that_tries_again_and_again_does_not_hang(setting):
    for _ in range(100):
        setting.world.clock.advance(8)
        asked = "GET https://kube:6443/api/v1/nodes"
        text = f"Request attempt #9/454 failed; will retry: {asked} -> OSError('refused')"
        setting.says(text, "kopf._cogs.clients.watching")
        assert not setting.watcher._hangs()


async def test_a_kopf_that_does_not_end_after_a_failure_hangs(setting):
    await setting.open()
    setting.says(FAILED)
    assert not setting.watcher._hangs()
    setting.world.clock.advance(4)
    assert setting.watcher._hangs()


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_kopf_that_hangs_is_begun_anew_and_told_in_one_line(monkeypatch, stubborn):
    monkeypatch.setattr(edge, "END_TIMEOUT", 0.0)
    monkeypatch.setattr(edge, "STOP_TIMEOUT", 0.1)
    monkeypatch.setattr(edge, "LOOK_INTERVAL", 0.01)
    monkeypatch.setattr(edge, "RESTART_DELAY", 0.0)
    begun, over = [], threading.Event()
    again = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def hangs(**_: object) -> None:
        begun.append(threading.current_thread())
        if len(begun) > 1:
            loop.call_soon_threadsafe(again.set)
            await asyncio.sleep(60)
        setting.says(FAILED)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if stubborn:  # as a task that takes no cancellation
                await asyncio.to_thread(over.wait, 5)
            raise

    monkeypatch.setattr(kopf, "operator", hangs)
    setting = Setting()
    setting.watcher.clock = setting.watcher._lines._clock = SystemClock()
    with structlog.testing.capture_logs() as lines:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(setting.watcher.run())
            await asyncio.wait_for(again.wait(), 10)
            over.set()
            task.cancel()
    ended = [line for line in lines if line["event"] == "watch_ended"]
    assert len(ended) == 1
    assert ended[0]["error"] == FAILED
    begun[0].join(5)
    assert not begun[0].is_alive()
