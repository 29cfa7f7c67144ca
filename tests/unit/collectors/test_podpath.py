import pytest

from citadel_k8s.collectors.podpath import container_in, parse_cgroup, pod_in, pod_of
from tests.unit.collectors.trees import (
    CONTAINER,
    OTHER_CONTAINER,
    OTHER_POD,
    POD,
    STATIC_POD,
    cgroup_path,
)

UNDERSCORED = POD.replace("-", "_")
ESCAPED = POD.replace("-", "\\x2d")

PATHS = {
    "containerd, systemd": cgroup_path(),
    "containerd, systemd, guaranteed": cgroup_path(qos="guaranteed"),
    "containerd, systemd, best effort": cgroup_path(qos="besteffort"),
    "containerd, cgroupfs": f"/kubepods/burstable/pod{POD}/{CONTAINER}",
    "cgroupfs, guaranteed": f"/kubepods/pod{POD}/{CONTAINER}",
    "CRI-O, systemd": "/kubepods.slice/kubepods-besteffort.slice/"
    f"kubepods-besteffort-pod{UNDERSCORED}.slice/crio-{CONTAINER}.scope",
    "CRI-O with crun's own cgroup": "/kubepods.slice/"
    f"kubepods-pod{UNDERSCORED}.slice/crio-{CONTAINER}.scope/container",
    "CRI-O, cgroupfs": f"/kubepods/burstable/pod{POD}/crio-{CONTAINER}",
    "Docker, systemd": "/kubepods.slice/kubepods-burstable.slice/"
    f"kubepods-burstable-pod{UNDERSCORED}.slice/docker-{CONTAINER}.scope",
    "kind, systemd": "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
    f"kubelet-kubepods-burstable-pod{UNDERSCORED}.slice/cri-containerd-{CONTAINER}.scope",
    "kind, version 1": f"/docker/{OTHER_CONTAINER}/kubelet/kubepods/besteffort/"
    f"pod{POD}/{CONTAINER}",
    "kind seen from its host": f"/system.slice/docker-{OTHER_CONTAINER}.scope/kubelet.slice/"
    f"kubelet-kubepods.slice/kubelet-kubepods-pod{UNDERSCORED}.slice/"
    f"cri-containerd-{CONTAINER}.scope",
    "k3s": f"/kubepods/besteffort/pod{POD}/{CONTAINER}",
    "k3d": f"/docker/{OTHER_CONTAINER}/kubepods/burstable/pod{POD}/{CONTAINER}",
    "GKE": f"/kubepods/burstable/pod{POD}/{CONTAINER}",
    "EKS": f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/cri-containerd-{CONTAINER}.scope",
    "dashes escaped": f"/kubepods.slice/kubepods-burstable-pod{ESCAPED}.slice/"
    f"cri-containerd-{CONTAINER}.scope",
    "kubelet by systemd, containerd not": "/system.slice/containerd.service/"
    f"kubepods-burstable-pod{UNDERSCORED}.slice:cri-containerd:{CONTAINER}",
    "from a namespace of another QoS": "/../../../kubepods-besteffort.slice/"
    f"kubepods-besteffort-pod{UNDERSCORED}.slice/cri-containerd-{CONTAINER}.scope",
    "from a namespace of the same QoS": f"/../../kubepods-burstable-pod{UNDERSCORED}.slice/"
    f"cri-containerd-{CONTAINER}.scope",
    "from a namespace, cgroupfs": f"/../../pod{POD}/{CONTAINER}",
    "systemd in the container": f"{cgroup_path()}/system.slice/ray.service",
    "Ray's workers": f"/kubepods/burstable/pod{POD}/{CONTAINER}/ray_node_ab12/application/user",
    "Docker in the container": f"/kubepods/burstable/pod{POD}/{CONTAINER}/docker/{OTHER_CONTAINER}",
    "a node in the container": f"/kubepods/burstable/pod{POD}/{CONTAINER}/kubelet/kubepods/"
    f"pod{OTHER_POD}/{OTHER_CONTAINER}",
    "a process that ended": f"/kubepods/burstable/pod{POD}/{CONTAINER} (deleted)",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_pod_and_container_are_found_in_every_form_of_a_path(path: str):
    assert pod_of(path) == (POD, CONTAINER)
    assert parse_cgroup(f"0::{path}\n") == (POD, CONTAINER, True)


@pytest.mark.parametrize(
    "path",
    [
        f"/kubepods/burstable/pod{STATIC_POD}/{CONTAINER}",
        cgroup_path(STATIC_POD),
        f"/../../pod{STATIC_POD}/{CONTAINER}",
    ],
)
def test_a_static_pod_is_known_by_its_hash(path: str):
    assert pod_of(path) == (STATIC_POD, CONTAINER)


@pytest.mark.parametrize(
    ("path", "container"),
    [
        ("/", None),
        ("/user.slice/user-1000.slice/session-3.scope", None),
        ("/system.slice/ollama.service", None),
        (f"/machine.slice/libpod-{CONTAINER}.scope", CONTAINER),
        (f"/system.slice/docker-{CONTAINER}.scope", CONTAINER),
        (f"/docker/{CONTAINER}", CONTAINER),
        ("/kubepods.slice/kubepods-burstable.slice", None),
        ("/kubepods/podnotauid/x", None),
        (f"/kubepods/pod{POD}0/x", None),
        (f"/kubepods/pod{STATIC_POD}f/x", None),
        ("/kubepods/pod0d5f2c1a-8d3e-4b6f-9a21-7c0e5d4b3a2/x", None),
        ("/podman/" + POD, None),
    ],
)
def test_other_paths_are_in_no_pod(path: str, container: str | None):
    assert pod_of(path) == (None, container)


def test_conmon_is_of_the_pod_and_not_of_the_container_that_it_watches():
    path = f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/crio-conmon-{CONTAINER}.scope"
    assert pod_of(path) == (POD, None)
    assert container_in(f"crio-conmon-{CONTAINER}.scope") is None


def test_one_of_many_lines_of_version_1_is_enough():
    text = (
        "12:rdma:/\n11:hugetlb:/\n"
        f"10:cpu,cpuacct:/kubepods/burstable/pod{POD}/{CONTAINER}\n"
        f"1:name=systemd:/kubepods/burstable/pod{POD}/{CONTAINER}\n0::/\n"
    )
    assert parse_cgroup(text) == (POD, CONTAINER, True)


def test_a_line_that_was_cut_short_is_passed_over():
    text = f"12:rdma\n11\n10:cpu:/kubepods/pod{POD}/{CONTAINER}\n9:mem"
    assert parse_cgroup(text) == (POD, CONTAINER, True)


@pytest.mark.parametrize("text", ["", "\n", "garbage\n", "12:rdma"])
def test_no_line_at_all_is_an_error(text: str):
    with pytest.raises(ValueError, match="no cgroup"):
        parse_cgroup(text)


@pytest.mark.parametrize(
    "path",
    [f"/../cri-containerd-{CONTAINER}.scope", f"/../{CONTAINER}", f"/../{CONTAINER} (deleted)"],
)
def test_a_sibling_seen_from_a_namespace_is_in_a_pod_that_nobody_can_name(path: str):
    assert parse_cgroup(f"0::{path}\n") == (None, CONTAINER, False)


def test_a_service_of_the_host_seen_from_a_namespace_is_known_to_be_in_no_pod():
    assert parse_cgroup("0::/../../../../system.slice/ollama.service\n") == (None, None, True)


def test_a_mark_further_on_in_a_name_is_found():
    assert pod_in(f"podlike-thing-pod{POD}.slice") == POD
    assert pod_in("podpodpod") is None
