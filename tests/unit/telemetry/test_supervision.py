"""A part that fails in a way that nobody foresaw is begun anew, and the others never notice."""

import asyncio

import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.telemetry import supervision
from citadel_k8s.telemetry.supervision import WELL_AFTER, Supervision
from tests.unit.operator.fakes import METRICS


class Part:
    def __init__(self, *faults: BaseException | None) -> None:
        self.faults = list(faults)
        self.runs = 0
        self.begun = asyncio.Condition()

    async def ran(self, times: int) -> None:
        async with self.begun:
            await self.begun.wait_for(lambda: self.runs >= times)

    async def run(self) -> None:
        async with self.begun:
            self.runs += 1
            self.begun.notify_all()
        if not self.faults:
            await asyncio.Event().wait()
        fault = self.faults.pop(0)
        if fault is not None:
            raise fault


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "PAUSE_FIRST", 0.0)
    monkeypatch.setattr(supervision, "PAUSE_MAX", 0.0)


async def kept(part: Part, other: Part) -> tuple[Supervision, float | None]:
    clock, metrics = ManualClock(), METRICS()
    supervised = Supervision(clock, metrics)
    runs = len(part.faults) + 1
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        supervised.start(group, other)
        task = group.create_task(supervised.keep(part, "Notifier"))
        await part.ran(runs)
        said = supervised.trouble
        clock.advance(WELL_AFTER)
        assert supervised.trouble is None
        task.cancel()
        for each in asyncio.all_tasks():
            if each.get_name() == "Part":
                each.cancel()
    name = "citadel_operator_part_failures_total"
    assert (said is None) == (runs == 1)
    return supervised, metrics.registry.get_sample_value(name, {"part": "Notifier"})


@pytest.mark.parametrize(
    "fault",
    [
        RuntimeError("unforeseen"),
        ExceptionGroup("two", [ExceptionGroup("one", [KeyError("x")])]),
        None,
        asyncio.CancelledError(),
    ],
)
async def test_a_part_that_fails_is_begun_anew_and_no_other_is(fault):
    part, other = Part(fault, fault), Part()
    _, count = await kept(part, other)
    assert (part.runs, other.runs, count) == (3, 1, 2)


async def test_a_part_that_runs_is_let_be_and_ends_when_it_is_told_to():
    part, other = Part(), Part()
    _, count = await kept(part, other)
    assert (part.runs, other.runs, count) == (1, 1, None)


async def test_the_trouble_names_the_part_and_the_first_cause():
    supervised = Supervision(ManualClock(), METRICS())
    part = Part(ExceptionGroup("g", [ValueError("bad value")]))
    task = asyncio.get_running_loop().create_task(supervised.keep(part, "Notifier"))
    await part.ran(2)
    assert supervised.trouble == "Notifier: ValueError('bad value')"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_part_that_fails_over_its_end_is_not_begun_anew():
    class Clumsy(Part):
        async def run(self) -> None:
            try:
                await super().run()
            finally:
                raise OSError("cannot be closed")

    supervised, part = Supervision(ManualClock(), METRICS()), Clumsy()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(supervised.keep(part, "Clumsy"))
        await part.ran(1)
        task.cancel()
    assert task.cancelled()
    assert part.runs == 1
    assert supervised.trouble == "Clumsy: OSError('cannot be closed')"
