"""The node's status, asked for over the proxy's WebSocket."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from citadel_k8s.publishers.questions import WAITING_MAX, Questions
from tests.aio.socketline import Line, kept, settled
from tests.proxy import FakeProxy, running

pytestmark = pytest.mark.looptime


@pytest.fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    async with running() as started:
        yield started


async def test_who_asks_is_given_the_status_under_the_questions_id(proxy: FakeProxy):
    line = Line(proxy)
    questions = Questions(line.socket, lambda: b'{"nodeId":"n1"}')
    async with kept(line), asyncio.TaskGroup() as group:
        answering = group.create_task(questions.run())
        await proxy.say({"type": "live", "id": 'a"1', "deadline_ms": 3000})
        await proxy.say({"type": "live", "id": "a2", "deadline_ms": 3000})
        await settled()
        answering.cancel()
    assert proxy.of_type("live_answer") == [
        {"type": "live_answer", "id": 'a"1', "ok": True, "status": {"nodeId": "n1"}},
        {"type": "live_answer", "id": "a2", "ok": True, "status": {"nodeId": "n1"}},
    ]


@pytest.mark.parametrize("number", [None, 7, "", "x" * 65, {"id": 1}])
async def test_a_question_without_an_id_is_none(proxy: FakeProxy, number: object):
    line = Line(proxy)
    questions = Questions(line.socket, lambda: b"{}")
    async with kept(line), asyncio.TaskGroup() as group:
        answering = group.create_task(questions.run())
        await proxy.say({"type": "live", "id": number})
        await settled()
        answering.cancel()
    assert not proxy.of_type("live_answer")


@pytest.mark.parametrize("size", [0, 2**20 + 1])
async def test_a_status_that_cannot_be_given_is_said_to_be_so(proxy: FakeProxy, size: int):
    line = Line(proxy)

    def status() -> bytes:
        if not size:
            raise ValueError("secret")
        return b"x" * size

    questions = Questions(line.socket, status)
    async with kept(line), asyncio.TaskGroup() as group:
        answering = group.create_task(questions.run())
        await proxy.say({"type": "live", "id": "a"})
        await settled()
        answering.cancel()
    (answer,) = proxy.of_type("live_answer")
    assert answer["ok"] is False
    assert "secret" not in answer["error"]


async def test_a_flood_of_questions_is_answered_from_its_end(proxy: FakeProxy):
    line = Line(proxy)
    questions = Questions(line.socket, lambda: b"{}")
    async with kept(line):
        for number in range(100):
            await proxy.say({"type": "live", "id": str(number)})
        await settled()
        async with asyncio.TaskGroup() as group:
            answering = group.create_task(questions.run())
            await settled()
            answering.cancel()
    asked = [frame["id"] for frame in proxy.of_type("live_answer")]
    assert asked == [str(n) for n in range(100 - WAITING_MAX, 100)]
