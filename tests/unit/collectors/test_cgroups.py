from pathlib import Path

import pytest

from citadel_k8s.collectors.base import containers_from
from citadel_k8s.collectors.cgroups import LIMIT_LOOKS, READ_CGROUPS, SANDBOX_LOOKS, ContainerSource
from citadel_k8s.models.readings import ContainerUsage
from tests.unit.collectors import trees
from tests.unit.collectors.trees import (
    CONTAINER,
    OTHER_POD,
    POD,
    cgroup_path,
)

UNDERSCORED = POD.replace("-", "_")
PATH = cgroup_path()
KIND = (
    "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
    f"kubelet-kubepods-burstable-pod{UNDERSCORED}.slice/cri-containerd-{CONTAINER}.scope"
)
GIB = 1 << 30


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def source(tmp_path: Path, watch: Watch) -> ContainerSource:
    return ContainerSource(str(tmp_path), watch)


def answer(source: ContainerSource, skip=None):
    return source.collect(lambda _gpu, _call: None, skip or {}, {})


def read(source: ContainerSource) -> list[ContainerUsage]:
    given = answer(source)
    assert given["kind"] == "reading", given
    return [ContainerUsage(**value) for value in given["value"]["containers"]]


def test_a_container_of_version_2_is_read(tmp_path: Path, source: ContainerSource):
    trees.container(
        tmp_path, PATH, cpu_usec=5_250_000, current=3 * GIB, inactive_file=GIB,
        memory_max=str(8 * GIB), cpu_max="150000 100000", oom_kill=2,
    )  # fmt: skip
    assert read(source) == [
        ContainerUsage(
            pod_uid=POD, container_id=CONTAINER, cpu_seconds=5.25, cpu_cores=None,
            cpu_limit_cores=1.5, working_set_bytes=2 * GIB, memory_limit_bytes=8 * GIB, oom_kills=2,
        )
    ]  # fmt: skip


def test_a_container_of_version_1_is_read(tmp_path: Path, source: ContainerSource):
    trees.container_v1(
        tmp_path, f"/kubepods/burstable/pod{POD}/{CONTAINER}", cpu_nsec=5_250_000_000,
        usage=3 * GIB, inactive_file=GIB, limit=8 * GIB, quota=150_000, oom_kill=2,
    )  # fmt: skip
    assert read(source) == [
        ContainerUsage(
            pod_uid=POD, container_id=CONTAINER, cpu_seconds=5.25, cpu_cores=None,
            cpu_limit_cores=1.5, working_set_bytes=2 * GIB, memory_limit_bytes=8 * GIB, oom_kills=2,
        )
    ]  # fmt: skip


def test_no_limit_is_none_in_both_versions(tmp_path: Path, source: ContainerSource):
    trees.container(tmp_path, PATH)
    first = read(source)[0]
    trees.container_v1(tmp_path / "v1", PATH)
    second = read(ContainerSource(str(tmp_path / "v1")))[0]
    for usage in (first, second):
        assert (usage.memory_limit_bytes, usage.cpu_limit_cores) == (None, None)


def test_a_rate_spans_the_time_since_the_last_look(
    tmp_path: Path, source: ContainerSource, watch: Watch
):
    trees.container(tmp_path, PATH, cpu_usec=1_000_000)
    assert read(source)[0].cpu_cores is None
    watch.now += 10
    trees.container(tmp_path, PATH, cpu_usec=26_000_000)
    assert read(source)[0].cpu_cores == pytest.approx(2.5)
    watch.now += 0.1
    trees.container(tmp_path, PATH, cpu_usec=26_000_001)
    assert read(source)[0].cpu_cores == pytest.approx(2.5)  # too short a time for a new one
    watch.now += 9.9
    assert read(source)[0].cpu_cores == pytest.approx(0, abs=1e-6)


def test_a_cgroup_made_anew_has_no_rate_yet(tmp_path: Path, source: ContainerSource, watch: Watch):
    folder = trees.container(tmp_path, PATH, cpu_usec=1_000_000)
    read(source)
    watch.now += 10
    folder.rename(tmp_path / "gone")
    trees.container(tmp_path, PATH, cpu_usec=900_000_000)
    usage = read(source)[0]
    assert (usage.cpu_seconds, usage.cpu_cores) == (900, None)
    watch.now += 10
    trees.container(tmp_path, PATH, cpu_usec=910_000_000)
    assert read(source)[0].cpu_cores == pytest.approx(1)


def test_a_counter_that_runs_backwards_gives_no_rate(
    tmp_path: Path, source: ContainerSource, watch: Watch
):
    trees.container(tmp_path, PATH, cpu_usec=2_000_000)
    read(source)
    watch.now += 10
    trees.container(tmp_path, PATH, cpu_usec=1_000_000)
    assert read(source)[0].cpu_cores is None


def test_a_working_set_is_never_below_zero(tmp_path: Path, source: ContainerSource):
    trees.container(tmp_path, PATH, current=10, inactive_file=20)
    assert read(source)[0].working_set_bytes == 0


@pytest.mark.parametrize("content", [None, "", "garbage\n", "inactive_file\n", "\x00\n"])
@pytest.mark.parametrize(
    ("file", "field"),
    [
        ("cpu.stat", "cpu_seconds"),
        ("memory.current", "working_set_bytes"),
        ("memory.stat", "working_set_bytes"),
        ("memory.events", "oom_kills"),
        ("memory.max", "memory_limit_bytes"),
        ("cpu.max", "cpu_limit_cores"),
    ],
)
def test_a_file_that_is_missing_or_garbled_makes_its_figure_unknown(
    tmp_path: Path, source: ContainerSource, file: str, field: str, content: str | None
):
    folder = trees.container(tmp_path, PATH, memory_max="9", cpu_max="1 1")
    (folder / file).unlink() if content is None else (folder / file).write_text(content)
    usage = read(source)[0]
    assert getattr(usage, field) is None
    assert (usage.cpu_seconds is None) + (usage.working_set_bytes is None) < 2


def test_a_number_that_is_cut_short_is_not_a_smaller_one(tmp_path: Path, source: ContainerSource):
    folder = trees.container(tmp_path, PATH, current=5000)
    (folder / "memory.stat").write_text("anon 1\ninactive_file 40")
    (folder / "cpu.stat").write_text("usage_usec 12")
    (folder / "memory.events").write_text("oom_kill 1\n")
    assert read(source) == []
    (folder / "cpu.stat").write_text("usage_usec 12000000\n")
    usage = read(source)[0]
    assert (usage.cpu_seconds, usage.working_set_bytes, usage.oom_kills) == (12, None, 1)


def test_one_that_vanishes_while_it_is_read_is_left_out(tmp_path: Path, source: ContainerSource):
    folder = trees.container(tmp_path, PATH)
    trees.container(tmp_path, cgroup_path(OTHER_POD))
    for file in folder.iterdir():
        file.unlink()
    assert [u.pod_uid for u in read(source)] == [OTHER_POD]


@pytest.mark.parametrize(
    ("pids", "names", "told"),
    [
        ([7], {7: "pause"}, False),
        ([7], {7: "python3"}, True),
        ([7, 8], {7: "pause", 8: "sh"}, True),
        ([0], {}, True),
        ([], {}, True),
        ([9], {}, True),
    ],
)
def test_a_pods_sandbox_is_left_out_where_it_can_be_told_apart(
    tmp_path: Path,
    source: ContainerSource,
    pids: list[int],
    names: dict[int, str],
    told: bool,  # noqa: FBT001
):
    for pid, name in names.items():
        trees.process(tmp_path, pid, name=name)
    trees.container(tmp_path, PATH, pids=pids)
    for _ in range(SANDBOX_LOOKS + 2):
        assert bool(read(source)) is told


def test_a_sandbox_is_known_once_the_runtime_has_started_it(
    tmp_path: Path, source: ContainerSource
):
    trees.process(tmp_path, 7, name="runc:[2:INIT]")
    trees.container(tmp_path, PATH, pids=[7])
    assert read(source) != []
    trees.process(tmp_path, 7, name="pause")
    assert read(source) == []


def test_limits_are_read_again_now_and_then(tmp_path: Path, source: ContainerSource):
    trees.container(tmp_path, PATH, memory_max="1000")
    assert read(source)[0].memory_limit_bytes == 1000
    trees.container(tmp_path, PATH, memory_max="2000")
    limits = [read(source)[0].memory_limit_bytes for _ in range(LIMIT_LOOKS)]
    assert limits[-1] == 2000


def test_those_beyond_the_bound_are_counted_and_the_nearest_come_first(
    tmp_path: Path, source: ContainerSource, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("citadel_k8s.collectors.cgroups.CONTAINERS_MAX", 3)
    for i in range(5):
        trees.container(tmp_path, cgroup_path(container=f"{i:064x}"))
    trees.container(tmp_path, cgroup_path(OTHER_POD, qos="guaranteed"))
    given = answer(source)["value"]
    assert (len(given["containers"]), given["left_out"]) == (3, 3)
    assert given["containers"][0]["pod_uid"] == OTHER_POD


def test_a_mount_that_cannot_be_listed_is_a_failure(tmp_path: Path, source: ContainerSource):
    trees.write(tmp_path / "sys/fs/cgroup", "a file")
    given = answer(source)
    assert (given["kind"], given["reason"]) == ("failed", "CgroupsUnreadable")


def test_cgroups_that_hung_are_left_alone(tmp_path: Path, source: ContainerSource):
    trees.container(tmp_path, PATH)
    assert answer(source, {(None, READ_CGROUPS): "hung"})["reason"] == "Unresponsive"


def test_nothing_is_remembered_of_what_is_gone(tmp_path: Path, source: ContainerSource):
    for i in range(30):
        folder = trees.container(tmp_path, cgroup_path(container=f"{i:064x}"))
        read(source)
        folder.rename(tmp_path / f"gone-{i}")
    read(source)
    assert source._looks == {}
    assert source._trees is not None
    assert len(source._trees._lists) < 5
    assert source._version is not None
    read(source)
    assert source._version.files._kept == {}


def test_no_file_stays_open_when_the_pods_are_gone_or_the_source_is(
    tmp_path: Path, source: ContainerSource
):
    before = trees.open_files()
    folder = trees.container(tmp_path, PATH)
    read(source)
    assert trees.open_files() > before
    folder.parents[2].rename(tmp_path / "gone")
    for _ in range(3):
        assert answer(source)["reason"] == "NoCgroups"
    assert trees.open_files() == before
    trees.container(tmp_path, PATH)
    assert len(read(source)) == len(read(source)) == 1
    again = trees.open_files()
    other = ContainerSource(str(tmp_path))
    read(other)
    assert trees.open_files() > again
    del other
    assert trees.open_files() == again


def test_the_answer_makes_readings(tmp_path: Path, source: ContainerSource):
    trees.container(tmp_path, PATH)
    assert containers_from(answer(source)["value"])[0].pod_uid == POD


def test_this_machines_cgroups_can_be_read_or_are_known_to_be_none():
    assert answer(ContainerSource("/"))["kind"] in {"reading", "absent"}
