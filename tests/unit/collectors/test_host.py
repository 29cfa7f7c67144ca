from pathlib import Path

import pytest

from citadel_k8s.collectors import host as host_module
from citadel_k8s.collectors.base import host_from
from citadel_k8s.collectors.host import (
    READ_PROC,
    HostSource,
    is_mesh,
    parse_meminfo,
    parse_net_dev,
    parse_pressure,
)
from tests.unit.collectors import trees

MEMINFO = """\
MemTotal:       16000 kB
MemFree:         4000 kB
MemAvailable:   11000 kB
Buffers:          500 kB
Cached:          5000 kB
SwapTotal:       2000 kB
SwapFree:        1500 kB
SReclaimable:    1000 kB
HugePages_Total:   3
"""
NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo
    lo: 9999 1 0 0 0 0 0 0 9999 1 0 0 0 0 0 0
  eth0: 1000 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0
  ib0:    50 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0
vethab12: 777 1 0 0 0 0 0 0 777 1 0 0 0 0 0 0
 cali9f: 777 1 0 0 0 0 0 0 777 1 0 0 0 0 0 0
"""


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(host_module, "FIRST_SAMPLE", 0)


@pytest.fixture
def root(tmp_path: Path):
    proc = tmp_path / "proc"
    for name, text in {
        "meminfo": MEMINFO,
        "loadavg": "1.50 2.00 2.50 3/400 12345\n",
        "uptime": "5000.25 9000.00\n",
        "stat": "cpu  100 0 100 800 0 0 0 0 0 0\n"
        "cpu0 50 0 50 400 0 0 0 0 0 0\ncpu1 50 0 50 400 0 0 0 0 0 0\n",
        "1/net/dev": NET_DEV,
        "sys/kernel/random/boot_id": "e2cd2506-2c45-4489-a353-b2e01f9563b8\n",
        "sys/kernel/osrelease": "6.8.0-45-generic\n",
        "pressure/cpu": "some avg10=12.50 avg60=1.00 avg300=0.10 total=9\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
        "pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
        "pressure/io": "some avg10=100.00 avg60=0.00 avg300=0.00 total=0\n",
    }.items():
        trees.write(proc / name, text)
    trees.network(tmp_path, "host", addresses=["192.0.2.7"])
    trees.join(tmp_path, 1, "host")
    (tmp_path / "var/lib/kubelet").mkdir(parents=True)
    return tmp_path


def read(root: Path, source: HostSource | None = None, skip=None):
    source = source or HostSource(str(root))
    answer = source.collect(lambda _gpu, _call: None, skip or {}, {})
    assert answer["kind"] == "reading"
    return host_from(answer["value"])


def test_memory_in_use_leaves_out_buffers_and_every_reclaimable_cache(root: Path):
    host = read(root)
    assert host.memory_used_bytes == (16000 - 4000 - 500 - 5000 - 1000) * 1024
    assert host.memory_total_bytes == 16000 * 1024
    assert (host.swap_used_bytes, host.swap_total_bytes) == (500 * 1024, 2000 * 1024)


def test_network_counters_are_those_of_the_hosts_first_process_without_virtual_interfaces(
    root: Path,
):
    host = read(root)
    assert (host.network_rx_bytes, host.network_tx_bytes) == (1050, 207)


def test_the_other_figures_come_from_the_given_root(root: Path):
    host = read(root)
    assert (host.load_1m, host.load_5m, host.load_15m) == (1.5, 2.0, 2.5)
    assert host.kernel == "6.8.0-45-generic"
    assert host.uptime_seconds == 5000.25
    assert host.boot_id == "e2cd2506-2c45-4489-a353-b2e01f9563b8"
    assert host.cpu_count == 2
    assert host.disk_total_bytes is not None
    assert host.disk_used_bytes is not None
    assert host.disk_available_bytes is not None


def test_cpu_use_is_the_busy_share_since_the_last_reading(root: Path):
    source = HostSource(str(root))
    assert read(root, source).cpu_ratio is None  # a clock that stands still has no share
    (root / "proc/stat").write_text(
        "cpu  130 0 130 840 0 0 0 0 0 0\n"
        "cpu0 80 0 80 440 0 0 0 0 0 0\ncpu1 50 0 50 400 0 0 0 0 0 0\n"
    )
    assert read(root, source).cpu_ratio == pytest.approx(0.6)


def test_cpu_use_is_never_outside_zero_to_one_when_a_cpu_goes_offline(root: Path):
    source = HostSource(str(root))
    read(root, source)
    (root / "proc/stat").write_text("cpu  60 0 60 500 0 0 0 0 0 0\ncpu0 60 0 60 500 0 0 0 0 0 0\n")
    assert read(root, source).cpu_ratio is None


ALL_FIELDS = [
    ("loadavg", "load_1m"),
    ("loadavg", "load_15m"),
    ("uptime", "uptime_seconds"),
    ("1/net/dev", "network_rx_bytes"),
    ("1/net/fib_trie", "mesh_addresses"),
    ("pressure/cpu", "cpu_pressure_ratio"),
    ("pressure/memory", "memory_pressure_ratio"),
    ("pressure/io", "io_pressure_ratio"),
    ("stat", "cpu_ratio"),
    ("stat", "cpu_count"),
]


@pytest.mark.parametrize(
    ("path", "field"),
    [*ALL_FIELDS, ("sys/kernel/random/boot_id", "boot_id"), ("sys/kernel/osrelease", "kernel")],
)
def test_a_file_that_is_missing_or_empty_makes_its_figure_unknown_and_no_other(
    root: Path, path: str, field: str
):
    for content in (None, ""):
        file = root / "proc" / path
        file.unlink() if content is None else file.write_text(content)
        host = read(root)
        assert getattr(host, field) is None
        assert host.memory_total_bytes == 16000 * 1024


@pytest.mark.parametrize(("path", "field"), ALL_FIELDS)
@pytest.mark.parametrize("content", ["garbage\n", "\x00\xff", "cpu 1 2\n", "some avg10=999\n"])
def test_a_garbled_file_makes_its_figure_unknown_and_no_other(
    root: Path, path: str, field: str, content: str
):
    (root / "proc" / path).write_text(content)
    host = read(root)
    assert getattr(host, field) is None
    assert host.memory_total_bytes == 16000 * 1024


def test_a_table_of_interfaces_that_is_cut_short_is_no_smaller_counter():
    for end in range(len(NET_DEV)):
        text = NET_DEV[:end]
        if not text.endswith("\n") or text.count("\n") < 2:
            with pytest.raises((ValueError, IndexError)):
                parse_net_dev(text)


def test_half_a_number_of_memory_is_none():
    text = MEMINFO[: MEMINFO.index("500 kB") + 1]
    assert "Buffers" not in parse_meminfo(text)
    assert parse_meminfo(text)["MemFree"] == 4000 * 1024


def test_memory_without_one_of_its_terms_is_unknown(root: Path):
    (root / "proc/meminfo").write_text("MemTotal: 10 kB\nMemFree: 5 kB\n")
    host = read(root)
    assert (host.memory_total_bytes, host.memory_used_bytes) == (10240, None)
    assert (host.swap_total_bytes, host.swap_used_bytes) == (None, None)


def test_pressure_is_the_share_of_time_in_which_some_task_waited(root: Path):
    host = read(root)
    assert host.cpu_pressure_ratio == 0.125
    assert host.memory_pressure_ratio == 0.0
    assert host.io_pressure_ratio == 1.0
    with pytest.raises(ValueError, match="no pressure"):
        parse_pressure("full avg10=1.00 avg60=1\n")


def test_an_address_is_of_the_mesh_by_its_range():
    assert all(map(is_mesh, ["100.64.0.1", "100.127.255.254", "fd7a:115c:a1e0::4d01:1"]))
    assert not any(map(is_mesh, ["100.128.0.1", "100.63.9.9", "10.100.64.1", "fd7a:115c:a1e1::1"]))


def test_mesh_addresses_are_those_of_the_hosts_own_network(root: Path):
    assert read(root).mesh_addresses == ()
    own = ["192.0.2.7", "100.101.102.103", "fd7a:115c:a1e0:ab12::5", "2001:db8::1"]
    trees.network(root, "host", addresses=own)
    assert read(root).mesh_addresses == ("100.101.102.103", "fd7a:115c:a1e0:ab12::5")


def test_a_host_without_ipv6_still_knows_its_mesh_address(root: Path):
    trees.network(root, "host", addresses=["100.101.102.103"])
    (root / "proc/1/net/if_inet6").unlink()
    assert read(root).mesh_addresses == ("100.101.102.103",)


def test_text_of_the_kernel_is_made_fit_to_leave_the_node(root: Path):
    (root / "proc/sys/kernel/osrelease").write_bytes(b"6.8\x1b[31m" + b"x" * 500 + b"\xff\n")
    kernel = read(root).kernel
    assert kernel is not None
    assert kernel.startswith("6.8 [31mxxx")
    assert len(kernel) == 64


def test_a_root_without_a_proc_is_a_failure_with_the_path_in_it(tmp_path: Path):
    answer = HostSource(str(tmp_path / "nowhere")).collect(lambda _gpu, _call: None, {}, {})
    assert (answer["kind"], answer["reason"]) == ("failed", "HostProcUnreadable")
    assert "nowhere/proc/meminfo" in answer["message"]


def test_a_proc_that_hung_is_left_alone(root: Path):
    skip = {(None, READ_PROC): "no answer for 10 s"}
    answer = HostSource(str(root)).collect(lambda _gpu, _call: None, skip, {})
    assert (answer["reason"], answer["message"]) == ("Unresponsive", "no answer for 10 s")


def test_the_kubelets_disk_is_read_apart_and_left_out_apart(root: Path):
    host = read(root)
    assert host.kubelet_disk_total_bytes is not None
    assert host.kubelet_disk_used_bytes is not None
    assert host.kubelet_disk_available_bytes is not None
    host = read(root, skip={(None, "statvfs /var/lib/kubelet"): "hung"})
    assert host.kubelet_disk_total_bytes is None
    assert host.disk_total_bytes is not None
    (root / "var/lib/kubelet").rmdir()
    assert read(root).kubelet_disk_total_bytes is None


def test_a_file_system_that_hung_is_left_out_and_the_rest_is_read(root: Path):
    host = read(root, skip={(None, "statvfs /"): "hung"})
    assert host.disk_total_bytes is None
    assert host.memory_total_bytes == 16000 * 1024


def test_each_call_that_may_hang_is_announced_first(root: Path):
    calls: list[tuple[int | None, str]] = []
    HostSource(str(root)).collect(lambda gpu, call: calls.append((gpu, call)), {}, {})
    assert calls == [
        (None, "read /proc"),
        (None, "statvfs /"),
        (None, "statvfs /var/lib/kubelet"),
    ]


def test_numbers_without_a_unit_are_counts():
    assert parse_meminfo(MEMINFO)["HugePages_Total"] == 3
    assert parse_meminfo("broken\nAlso: broken kB\n") == {}


def test_no_interfaces_are_no_traffic():
    assert parse_net_dev(NET_DEV[: NET_DEV.index("    lo")]) == (0, 0)


def test_the_machine_that_runs_this_can_be_read():
    host = read(Path("/"))
    assert host.memory_total_bytes
    assert host.cpu_count
    assert host.kernel
    assert host.load_15m is not None
