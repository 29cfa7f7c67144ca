import asyncio
import json
import sys
from pathlib import Path

import psutil
import pytest

from citadel_k8s.errors import StackError
from citadel_k8s.local.binaries import Binaries
from citadel_k8s.local.stack import Stack

OWNER = """
import asyncio, json, os, sys
from pathlib import Path
from citadel_k8s.local.binaries import Binaries
from citadel_k8s.local.stack import Stack

async def main():
    async with Stack(binaries=Binaries(*map(Path, sys.argv[1:]))) as stack:
        print(json.dumps(str(stack.folder)), flush=True)
        await asyncio.sleep(300)

asyncio.run(main())
"""


def running(pids: list[int]) -> list[psutil.Process]:
    """Those that still run; a zombie waits only for its parent to look."""
    left = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    return [process for process in left if process.status() != psutil.STATUS_ZOMBIE]


async def test_a_client_finds_both_servers_of_the_stack(stack: Stack, namespace: str) -> None:
    assert await stack.valkey.ask("PING") == "+PONG"
    answer = await stack.kube.request("GET", f"/api/v1/namespaces/{namespace}")
    assert answer["metadata"]["name"] == namespace


async def test_two_stacks_run_side_by_side_and_leave_no_folder(
    stack: Stack, binaries: Binaries
) -> None:
    lines: list[str] = []
    async with Stack(report=lines.append, binaries=binaries) as other:
        assert other.kube.server != stack.kube.server
        assert other.valkey.port != stack.valkey.port
        await other.valkey.ask("SET only-here 1")
        assert await stack.valkey.ask("EXISTS only-here") == ":0"
        folder = other.folder
        pids = [other.valkey.pid, *other.kube.pids]
        assert len(running(pids)) == 3
    assert not await asyncio.to_thread(folder.exists)
    assert not running(pids)
    assert [line.split()[0] for line in lines] == ["Valkey", "Kubernetes"]


async def test_two_seconds_after_its_owner_was_killed_nothing_of_a_stack_is_left(
    binaries: Binaries,
) -> None:
    paths = (binaries.kube_apiserver, binaries.kubectl, binaries.etcd)
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, *paths, stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    async with asyncio.timeout(60):
        folder = Path(json.loads(await owner.stdout.readline()))
    pids = [child.pid for child in psutil.Process(owner.pid).children(recursive=True)]
    assert len(running(pids)) == 6  # three servers, a reaper each
    owner.kill()
    await owner.communicate()
    async with asyncio.timeout(2):  # no event tells of processes that are not ours
        while running(pids) or folder.exists():  # noqa: ASYNC110, ASYNC240 - as it says
            await asyncio.sleep(0.02)


async def test_a_part_that_was_left_out_says_so() -> None:
    async with Stack(kube=False) as stack:
        with pytest.raises(StackError, match="without a Kubernetes API server"):
            _ = stack.kubeconfig
    with pytest.raises(StackError, match="does not run"):
        _ = stack.folder


async def test_an_error_inside_a_stack_comes_out_as_it_is_and_nothing_is_left() -> None:
    stack = Stack(kube=False)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - what raises is inside the context
        async with stack:
            folder, pid = stack.folder, stack.valkey.pid
            _ = 1 / 0
    assert not await asyncio.to_thread(folder.exists)
    assert not running([pid])
