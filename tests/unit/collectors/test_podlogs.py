import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from citadel_k8s.collectors.podlogs import ENTRIES_MAX, PodLogs
from citadel_k8s.models.readings import Absent, Failed, Pod, Reading

UID = "dab5ab50-d59a-42a6-af16-cfd4628c0f7a"
HASH = "0123456789abcdef0123456789abcdef"
ID = "ab" * 32


def keep(root: Path, *pods: str, containers: tuple[str, ...] = ()) -> None:
    for name in pods:
        (root / "var/log/pods" / name).mkdir(parents=True, exist_ok=True)
    links = root / "var/log/containers"
    links.mkdir(parents=True, exist_ok=True)
    for name in containers:
        (links / name).symlink_to("/nowhere")


def logs(root: Path, every: float = 0.0) -> PodLogs:
    return PodLogs(root, every=every)


async def test_pods_and_containers_are_named_by_folders_and_links(tmp_path: Path) -> None:
    keep(
        tmp_path,
        f"ns_serve-0_{UID}",
        f"kube-system_etcd-node-1_{HASH}",
        containers=(f"serve-0_ns_vllm-{ID}.log", f"serve-0_other_vllm-{'cd' * 32}.log"),
    )
    outcome = await logs(tmp_path).collect()
    assert isinstance(outcome, Reading)
    assert set(outcome.value) == {
        Pod(UID, "ns", "serve-0", ((ID, "vllm"),)),
        Pod(HASH, "kube-system", "etcd-node-1"),
    }


async def test_no_log_is_opened(tmp_path: Path) -> None:
    keep(tmp_path, f"ns_a_{UID}", containers=(f"a_ns_main-{ID}.log",))
    log = tmp_path / "var/log/pods" / f"ns_a_{UID}" / "main"
    log.mkdir()
    os.mkfifo(log / "0.log")  # whoever opened it to read would wait for a writer
    assert isinstance(await logs(tmp_path).collect(), Reading)


@pytest.mark.parametrize(
    "name",
    [
        "ns_a",
        "ns_a_b_c",
        "NS_a_uid",
        "ns_a\x1b[31m_uid",
        "ns_a_" + "x" * 65,
        "_a_uid",
        "lost+found",
        "ns_a_uid\n",
    ],
)
async def test_what_is_no_pods_folder_is_left_out(name: str, tmp_path: Path) -> None:
    keep(tmp_path, name)
    assert isinstance(await logs(tmp_path).collect(), Absent)


async def test_a_host_without_the_folder_is_told_to_mount_it(tmp_path: Path) -> None:
    outcome = await logs(tmp_path).collect()
    assert isinstance(outcome, Absent)
    assert "mount it" in outcome.message


async def test_a_pod_that_comes_and_one_that_goes_are_seen(tmp_path: Path) -> None:
    source = logs(tmp_path)
    assert isinstance(await source.collect(), Absent)
    keep(tmp_path, f"ns_a_{UID}")
    assert await source.collect() == Reading((Pod(UID, "ns", "a"),))
    (tmp_path / "var/log/pods" / f"ns_a_{UID}").rmdir()
    assert isinstance(await source.collect(), Absent)


async def test_folders_that_did_not_change_are_not_read_again(tmp_path: Path) -> None:
    keep(tmp_path, f"ns_a_{UID}")
    source = logs(tmp_path)
    folder = tmp_path / "var/log/pods"
    first = await source.collect()
    before = folder.stat()
    keep(tmp_path, f"ns_b_{HASH}")
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert await source.collect() == first


async def test_no_look_is_taken_before_its_time(tmp_path: Path) -> None:
    keep(tmp_path, f"ns_a_{UID}")
    source = logs(tmp_path, every=3600.0)
    first = await source.collect()
    keep(tmp_path, f"ns_b_{HASH}")
    assert await source.collect() == first


async def test_a_folder_with_too_many_names_is_read_in_part(tmp_path: Path) -> None:
    keep(tmp_path, *(f"ns_p{n}_{UID}" for n in range(ENTRIES_MAX + 10)))
    outcome = await logs(tmp_path).collect()
    assert isinstance(outcome, Reading)
    assert len(outcome.value) == ENTRIES_MAX


async def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    def look(_root: Path, _known: object) -> None:
        raise PermissionError(13, "Permission denied")

    outcome = await PodLogs(tmp_path, look).collect()
    assert outcome == Failed("PodLogsUnreadable", "Permission denied")


async def test_a_disk_that_hangs_costs_one_deadline_and_one_thread(tmp_path: Path) -> None:
    free = threading.Event()
    looks = 0
    pods = (Pod(UID, "ns", "a"),)

    def look(_root: Path, _known: object) -> tuple[tuple[int, None], tuple[Pod, ...]]:
        nonlocal looks
        looks += 1
        if looks == 2:
            free.wait(30)
        return (looks, None), pods

    source = PodLogs(tmp_path, look, every=0.0, deadline=0.05)
    assert await source.collect() == Reading(pods)
    for _ in range(5):
        # What is known stays known: names do not change while a disk is away.
        assert await source.collect() == Reading(pods)
    assert looks == 2
    free.set()
    while looks < 3:
        assert await source.collect() == Reading(pods)


async def test_a_disk_that_hangs_at_first_is_told(tmp_path: Path) -> None:
    free = threading.Event()

    def look(_root: Path, _known: object) -> None:
        free.wait(30)

    outcome = await PodLogs(tmp_path, look, deadline=0.05).collect()
    assert isinstance(outcome, Failed)
    assert outcome.reason == "PodLogsHung"
    free.set()
    await asyncio.sleep(0)


PROGRAM = """
import asyncio, threading
from pathlib import Path
from citadel_k8s.collectors.podlogs import PodLogs

def look(root, known):
    threading.Event().wait()

print(asyncio.run(PodLogs(Path("/"), look, deadline=0.05).collect()).reason)
"""


def test_a_process_ends_although_a_look_hangs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "PodLogsHung"
    assert done.stderr == ""
