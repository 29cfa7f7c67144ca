"""kopf's requests: paced where an answer broke off, told where none comes."""

from types import SimpleNamespace

import kopf
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.operator.kopfsession import LIVED, NOBODY, NODES, OBJECTS, PAUSES, Requests

WATCH = "WATCH " + OBJECTS


class Setting:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock()
        self.requests = Requests(self.clock)
        self.slept: list[float] = []
        self.relisted = 0
        self.requests._relisted = self._relist

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            self.clock.advance(seconds)

        monkeypatch.setattr("citadel_k8s.operator.kopfsession.asyncio.sleep", sleep)

    def _relist(self) -> None:
        self.relisted += 1

    async def ask(self, path: str, status: int | None = 200, **query: str) -> None:
        """Make a request; a status of None is no answer, 0 an error of the connection."""
        context = SimpleNamespace()
        url = URL(f"https://kube:6443{path}").with_query(query)
        await self.requests._starts(None, context, SimpleNamespace(url=url))
        if status:
            self.response = SimpleNamespace(status=status, closed=False)
            answer = SimpleNamespace(response=self.response)
            await self.requests._ends(None, context, answer)
        elif status == 0:
            await self.requests._fails(None, context, None)

    async def watch(self, path: str = OBJECTS, status: int | None = 200) -> None:
        await self.ask(path, status, watch="true")


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Setting:
    return Setting(monkeypatch)


async def test_a_watch_that_breaks_off_at_once_is_begun_anew_less_and_less_often(setting):
    for _ in range(8):
        await setting.watch()
    assert setting.slept == [*PAUSES, *[PAUSES[-1]] * (7 - len(PAUSES))]
    assert setting.requests.trouble == f"{WATCH}: broke off 7 times in a row"


async def test_a_list_that_breaks_off_is_paced_as_well(setting):
    for _ in range(3):
        await setting.ask(OBJECTS, limit="500")
    assert setting.slept == [0.0, 1.0]


async def test_a_watch_that_lives_is_no_trouble_any_more(setting):
    for _ in range(4):
        await setting.watch()
    setting.clock.advance(LIVED + 1)
    assert setting.requests.trouble is None
    setting.slept.clear()
    await setting.watch()
    assert setting.slept == []


@pytest.mark.parametrize("status", [0, 429, 500])
async def test_a_request_that_kopf_paces_itself_is_not_held_back(setting, status):
    for _ in range(5):
        await setting.watch(status=status)
    assert setting.slept == []
    assert setting.requests.trouble is None


async def test_further_chunks_and_other_requests_are_not_held_back(setting):
    for token in "abcdef":
        await setting.ask(OBJECTS, **{"continue": token})
        await setting.ask("/apis")
    assert setting.slept == []


async def test_a_server_that_takes_a_request_and_says_nothing_is_told(setting):
    await setting.watch(status=None)
    setting.clock.advance(9)
    assert setting.requests.trouble is None
    setting.clock.advance(3)
    assert setting.requests.trouble == f"{WATCH}: no answer for 12 s"


async def test_watches_are_open_when_both_were_answered(setting):
    assert not setting.requests.open
    await setting.watch()
    assert not setting.requests.open
    await setting.watch(NODES)
    assert setting.requests.open
    assert not setting.requests.well
    setting.clock.advance(LIVED + 1)
    assert setting.requests.well
    setting.response.closed = True
    assert not setting.requests.open
    assert not setting.requests.well
    await setting.watch(NODES)
    assert setting.requests.open
    await setting.watch(status=500)
    assert not setting.requests.open


async def test_a_watch_that_began_with_a_list_is_told_and_no_other(setting):
    await setting.ask(OBJECTS)
    assert setting.relisted == 0
    await setting.watch()
    assert setting.relisted == 1
    setting.clock.advance(600)
    await setting.watch()
    assert setting.relisted == 1
    for path in (OBJECTS, NODES):
        setting.clock.advance(60)
        await setting.ask(path)
    await setting.watch()
    await setting.watch(NODES)
    assert setting.relisted == 3


async def test_a_list_is_asked_for_nobody_and_a_watch_for_all():
    asked: list[tuple[str, str | None]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.path, request.query.get("fieldSelector")))
        assert request.query.get("labelSelector") == "gpu"
        return web.json_response({"items": [], "metadata": {"resourceVersion": "7"}})

    app = web.Application()
    app.router.add_get("/{any:.*}", answer)
    async with TestServer(app) as server:
        info = kopf.ConnectionInfo(server=str(server.make_url("/")))
        made = Requests(ManualClock()).session(info)
        async with made.aiohttp_session as http:
            for query in ({}, {"watch": "true"}):
                url = server.make_url(OBJECTS).with_query(labelSelector="gpu", **query)
                async with http.get(url) as response:
                    await response.read()
    assert asked == [(OBJECTS, NOBODY), (OBJECTS, None)]


async def test_the_session_has_what_the_credentials_say():
    info = kopf.ConnectionInfo(server="https://kube:6443", token="t", insecure=True)
    made = Requests(ManualClock()).session(info)
    try:
        assert made.server == "https://kube:6443"
        assert made.aiohttp_session.headers["Authorization"] == "Bearer t"
    finally:
        await made.aiohttp_session.close()
