import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from citadel_k8s.local.charge import spawn

FAMILY = 'sleep 300 & echo "child $!"; trap "" HUP; wait'
"""A shell with a child of its own, in one group."""

OWNER = """
import asyncio, json, os, sys, time
from pathlib import Path
from citadel_k8s.local.charge import spawn

async def main():
    folder = Path(sys.argv[1]) / "data"
    charge = await spawn(["sh", "-c", sys.argv[2]], folder / "log", remove=folder)
    if sys.argv[3] == "paused":
        await charge.pause()
    if sys.argv[3] == "forked" and os.fork() == 0:
        os.close(1)
        time.sleep(20)
        os._exit(0)
    print(json.dumps([charge.pid, charge.reaper_pid]), flush=True)
    await asyncio.sleep(300)

asyncio.run(main())
"""


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def until(condition: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - no event crosses processes
            await asyncio.sleep(0.01)


async def started(log: Path) -> int:
    """Wait for the shell's child and return its process id."""

    def words() -> list[str]:
        return log.read_text().split() if log.exists() else []

    await until(lambda: "child" in words(), 5)
    return int(words()[1])


async def test_a_program_runs_in_a_session_of_its_own_and_its_output_is_logged(
    tmp_path: Path,
) -> None:
    program = "echo out; echo err >&2; cut -d' ' -f6 /proc/self/stat; cat; exit 7"
    charge = await spawn(["sh", "-c", program], tmp_path / "log")
    assert await charge.wait() == 7
    assert charge.tail().split() == ["out", "err", str(charge.pid)]
    assert not charge.running
    assert not alive(charge.reaper_pid)


async def test_a_program_that_does_not_exist_exits_with_127_and_says_why(tmp_path: Path) -> None:
    charge = await spawn(["/no/such/program"], tmp_path / "log")
    assert await charge.wait() == 127
    assert "No such file" in charge.tail()


async def test_stopping_ends_the_whole_group_and_may_be_repeated(tmp_path: Path) -> None:
    charge = await spawn(["sh", "-c", FAMILY], tmp_path / "log")
    child = await started(charge.log_path)
    assert await charge.stop() == -signal.SIGTERM
    assert not alive(child)
    assert await charge.stop() == -signal.SIGTERM
    assert await charge.kill() == -signal.SIGTERM


async def test_what_a_program_leaves_behind_in_its_group_ends_with_it(tmp_path: Path) -> None:
    charge = await spawn(["sh", "-c", "sleep 300 & echo child $!"], tmp_path / "log")
    assert await charge.wait() == 0
    assert not alive(await started(charge.log_path))


async def test_a_program_that_ignores_sigterm_is_killed_after_the_timeout(tmp_path: Path) -> None:
    charge = await spawn(["sh", "-c", f'trap "" TERM; {FAMILY}'], tmp_path / "log")
    await started(charge.log_path)
    assert await charge.stop(timeout=0.2) == -signal.SIGKILL


async def test_a_paused_program_stands_still_and_goes_on_when_resumed(tmp_path: Path) -> None:
    charge = await spawn(["sleep", "300"], tmp_path / "log")
    await charge.pause()
    await until(lambda: psutil.Process(charge.pid).status() == psutil.STATUS_STOPPED, 1)
    assert charge.running
    await charge.resume()
    await until(lambda: psutil.Process(charge.pid).status() == psutil.STATUS_SLEEPING, 1)
    await charge.pause()
    assert await charge.stop() == -signal.SIGTERM


async def test_ten_commands_at_once_are_all_obeyed(tmp_path: Path) -> None:
    charge = await spawn(["sleep", "300"], tmp_path / "log")
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(charge.pause())
            group.create_task(charge.resume())
    assert await charge.kill() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("program", "state"),
    [(FAMILY, "running"), (FAMILY, "paused"), (f'trap "" TERM; {FAMILY}', "running")],
    ids=["running", "paused", "deaf to SIGTERM"],
)
async def test_nothing_is_left_two_seconds_after_the_owner_was_killed(
    tmp_path: Path, program: str, state: str
) -> None:
    pids = await killed_owner(tmp_path, program, state)
    await until(lambda: not any(map(alive, pids)), 2)
    await until(lambda: not (tmp_path / "data").exists(), 1)


async def test_a_forked_child_of_the_owner_does_not_keep_the_program_alive(tmp_path: Path) -> None:
    pids = await killed_owner(tmp_path, FAMILY, "forked")
    await until(lambda: not any(map(alive, pids)), 2)


async def killed_owner(folder: Path, program: str, state: str) -> list[int]:
    """Start an owner, kill it, and return the ids of all that it had started."""
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, folder, program, state, stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    pids = json.loads(await owner.stdout.readline())
    if state != "paused":
        pids.append(await started(folder / "data" / "log"))
    assert all(map(alive, pids))
    owner.kill()
    await owner.communicate()
    return pids


async def test_a_program_does_not_outlive_its_reaper(tmp_path: Path) -> None:
    charge = await spawn(["sleep", "300"], tmp_path / "log")
    os.kill(charge.reaper_pid, signal.SIGKILL)
    assert await charge.wait() == -signal.SIGKILL
    await until(lambda: not alive(charge.pid), 2)


async def test_a_family_is_paused_and_killed_with_those_in_sessions_of_their_own(
    tmp_path: Path,
) -> None:
    program = "setsid sh -c 'sleep 300 & echo child $!; wait' & wait"
    charge = await spawn(["sh", "-c", program], tmp_path / "log", family=True)
    child = psutil.Process(await started(charge.log_path))
    await charge.pause()
    await until(lambda: child.status() == psutil.STATUS_STOPPED, 1)
    await charge.resume()
    await until(lambda: child.status() == psutil.STATUS_SLEEPING, 1)
    assert await charge.kill() == -signal.SIGKILL
    assert not alive(child.pid)


async def test_a_family_does_not_outlive_its_founder(tmp_path: Path) -> None:
    program = "setsid sleep 300 & echo child $!; exit 3"
    charge = await spawn(["sh", "-c", program], tmp_path / "log", family=True)
    assert await charge.wait() == 3
    assert not alive(await started(charge.log_path))


async def test_a_program_is_asked_to_end_by_the_signal_that_it_wants(tmp_path: Path) -> None:
    program = 'trap "" TERM; trap "exit 4" INT; sleep 300 & echo child $!; wait'
    charge = await spawn(["sh", "-c", program], tmp_path / "log", end=signal.SIGINT)
    await started(charge.log_path)
    assert await charge.stop() == 4


async def test_an_interrupt_from_the_terminal_does_not_reach_reaper_or_program(
    tmp_path: Path,
) -> None:
    charge = await spawn(["sleep", "300"], tmp_path / "log")
    for pid in (charge.pid, charge.reaper_pid):
        assert os.getpgid(pid) != os.getpgid(0)
    os.kill(charge.reaper_pid, signal.SIGINT)
    os.kill(charge.reaper_pid, signal.SIGTERM)
    await charge.resume()
    assert charge.running
    await charge.kill()
