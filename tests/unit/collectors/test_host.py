from pathlib import Path

import psutil
import pytest

from citadel_k8s.collectors.base import host_from
from citadel_k8s.collectors.host import HostSource, parse_meminfo, parse_net_dev

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
    }.items():
        path = proc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    before = psutil.PROCFS_PATH
    yield tmp_path
    psutil.PROCFS_PATH = before


def read(root: Path, source: HostSource | None = None, skip=None):
    source = source or HostSource(str(root))
    answer = source.collect(lambda _gpu, _call: None, skip or {})
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
    assert host.load_1m == 1.5
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


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("loadavg", "load_1m"),
        ("uptime", "uptime_seconds"),
        ("1/net/dev", "network_rx_bytes"),
        ("sys/kernel/random/boot_id", "boot_id"),
        ("stat", "cpu_ratio"),
    ],
)
@pytest.mark.parametrize("content", [None, "", "garbage\n", "\x00\xff"])
def test_a_file_that_is_missing_or_garbled_makes_its_figure_unknown_and_no_other(
    root: Path, path: str, field: str, content: str | None
):
    file = root / "proc" / path
    file.unlink() if content is None else file.write_text(content)
    host = read(root)
    if content is None or field in {"load_1m", "uptime_seconds", "cpu_ratio"}:
        assert getattr(host, field) is None
    assert host.memory_total_bytes == 16000 * 1024


def test_a_root_without_a_proc_is_a_failure_with_the_path_in_it(tmp_path: Path):
    before = psutil.PROCFS_PATH
    answer = HostSource(str(tmp_path / "nowhere")).collect(lambda _gpu, _call: None, {})
    psutil.PROCFS_PATH = before
    assert (answer["kind"], answer["reason"]) == ("failed", "HostProcUnreadable")
    assert "nowhere/proc/meminfo" in answer["message"]


def test_a_file_system_that_hung_is_left_out_and_the_rest_is_read(root: Path):
    host = read(root, skip={(None, "statvfs /"): "hung"})
    assert host.disk_total_bytes is None
    assert host.memory_total_bytes == 16000 * 1024


def test_each_call_that_may_hang_is_announced_first(root: Path):
    calls: list[tuple[int | None, str]] = []
    HostSource(str(root)).collect(lambda gpu, call: calls.append((gpu, call)), {})
    assert calls == [(None, "read /proc"), (None, "statvfs /")]


def test_numbers_without_a_unit_are_counts():
    assert parse_meminfo(MEMINFO)["HugePages_Total"] == 3
    assert parse_meminfo("broken\nAlso: broken kB\n") == {}


def test_no_interfaces_are_no_traffic():
    assert parse_net_dev("a\nb\n") == (0, 0)
