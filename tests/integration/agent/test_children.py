"""The child protocol with real children: hangs, deaths and nonsense."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.aio.supervise import (
    LINE_MAX,
    ChildGoneError,
    ChildHungError,
    ChildRefusedError,
    Supervisor,
)
from citadel_k8s.collectors.base import gpus_from
from citadel_k8s.collectors.quarantine import QUARANTINE_FIRST
from citadel_k8s.collectors.remote import ChildCollector, argv_of
from citadel_k8s.models.readings import Absent, Failed, Gpus, Reading
from tests.integration.agent.conftest import alive, until
from tests.native.fake_nvml import FakeNvml

NVML = argv_of(("nvml",), Path("/"))


@pytest.fixture
async def collector_of() -> AsyncIterator[Callable[..., ChildCollector[Gpus]]]:
    collectors: list[ChildCollector[Gpus]] = []

    def make(env: dict[str, str], argv: list[str] = NVML, **more: Any) -> ChildCollector[Gpus]:
        more = {"patience": 1.0, "deadline": 5.0, "clock": ManualClock()} | more
        supervisor = Supervisor(argv, env=env)
        collectors.append(ChildCollector("nvml", supervisor, gpus_from, **more))
        return collectors[-1]

    yield make
    for collector in collectors:
        await collector.close()


async def read(collector: ChildCollector[Gpus]) -> Gpus:
    outcome = await collector.collect()
    assert isinstance(outcome, Reading), outcome
    return outcome.value


async def test_all_values_of_all_gpus_are_read(collector_of, driver: FakeNvml):
    value = await read(collector_of(driver.env()))
    assert value.driver == "575.57.08"
    assert [g.index for g in value.gpus] == [0, 1, 2, 3]
    assert {g.health for g in value.gpus} == {"ok"}
    assert value.gpus[1].memory_used_bytes == 1001 * 1024**2


async def test_memory_falls_back_to_the_first_version_of_the_call(collector_of, driver: FakeNvml):
    driver.fail(0, 3, "nvmlDeviceGetMemoryInfo_v2")
    gpu = (await read(collector_of(driver.env()))).gpus[0]
    assert gpu.memory_used_bytes == (1000 + 600) * 1024**2
    assert gpu.health == "ok"


async def test_what_a_gpu_does_not_support_is_unknown_and_not_asked_again(
    collector_of, driver: FakeNvml
):
    driver.fail(0, 3, "nvmlDeviceGetPowerUsage")
    collector = collector_of(driver.env())
    await read(collector)
    driver.count_calls("nvmlDeviceGetPowerUsage")
    gpu = (await read(collector)).gpus[0]
    assert (gpu.power_watts, gpu.power_limit_watts, gpu.health) == (None, 700.0, "ok")
    assert driver.state.counted_calls == 3  # those of the other GPUs


@pytest.mark.parametrize(
    ("code", "health", "reason"),
    [
        (15, "failed", "GpuLost"),
        (16, "failed", "ResetRequired"),
        (999, "unknown", "NvmlUnknownError"),
        (4, "unknown", "NoPermission"),
        (10, "unknown", "Timeout"),
        (77, "unknown", "NvmlError"),
    ],
)
async def test_a_gpu_that_fails_says_why_and_the_others_are_read(
    collector_of, driver: FakeNvml, code: int, health: str, reason: str
):
    driver.fail(1, code)
    gpus = (await read(collector_of(driver.env()))).gpus
    assert (gpus[1].health, gpus[1].reason) == (health, reason)
    assert gpus[1].message
    assert [gpus[i].health for i in (0, 2, 3)] == ["ok"] * 3


async def test_one_call_that_fails_leaves_the_gpus_other_values(collector_of, driver: FakeNvml):
    driver.fail(1, 999, "nvmlDeviceGetTemperature")
    gpu = (await read(collector_of(driver.env()))).gpus[1]
    assert (gpu.temperature_celsius, gpu.power_watts) == (None, 101.0)
    assert (gpu.health, gpu.reason) == ("unknown", "NvmlUnknownError")


async def test_text_from_the_driver_is_cleaned_and_text_that_is_none_is_a_reason(
    collector_of, driver: FakeNvml
):
    driver.gpu(0).name = b"H100\x1b[31m"
    driver.gpu(1).name = b"\xff\xfe"
    gpus = (await read(collector_of(driver.env()))).gpus
    assert gpus[0].name == "H100 [31m"
    assert (gpus[1].name, gpus[1].reason) == (None, "BadText")
    assert gpus[1].memory_used_bytes is not None


async def test_a_node_without_the_library_has_nothing_to_read(collector_of):
    outcome = await collector_of({}).collect()
    assert isinstance(outcome, Absent)
    assert outcome.reason == "NvmlLibraryNotFound"


async def test_gpus_that_the_runtime_hides_are_told_as_hidden(collector_of):
    outcome = await collector_of({"NVIDIA_VISIBLE_DEVICES": "void"}).collect()
    assert isinstance(outcome, Absent)
    assert outcome.reason == "VisibleDevicesVoid"


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (9, Absent, "DriverNotLoaded"),
        (4, Failed, "NoPermission"),
        (18, Failed, "DriverMismatch"),
        (999, Failed, "NvmlUnknownError"),
    ],
)
async def test_a_driver_that_does_not_start_says_why_and_is_read_once_it_does(
    collector_of, driver: FakeNvml, code: int, kind: type, reason: str
):
    driver.state.init = code
    collector = collector_of(driver.env())
    outcome = await collector.collect()
    assert isinstance(outcome, kind)
    assert outcome.reason == reason
    driver.state.init = 0
    assert len((await read(collector)).gpus) == 4


async def test_after_a_driver_upgrade_a_new_child_is_asked(collector_of, driver: FakeNvml):
    driver.state.init = 18
    collector = collector_of(driver.env())
    await collector.collect()
    assert collector.supervisor.pid is None
    driver.state.init = 0
    await read(collector)
    assert collector.supervisor.started == 2


async def test_a_call_that_hangs_is_named_left_out_and_tried_again_later(
    collector_of, driver: FakeNvml
):
    clock = ManualClock()
    collector = collector_of(driver.env(), clock=clock)
    driver.hang(1, "nvmlDeviceGetPowerUsage")
    gpus = (await read(collector)).gpus
    assert (gpus[1].health, gpus[1].reason) == ("failed", "Unresponsive")
    assert gpus[1].message == "no answer for 1 s from nvmlDeviceGetPowerUsage on GPU 1"
    assert (gpus[1].power_watts, gpus[1].temperature_celsius) == (None, 41)
    assert gpus[2].health == "ok"
    started = collector.supervisor.started
    await read(collector)
    assert collector.supervisor.started == started
    driver.heal(1)
    clock.advance(QUARANTINE_FIRST)
    assert (await read(collector)).gpus[1].health == "ok"
    assert collector.supervisor.started == started


async def test_a_gpu_on_which_everything_hangs_is_left_out_as_a_whole(
    collector_of, driver: FakeNvml
):
    collector = collector_of(driver.env())
    await read(collector)
    driver.hang(1)
    gpus = (await read(collector)).gpus
    assert (gpus[1].health, gpus[1].reason, gpus[1].uuid) == ("failed", "Unresponsive", None)
    assert [gpus[i].health for i in (0, 2, 3)] == ["ok"] * 3
    assert collector.supervisor.unreaped == 0


async def test_a_driver_that_hangs_at_its_start_is_a_failure_with_the_call_in_it(
    collector_of, driver: FakeNvml
):
    driver.state.init = 1000
    collector = collector_of(driver.env())
    outcome = await collector.collect()
    assert isinstance(outcome, Failed)
    assert outcome == Failed("Unresponsive", "no answer for 1 s from nvmlInit")


async def test_a_child_that_is_killed_from_outside_is_replaced(collector_of, driver: FakeNvml):
    import os  # noqa: PLC0415
    import signal  # noqa: PLC0415

    collector = collector_of(driver.env())
    await read(collector)
    pid = collector.supervisor.pid
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not alive(pid))
    assert len((await read(collector)).gpus) == 4
    assert collector.supervisor.pid != pid


async def test_a_child_that_dies_each_time_is_a_failure_with_its_end_in_it(collector_of):
    outcome = await collector_of({}, [sys.executable, "-c", "raise SystemExit(3)"]).collect()
    assert isinstance(outcome, Failed)
    assert outcome.reason == "CollectorDied"
    assert "3" in outcome.message


async def test_a_child_that_speaks_nonsense_is_a_failure(collector_of):
    argv = [sys.executable, "-c", "print('hello', flush=True); input(); input()"]
    outcome = await collector_of({}, argv).collect()
    assert isinstance(outcome, Failed)
    assert outcome.reason == "CollectorDied"
    assert "nonsense" in outcome.message


async def test_a_child_that_floods_is_ended():
    supervisor = Supervisor(
        [sys.executable, "-c", "import sys\nwhile True: sys.stdout.write('x' * 65536)"]
    )
    with pytest.raises(ChildGoneError):
        await supervisor.exchange(b"{}\n", lambda _line: True, silence=5, deadline=10)
    assert supervisor.unreaped == 0


async def test_a_program_that_does_not_exist_is_refused():
    supervisor = Supervisor(["/nonexistent/program"])
    with pytest.raises(ChildRefusedError, match="nonexistent"):
        await supervisor.exchange(b"{}\n", lambda _line: True, silence=1, deadline=1)


async def test_a_child_that_talks_without_end_is_bounded_by_the_whole_deadline():
    code = "import time\nwhile True: print('{}', flush=True); time.sleep(0.05)"
    supervisor = Supervisor([sys.executable, "-c", code])
    loop = asyncio.get_running_loop()
    started = loop.time()
    with pytest.raises(ChildHungError):
        await supervisor.exchange(b"{}\n", lambda _line: False, silence=1, deadline=1.5)
    assert loop.time() - started < 3


async def test_with_two_children_that_do_not_die_no_third_is_started():
    supervisor = Supervisor([sys.executable, "-c", "import time; time.sleep(60)"])

    class Undead:
        """A process in an uninterruptible sleep: killed, and still there."""

        def poll(self) -> None:
            return None

    supervisor._abandoned = [Undead(), Undead()]
    with pytest.raises(ChildRefusedError, match="2 earlier"):
        await supervisor.exchange(b"{}\n", lambda _line: True, silence=1, deadline=1)
    assert supervisor.started == 0


async def test_a_question_that_is_given_up_does_not_leave_its_answer_to_the_next(
    collector_of, driver: FakeNvml
):
    driver.state.latency_microseconds = 20_000
    collector = collector_of(driver.env())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await collector.collect()
    driver.state.latency_microseconds = 0
    assert len((await read(collector)).gpus) == 4


async def test_a_child_that_floods_between_two_questions_is_no_longer_read():
    code = "import sys\ninput()\nprint('{}', flush=True)\nwhile True: sys.stdout.write('x' * 65536)"
    supervisor = Supervisor([sys.executable, "-c", code])
    await supervisor.exchange(b"{}\n", lambda _line: True, silence=5, deadline=5)
    pid = supervisor.pid
    assert pid is not None
    await until(lambda: not alive(pid), seconds=5)
    assert len(supervisor._child._rest) < 2 * LINE_MAX
    with pytest.raises(ChildGoneError):
        await supervisor.exchange(
            b"{}\n", lambda _line: False, silence=1, deadline=1
        )  # of a new child
    assert supervisor.started == 2
    await supervisor.close()


async def test_half_a_line_and_then_silence_is_a_hang():
    code = "import time\nprint('{\"id\":', end='', flush=True); time.sleep(60)"
    supervisor = Supervisor([sys.executable, "-c", code])
    with pytest.raises(ChildHungError):
        await supervisor.exchange(b"{}\n", lambda _line: True, silence=0.5, deadline=5)
    assert supervisor.unreaped == 0
    await supervisor.close()


async def test_a_child_that_is_closed_during_a_question_is_not_replaced():
    supervisor = Supervisor([sys.executable, "-c", "import time; time.sleep(60)"])

    async def ask() -> None:
        with pytest.raises(ChildGoneError):
            await supervisor.exchange(b"{}\n", lambda _line: True, silence=5, deadline=5)
        with pytest.raises(ChildRefusedError, match="closed"):
            await supervisor.exchange(b"{}\n", lambda _line: True, silence=5, deadline=5)

    async with asyncio.TaskGroup() as group:
        group.create_task(ask())
        await until(lambda: supervisor.pid is not None)
        await supervisor.close()
    assert supervisor.started == 1


async def test_a_child_that_does_not_die_is_counted_once():
    supervisor = Supervisor([sys.executable, "-c", "import time; time.sleep(60)"])

    async def ask() -> None:
        with pytest.raises(ChildGoneError):
            await supervisor.exchange(b"{}\n", lambda _line: True, silence=5, deadline=5)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(ask())
        await until(lambda: supervisor.pid is not None)
        process = supervisor._child.process
        poll, process.poll = process.poll, lambda: None  # as in an uninterruptible sleep
        await supervisor.recycle()
        await asyncio.wait((task,))
        assert supervisor.unreaped == 1
        process.poll = poll
    await until(lambda: supervisor.unreaped == 0, seconds=5)


async def test_a_start_that_is_given_up_leaves_no_process(monkeypatch: pytest.MonkeyPatch):
    supervisor = Supervisor([sys.executable, "-c", "import time; time.sleep(60)"])
    loop = asyncio.get_running_loop()
    began = asyncio.Event()

    async def slow(*_arguments: Any) -> None:
        began.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(loop, "connect_read_pipe", slow)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            supervisor.exchange(b"{}\n", lambda _line: True, silence=5, deadline=5)
        )
        await began.wait()
        task.cancel()
    await until(lambda: supervisor.unreaped == 0, seconds=5)
    assert supervisor.started == 1
    assert supervisor.pid is None


async def test_a_listener_that_stumbles_over_a_line_does_not_lose_the_child_silently():
    def unasked(_line: bytes) -> bool:
        raise TypeError("an odd event")

    code = "input(); print('{}', flush=True); input()"
    supervisor = Supervisor([sys.executable, "-c", code], unasked=unasked)
    with pytest.raises(ChildGoneError, match="an odd event"):
        await supervisor.exchange(b"{}\n", lambda _line: True, silence=5, deadline=5)
    await supervisor.close()
