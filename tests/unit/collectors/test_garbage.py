"""Whatever the host's files hold, each source answers, and its answer makes readings."""

import functools
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citadel_k8s.collectors import host as host_module
from citadel_k8s.collectors.base import containers_from, gpus_from, host_from, processes_from
from citadel_k8s.collectors.cgroups import ContainerSource
from citadel_k8s.collectors.drm import DrmSource
from citadel_k8s.collectors.host import HostSource
from citadel_k8s.collectors.lines import encode_answer
from citadel_k8s.collectors.processes import ProcessSource
from tests.unit.collectors import trees

SOURCES = {
    "host": (HostSource, host_from, "proc"),
    "containers": (ContainerSource, containers_from, "sys/fs/cgroup"),
    "processes": (ProcessSource, processes_from, "proc"),
    "drm": (DrmSource, gpus_from, "sys"),
}
WORDS = [
    b"cpu", b"cpu0", b"some", b"avg10=", b"nan", b"inf", b"-1", b"1e999", b"9" * 5000, b"max",
    b"|-- 10.0.0.1", b"/32 host LOCAL", b"|", b"\n", b"\n", b" ", b" ", b":", b"(", b")", b"ue:",
    b"\0", b"\xff", b"\x1b", b"=", b"/../", b"pod", trees.POD.encode(), b"usage_usec", b"kB", b"*",
    b"PCI_SLOT_NAME=", b"location_id", b"0000000000000000:FFFF", b"1", b"MemTotal:", b"ce:", b"0A",
]  # fmt: skip
CONTENTS = st.binary(max_size=200) | st.lists(st.sampled_from(WORDS)).map(b"".join)


def cut_short(content: bytes) -> st.SearchStrategy[bytes]:
    return st.integers(0, len(content)).map(lambda end: content[:end])


@functools.cache
def tree() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    folder = tempfile.TemporaryDirectory()
    root = Path(folder.name)
    trees.process(root, 1, ppid=0, started=1, name="systemd")
    trees.network(root, "host", addresses=["192.0.2.7"], tcp=[("0.0.0.0", 8000, 7)])
    trees.join(root, 1, "host")
    trees.process(root, 40, cgroup=f"0::{trees.cgroup_path()}", command=["vllm", "--port", "8000"])
    trees.process(root, 42, ppid=40, cgroup=f"0::{trees.cgroup_path()}")
    tcp = [("0.0.0.0", 8000, 8), ("::", 8001, 9)]
    table = trees.route(("eth0", "0.0.0.0/0"), ("eth0", "10.244.1.0/24"))
    trees.network(root, "pod", addresses=["10.244.1.5", "fd00::5"], tcp=tcp, route=table)
    for pid in (40, 42):
        trees.join(root, pid, "pod")
    for name in ("meminfo", "stat", "loadavg", "uptime", "pressure/cpu", "1/net/dev"):
        trees.write(root / "proc" / name, (Path("/proc") / name).read_bytes())
    trees.write(root / "proc/sys/kernel/osrelease", "6.8.0\n")
    trees.container(root, trees.cgroup_path(), pids=[42])
    trees.amd_card(root, 0)
    trees.intel_card(root, 1, files={"drm/card1/lmem_total_bytes": "1"})
    trees.kfd_node(root, 1, 7, "0000:03:00")
    trees.kfd_process(root, 42, {7: 5})
    return folder, root


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(host_module, "FIRST_SAMPLE", 0)


def checked(name: str, source) -> None:
    _, read, _ = SOURCES[name]
    args = {"pids": [42], "ports": [8000]}
    given_answer = source.collect(lambda _gpu, _call: None, {}, args)
    line = json.loads(encode_answer("x/1", given_answer, []), parse_constant=pytest.fail)
    if line["kind"] == "reading":
        read(line["value"])
    else:
        assert line["reason"]
        assert line["message"]


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_source_answers_whatever_its_files_hold(name: str, data: st.DataObject):
    _, root = tree()
    make, _, below = SOURCES[name]
    files = sorted(path for path in (root / below).rglob("*") if path.is_file())
    source = make(str(root))
    checked(name, source)
    for file in data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=3, unique=True)):
        before = file.read_bytes()
        content = data.draw(CONTENTS | cut_short(before))
        file.write_bytes(content)
        try:
            checked(name, source)
            checked(name, make(str(root)))
        finally:
            file.write_bytes(before)
