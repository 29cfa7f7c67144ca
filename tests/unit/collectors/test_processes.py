import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from citadel_k8s.collectors.base import processes_from
from citadel_k8s.collectors.processes import READ_PROCESSES, REREAD_LOOKS, ProcessSource
from citadel_k8s.models.readings import Process
from tests.unit.collectors import trees
from tests.unit.collectors.trees import CONTAINER, OTHER_POD, POD, cgroup_path

IN_POD = f"0::{cgroup_path()}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    trees.process(tmp_path, 1, ppid=0, started=1, name="systemd", cgroup="0::/init.scope")
    return tmp_path


@pytest.fixture
def source(root: Path) -> ProcessSource:
    return ProcessSource(str(root))


def answer(source: ProcessSource, pids, skip=None, announce=lambda _gpu, _call: None):
    return source.collect(announce, skip or {}, {"pids": pids, "ports": []})


def read(source: ProcessSource, *pids: int, skip=None) -> dict[int, Process]:
    given = answer(source, list(pids), skip)
    assert given["kind"] == "reading", given
    return {process.pid: process for process in processes_from(given["value"]).processes}


def test_a_process_is_known_with_its_pod_and_container(root: Path, source: ProcessSource):
    command = ["python3", "-m", "sglang.launch_server", "--api-key", "abc"]
    trees.process(root, 42, started=777, name="sglang::sched", cgroup=IN_POD, command=command)
    assert read(source, 42)[42] == Process(
        pid=42,
        started=777,
        name="sglang::sched",
        command="python3 -m sglang.launch_server --api-key ***",
        ancestors=(),
        pod_uid=POD,
        container_id=CONTAINER,
        known=True,
    )


def test_a_process_of_the_host_is_known_to_be_in_no_pod(root: Path, source: ProcessSource):
    trees.process(root, 42, cgroup="0::/system.slice/ollama.service")
    process = read(source, 42)[42]
    assert (process.pod_uid, process.container_id, process.known) == (None, None, True)


ENDING = 0x40010C
"""Flags of a process that the driver still takes its memory back from."""


def test_a_process_that_ends_is_not_put_out_of_its_pod(root: Path, source: ProcessSource):
    trees.process(root, 42, cgroup=f"4:memory:{cgroup_path()}")
    read(source, 42)
    # The kernel says so of all that ends in hierarchies of version 1.
    trees.process(root, 42, cgroup="4:memory:/", command="", flags=ENDING)
    for _ in range(2 * REREAD_LOOKS):
        process = read(source, 42)[42]
        assert (process.pod_uid, process.container_id, process.known) == (POD, CONTAINER, True)


def test_of_a_process_that_was_never_seen_before_it_ended_nobody_says_where_it_was(
    root: Path, source: ProcessSource
):
    trees.process(root, 42, cgroup="4:memory:/", command="", flags=ENDING)
    for _ in range(2):
        process = read(source, 42)[42]
        assert (process.pod_uid, process.known) == (None, False)
    trees.process(root, 42, cgroup=IN_POD, command="", flags=ENDING)  # version 2 keeps it
    assert read(source, 42)[42].pod_uid == POD


def test_a_process_that_is_gone_is_left_out(root: Path, source: ProcessSource):
    trees.process(root, 42)
    assert set(read(source, 42, 43)) == {42}
    trees.gone(root, 42)
    assert read(source, 42, 43) == {}


@pytest.mark.parametrize("content", [None, "", "garbage", "12:mem"])
def test_where_a_process_belongs_is_unknown_if_its_cgroup_cannot_be_read(
    root: Path, source: ProcessSource, content: str | None
):
    path = trees.process(root, 42) / "cgroup"
    trees.unreadable(path) if content is None else path.write_text(content)
    process = read(source, 42)[42]
    assert (process.pod_uid, process.known) == (None, False)
    trees.gone(root, 42)
    trees.process(root, 42, cgroup=IN_POD)
    process = read(source, 42)[42]
    assert (process.pod_uid, process.known) == (POD, True)


@pytest.mark.parametrize("content", [None, "", "garbage", "42 (a) S 1", "42 (a) S x"])
def test_a_process_that_cannot_be_looked_at_is_told_as_unknown(
    root: Path, source: ProcessSource, content: str | None
):
    path = trees.process(root, 42, cgroup=IN_POD) / "stat"
    trees.unreadable(path) if content is None else path.write_text(content)
    assert read(source, 42)[42] == Process(pid=42, started=0, known=False)


def test_a_process_without_a_command_line_has_a_name_still(root: Path, source: ProcessSource):
    folder = trees.process(root, 42, name="kworker/0:1", command="")
    assert read(source, 42)[42].command is None
    trees.unreadable(folder / "cmdline")
    assert read(source, 42)[42].name == "kworker/0:1"


def test_names_and_commands_are_made_fit_to_leave_the_node(root: Path, source: ProcessSource):
    trees.process(root, 42, name="a) S 1 (\x1b[31m\n", command=["x\x1b\n", "y" * 200_000])
    process = read(source, 42)[42]
    assert process.name == "a) S 1 ( [31m"
    assert process.command is not None
    assert process.command.startswith("x  yyy")
    assert len(process.command) == 512


def test_ancestors_begin_with_the_parent_and_leave_out_the_first_process(
    root: Path, source: ProcessSource
):
    trees.process(root, 10, ppid=1, started=5)
    trees.process(root, 20, ppid=10, started=6)
    trees.process(root, 30, ppid=20, started=7)
    assert read(source, 30)[30].ancestors == (20, 10)


def test_ancestors_are_bounded_and_loops_end(root: Path, source: ProcessSource):
    for pid in range(10, 30):
        trees.process(root, pid, ppid=pid + 1)
    assert read(source, 10)[10].ancestors == tuple(range(11, 19))
    trees.process(root, 12, ppid=10)
    assert read(source, 10)[10].ancestors == (11, 12)
    trees.process(root, 10, ppid=10)
    assert read(source, 10)[10].ancestors == ()


def test_a_parent_that_is_younger_is_none(root: Path, source: ProcessSource):
    trees.process(root, 10, started=500)
    trees.process(root, 20, ppid=10, started=400)
    trees.process(root, 30, ppid=99, started=400)
    assert {p.pid: p.ancestors for p in read(source, 20, 30).values()} == {20: (), 30: ()}


def test_a_number_that_passed_to_another_process_brings_nothing_of_the_first(
    root: Path, source: ProcessSource
):
    trees.process(root, 42, started=100, cgroup=IN_POD, command=["vllm"])
    for _ in range(3):
        read(source, 42)
    cgroup = f"0::{cgroup_path(OTHER_POD)}"
    trees.process(root, 42, started=900, name="bash", cgroup=cgroup, command=["bash"])
    process = read(source, 42)[42]
    assert (process.started, process.pod_uid, process.command) == (900, OTHER_POD, "bash")


def test_a_number_that_passes_on_while_it_is_read_is_left_out(
    root: Path, source: ProcessSource, monkeypatch: pytest.MonkeyPatch
):
    trees.process(root, 42, started=100, cgroup=IN_POD)

    def announce(_gpu: int | None, call: str) -> None:
        if call.endswith("cmdline"):
            trees.process(root, 42, started=900)

    assert answer(source, [42], announce=announce)["value"]["processes"] == []


def test_what_does_not_change_is_not_read_again(root: Path, source: ProcessSource):
    folder = trees.process(root, 42, cgroup=IN_POD, command=["vllm"])
    calls: list[str] = []
    for _ in range(REREAD_LOOKS):
        answer(source, [42], announce=lambda _gpu, call: calls.append(call))
    assert calls.count("read /proc/42/cmdline") == 2
    for name in ("cgroup", "cmdline"):
        trees.unreadable(folder / name)
    trees.gone(root, 42)
    trees.process(root, 42, command="VLLM::EngineCore  ", cgroup=IN_POD)
    assert read(source, 42)[42].command == "VLLM::EngineCore"


def test_a_title_that_a_program_gives_itself_early_is_seen(root: Path, source: ProcessSource):
    trees.process(root, 42, command=["python3", "-c", "spawn_main"])
    read(source, 42)
    trees.process(root, 42, command="VLLM::Worker_TP0")
    assert read(source, 42)[42].command == "VLLM::Worker_TP0"


def test_a_command_line_that_hung_is_left_alone(root: Path, source: ProcessSource):
    trees.process(root, 42, cgroup=IN_POD)
    process = read(source, 42, skip={(None, "read /proc/42/cmdline"): "hung"})[42]
    assert (process.command, process.pod_uid) == (None, POD)


def test_processes_that_hung_are_left_alone(source: ProcessSource):
    given = answer(source, [42], {(None, READ_PROCESSES): "no answer for 10 s"})
    assert (given["reason"], given["message"]) == ("Unresponsive", "no answer for 10 s")


def test_a_proc_that_is_not_there_is_a_failure(tmp_path: Path):
    given = answer(ProcessSource(str(tmp_path / "nowhere")), [42])
    assert (given["kind"], given["reason"]) == ("failed", "HostProcUnreadable")


def test_a_request_without_numbers_is_answered(source: ProcessSource):
    value = source.collect(lambda _gpu, _call: None, {}, {})["value"]
    assert value == {"processes": [], "listeners": []}


def test_no_more_than_the_bound_are_looked_at_and_each_once(
    root: Path, source: ProcessSource, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("citadel_k8s.collectors.processes.PIDS_MAX", 3)
    for pid in range(1000, 1005):
        trees.process(root, pid)
    assert list(read(source, 1000, 1000, 1000, 1001, 1002, 1003)) == [1000, 1001, 1002]


def test_nothing_is_remembered_of_what_is_not_asked_for(root: Path, source: ProcessSource):
    for pid in range(100, 150):
        trees.process(root, pid, ppid=99)
    trees.process(root, 99)
    read(source, *range(100, 150))
    assert len(source._table._kept) == 51
    read(source)
    assert source._table._kept == {}


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    # It says when it runs: in the midst of its exec the kernel tells an empty command line.
    program = [sys.executable, "-c", "print(flush=True);input()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_real_process_is_read_until_it_ends(child: subprocess.Popen[bytes]):
    source = ProcessSource("/")
    process = read(source, child.pid)[child.pid]
    assert process.known
    assert process.ancestors[0] == os.getpid()
    assert process.started > 0
    assert process.command is not None
    assert process.command.endswith("input()") or process.command.startswith("python")
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert read(source, child.pid) == {}


def test_a_real_process_that_ended_and_was_not_waited_for_is_still_told(
    child: subprocess.Popen[bytes],
):
    source = ProcessSource("/")
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    process = read(source, child.pid)[child.pid]
    assert process.command is None
    child.wait()
