from pathlib import Path

import pytest

from citadel_k8s.collectors.cgroups import ContainerSource
from citadel_k8s.collectors.podtrees import SEARCH_LOOKS, SEARCH_MAX, PodTrees
from citadel_k8s.models.readings import ContainerUsage
from tests.unit.collectors import trees
from tests.unit.collectors.trees import (
    CONTAINER,
    OTHER_CONTAINER,
    OTHER_POD,
    POD,
    STATIC_POD,
    cgroup_path,
)

UNDERSCORED = POD.replace("-", "_")
PATH = cgroup_path()
KIND = (
    "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
    f"kubelet-kubepods-burstable-pod{UNDERSCORED}.slice/cri-containerd-{CONTAINER}.scope"
)


@pytest.fixture
def source(tmp_path: Path) -> ContainerSource:
    return ContainerSource(str(tmp_path))


def answer(source: ContainerSource):
    return source.collect(lambda _gpu, _call: None, {}, {})


def read(source: ContainerSource) -> list[ContainerUsage]:
    given = answer(source)
    assert given["kind"] == "reading", given
    return [ContainerUsage(**value) for value in given["value"]["containers"]]


@pytest.mark.parametrize(
    "path",
    [
        PATH,
        cgroup_path(qos="guaranteed"),
        cgroup_path(qos="besteffort"),
        f"/kubepods/burstable/pod{POD}/{CONTAINER}",
        f"/kubepods/pod{POD}/crio-{CONTAINER}",
        f"/kubelet/kubepods/besteffort/pod{POD}/{CONTAINER}",
        KIND,
        f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/docker-{CONTAINER}.scope",
        f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/crio-{CONTAINER}.scope",
        f"/system.slice/containerd.service/kubepods-pod{UNDERSCORED}.slice:cri-containerd:{CONTAINER}",
        f"/docker/{OTHER_CONTAINER}/kubepods/burstable/pod{POD}/{CONTAINER}",
        f"/system.slice/docker-{OTHER_CONTAINER}.scope{KIND}",
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_containers_are_found_wherever_pods_live(
    tmp_path: Path, source: ContainerSource, path: str, version: int
):
    if version == 1:
        trees.container_v1(tmp_path, path, usage=7)
    else:
        trees.container(tmp_path, path, current=7)
    for _ in range(2):
        found = [(u.pod_uid, u.container_id, u.working_set_bytes) for u in read(source)]
        assert found == [(POD, CONTAINER, 7)]


def test_only_containers_of_pods_are_told(tmp_path: Path, source: ContainerSource):
    trees.container(tmp_path, cgroup_path(STATIC_POD))
    trees.container(tmp_path, f"{cgroup_path(STATIC_POD)}/system.slice/inner-{OTHER_CONTAINER}")
    trees.container(
        tmp_path, f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/crio-conmon-{CONTAINER}.scope"
    )
    trees.container(tmp_path, f"/system.slice/docker-{OTHER_CONTAINER}.scope")
    assert [u.pod_uid for u in read(source)] == [STATIC_POD]


def test_containers_come_and_go(tmp_path: Path, source: ContainerSource):
    folder = trees.container(tmp_path, PATH)
    other = cgroup_path(OTHER_POD, OTHER_CONTAINER)
    assert [u.pod_uid for u in read(source)] == [POD]
    trees.container(tmp_path, other)
    assert {u.pod_uid for u in read(source)} == {POD, OTHER_POD}
    folder.parent.rename(tmp_path / "gone")
    assert [u.pod_uid for u in read(source)] == [OTHER_POD]


def test_one_that_took_anothers_place_is_seen_at_once(tmp_path: Path, source: ContainerSource):
    # The count of links is the same then, and only the missing one tells.
    folder = trees.container(tmp_path, PATH)
    assert [u.container_id for u in read(source)] == [CONTAINER]
    folder.rename(tmp_path / "gone")
    trees.container(tmp_path, cgroup_path(container=OTHER_CONTAINER))
    assert [u.container_id for u in read(source)] == [OTHER_CONTAINER]


def test_links_are_never_followed(tmp_path: Path, source: ContainerSource):
    folder = trees.container(tmp_path, PATH)
    (folder.parent / f"cri-containerd-{OTHER_CONTAINER}.scope").symlink_to(folder)
    (folder.parents[1] / f"pod{OTHER_POD}").symlink_to(folder.parent)
    (folder.parent / "burstable-loop").symlink_to(folder.parents[2])
    assert [u.container_id for u in read(source)] == [CONTAINER]


def test_a_tree_without_end_is_not_walked_to_it(
    tmp_path: Path, source: ContainerSource, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("citadel_k8s.collectors.podtrees.DIRECTORIES_MAX", 20)
    for i in range(50):
        trees.container(tmp_path, cgroup_path(container=f"{i:064x}"))
    assert 0 < len(read(source)) < 20
    assert 0 < len(read(source)) < 20


def test_a_host_without_pods_has_no_cgroups_to_read(tmp_path: Path, source: ContainerSource):
    given = answer(source)
    assert (given["kind"], given["reason"]) == ("absent", "NoCgroups")
    trees.write(tmp_path / "sys/fs/cgroup/cgroup.controllers", "cpu\n")
    trees.write(tmp_path / "sys/fs/cgroup/system.slice/ollama.service/cpu.stat", "usage_usec 1\n")
    for _ in range(3):
        assert answer(source)["reason"] == "NoCgroups"
    trees.container(tmp_path, PATH)
    assert len(read(source)) == 1


def test_a_kubelet_that_comes_late_to_an_unusual_place_is_found(
    tmp_path: Path, source: ContainerSource
):
    trees.write(tmp_path / "sys/fs/cgroup/cgroup.controllers", "cpu\n")
    assert answer(source)["reason"] == "NoCgroups"
    trees.container(tmp_path, f"/docker/{OTHER_CONTAINER}/kubepods/pod{POD}/{CONTAINER}")
    kinds = [answer(source)["kind"] for _ in range(SEARCH_LOOKS + 1)]
    assert kinds[-1] == "reading"


def test_the_search_for_an_unusual_place_ends(tmp_path: Path, source: ContainerSource):
    for i in range(SEARCH_MAX + 5):
        (tmp_path / f"sys/fs/cgroup/user.slice/{i}").mkdir(parents=True)
    assert answer(source)["reason"] == "NoCgroups"


def test_a_host_without_kubernetes_is_searched_seldom(
    tmp_path: Path, source: ContainerSource, monkeypatch: pytest.MonkeyPatch
):
    searches: list[int] = []
    monkeypatch.setattr(PodTrees, "_search", lambda _self: searches.append(1) or [])
    trees.write(tmp_path / "sys/fs/cgroup/cgroup.controllers", "cpu\n")
    for _ in range(3 * SEARCH_LOOKS):
        assert answer(source)["reason"] == "NoCgroups"
    assert len(searches) == 3


def test_a_host_that_gets_its_mounts_late_is_read(tmp_path: Path, source: ContainerSource):
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    assert answer(source)["reason"] == "NoCgroups"
    trees.container_v1(tmp_path, PATH)
    kinds = [answer(source)["kind"] for _ in range(SEARCH_LOOKS + 1)]
    assert kinds[-1] == "reading"
