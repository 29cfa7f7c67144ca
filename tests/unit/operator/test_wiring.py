"""The parts as they are put together: what one lacks, the others say."""

import asyncio
from typing import Any, cast

import pytest

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.config.operator import OperatorSettings
from citadel_k8s.operator import memory, wiring
from citadel_k8s.operator.stores import Stores
from citadel_k8s.operator.wiring import Operator
from citadel_k8s.stores.fake import FakeStatusStream
from tests.unit.operator.fakes import FakeKube
from tests.unit.operator.newsworld import FakeEvents
from tests.unit.operator.test_fabricstatus import Server
from tests.unit.operator.test_housekeeping import Groups


class Cluster(FakeKube, FakeEvents, Server):
    """An API server in memory."""

    def __init__(self) -> None:
        FakeEvents.__init__(self)
        Server.__init__(self)
        FakeKube.__init__(self)

    def guarded(self, _: Any) -> "Cluster":
        return self


class Idle:
    trouble = None

    async def run(self) -> None:
        await asyncio.Event().wait()


class Broken(Idle):
    async def run(self) -> None:
        raise RuntimeError("unforeseen")


class Configs:
    async def load(self) -> dict[str, Any]:
        return {}

    async def forget(self, _: Any) -> None:
        pass


@pytest.fixture
def stream() -> FakeStatusStream:
    return FakeStatusStream(SystemClock())


@pytest.fixture
def operator(stream: FakeStatusStream, monkeypatch: pytest.MonkeyPatch) -> Operator:
    monkeypatch.setattr(memory, "RETRY_DELAY", 0.01)
    monkeypatch.setattr(wiring, "Heap", lambda _: Idle())  # the collector is all tests'
    stores = cast("Any", Stores)(
        stream, FakeStatusStream(SystemClock()), stream, Configs(), Groups()
    )
    settings = OperatorSettings.model_validate({"redis_url": "redis://127.0.0.1:1"})
    made = Operator(settings, cast("KubeClient", Cluster()), stores)
    made._watcher = cast("Any", Idle())
    return made


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - many parts at once, none of which tells
            await asyncio.sleep(0.01)


async def end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_redis_away_at_the_start_is_told_and_its_return_is_all_that_is_needed(
    operator: Operator, stream: FakeStatusStream
) -> None:
    stream.down = "refused"
    task = asyncio.get_running_loop().create_task(operator.run())
    await until(lambda: operator._pipe.condition().reason == "ReaderDown")
    ready = operator.probes.ready()
    assert (ready["ok"], ready["missing"]) == (False, {"stream": "refused"})
    assert operator.leadership.leads()
    assert not operator._ready()
    stream.down = ""
    await until(operator._ready)
    await until(lambda: operator.probes.ready()["ok"])
    assert operator._pipe.condition().status == "True"
    await end(task)


async def test_a_part_that_fails_ends_no_other_and_is_told_by_the_probe(operator: Operator) -> None:
    operator._news = cast("Any", Broken())
    task = asyncio.get_running_loop().create_task(operator.run())
    await until(operator._ready)
    assert operator.probes.ready()["missing"]["parts"] == "Broken: RuntimeError('unforeseen')"
    assert operator.probes.live()["ok"]
    await end(task)
