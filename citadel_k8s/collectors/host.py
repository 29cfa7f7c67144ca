"""The host's figures from ``/proc``, through a root that may be a bind mount or a test's tree."""

from __future__ import annotations

import os
import time

import psutil

from citadel_k8s.collectors.lines import failed, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final, TypeVar

    from citadel_k8s.collectors.lines import Announce, Answer, Skip

    T = TypeVar("T")

FIRST_SAMPLE: Final = 0.1
"""Seconds between the two samples of the very first CPU figure; later ones span the time since
the last collection. Source: the wire contract's own sample."""

VIRTUAL_INTERFACES: Final = (
    "br-", "cali", "cbr", "cilium", "cni", "docker", "dummy", "flannel", "ifb", "kube-", "lo",
    "lxc", "nodelocaldns", "tailscale", "tun", "vbr", "veth", "virbr", "vxlan", "wg",
)  # fmt: skip
"""Starts of the names of interfaces whose traffic goes through a real one too, or nowhere."""


class HostSource:
    """Reads the host's figures.

    Parameters
    ----------
    root : str
        Where the host's ``/`` is seen from here.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._proc = f"{root.rstrip('/')}/proc"
        self._last_cpu: tuple[float, float] | None = None
        psutil.PROCFS_PATH = self._proc

    def collect(self, announce: Announce, skip: Skip, args: dict[str, Any]) -> Answer:
        """Read all figures; one that cannot be read is None."""
        announce(None, "read /proc")
        try:
            memory = parse_meminfo(self._read("meminfo"))
        except OSError as error:
            return failed("HostProcUnreadable", f"{self._proc}/meminfo: {error.strerror}")
        cpu_ratio, cpu_count = self._cpu()
        received, sent = _known(self._network) or (None, None)
        # The root's file system may hang on its own, and the rest need not suffer.
        disk = {} if (None, "statvfs /") in skip else self._disk(announce)
        return reading(
            dict(
                cpu_ratio=cpu_ratio,
                cpu_count=cpu_count,
                load_1m=_known(lambda: float(self._read("loadavg").split()[0])),
                memory_used_bytes=_memory_used(memory),
                memory_total_bytes=memory.get("MemTotal"),
                swap_used_bytes=_difference(memory, "SwapTotal", "SwapFree"),
                swap_total_bytes=memory.get("SwapTotal"),
                **disk,
                network_rx_bytes=received,
                network_tx_bytes=sent,
                uptime_seconds=_known(lambda: float(self._read("uptime").split()[0])),
                boot_id=_known(lambda: self._read("sys/kernel/random/boot_id").strip()[:64]),
            )
        )

    def _read(self, path: str) -> str:
        name = f"{self._proc}/{path}"
        with open(name, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - pathlib is 1 MiB
            return file.read()

    def _cpu(self) -> tuple[float | None, int | None]:
        now = _known(_cpu_seconds)
        if now is None:
            return None, None
        before = self._last_cpu
        if before is None:
            before, _ = now
            time.sleep(FIRST_SAMPLE)
            now = _known(_cpu_seconds) or now
        self._last_cpu = now[0]
        busy, total = now[0][0] - before[0], now[0][1] - before[1]
        # Counters of a CPU that went offline leave the sum, which then runs backwards.
        ratio = min(1.0, max(0.0, busy / total)) if total > 0 else None
        return ratio, now[1]

    def _network(self) -> tuple[int, int]:
        # Process 1 of the host's /proc is in the host's network namespace; "self" is in the pod's.
        return parse_net_dev(self._read("1/net/dev"))

    def _disk(self, announce: Announce) -> dict[str, int]:
        announce(None, "statvfs /")
        try:
            fs = os.statvfs(self._root)
        except OSError:
            return {}
        return {
            "disk_used_bytes": (fs.f_blocks - fs.f_bfree) * fs.f_frsize,
            "disk_available_bytes": fs.f_bavail * fs.f_frsize,
            "disk_total_bytes": fs.f_blocks * fs.f_frsize,
        }


def parse_meminfo(text: str) -> dict[str, int]:
    """Give the bytes of each line of ``/proc/meminfo``."""
    sizes: dict[str, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal():
            sizes[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return sizes


def parse_net_dev(text: str) -> tuple[int, int]:
    """Give the bytes received and sent by the real interfaces of ``/proc/net/dev``."""
    received = sent = 0
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        if not name.strip().startswith(VIRTUAL_INTERFACES):
            columns = rest.split()
            received += int(columns[0])
            sent += int(columns[8])
    return received, sent


def _memory_used(memory: dict[str, int]) -> int | None:
    try:
        used = memory["MemTotal"] - memory["MemFree"] - memory["Buffers"] - memory["Cached"]
    except KeyError:
        return None
    return max(0, used - memory.get("SReclaimable", 0))


def _difference(sizes: dict[str, int], total: str, free: str) -> int | None:
    return sizes[total] - sizes[free] if total in sizes and free in sizes else None


def _cpu_seconds() -> tuple[tuple[float, float], int]:
    """Give busy and total seconds since boot, and the number of CPUs."""
    busy = total = 0.0
    cpus = psutil.cpu_times(percpu=True)
    for times in cpus:
        # The kernel counts a guest's time in user and nice as well.
        whole = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        total += whole
        busy += whole - times.idle - getattr(times, "iowait", 0.0)
    return (busy, total), len(cpus)


def _known(read: Callable[[], T]) -> T | None:
    """Give what is read, or None where the host does not have it or writes it otherwise."""
    try:
        return read()
    except (OSError, ValueError, IndexError, RuntimeError):
        return None
