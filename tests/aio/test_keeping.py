import asyncio

import pytest

from citadel_k8s.agent.keeping import RESTART_SECONDS, keep

pytestmark = pytest.mark.looptime


class LoopClock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        return 1_795_420_800 + asyncio.get_running_loop().time()


class Job:
    """Fails as long as it is told to, then works."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.begun: list[float] = []

    async def run(self) -> None:
        self.begun.append(asyncio.get_running_loop().time())
        if len(self.begun) <= self.failures:
            raise ValueError("a defect")


async def test_a_job_that_ends_is_not_begun_again():
    job = Job(0)
    await keep(job.run, "job", clock=LoopClock())
    assert len(job.begun) == 1


async def test_a_job_that_fails_is_begun_again_after_a_pause():
    job = Job(3)
    await keep(job.run, "job", clock=LoopClock())
    assert job.begun == [k * RESTART_SECONDS for k in range(4)]


async def test_a_job_that_fails_for_a_day_fills_no_log(capsys: pytest.CaptureFixture[str]):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(keep(Job(10**9).run, "job", clock=LoopClock()))
        await asyncio.sleep(86_400)
        task.cancel()
    told = capsys.readouterr()
    assert 1 <= (told.out + told.err).count("job_failed") < 100


async def test_a_job_that_is_cancelled_is_not_begun_again():
    job = Job(10**9)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(keep(job.run, "job", clock=LoopClock()))
        await asyncio.sleep(1)
        task.cancel()
    assert len(job.begun) == 1
