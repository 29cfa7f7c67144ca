"""The host's figures from ``/proc``, through a root that may be a bind mount or a test's tree."""

from __future__ import annotations

import os
import time

import psutil

from citadel_k8s.collectors.lines import clean, failed, reading
from citadel_k8s.collectors.nettables import parse_if_inet6, parse_local_ipv4
from citadel_k8s.collectors.procfs import known, read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from citadel_k8s.collectors.lines import Announce, Answer, Skip

FIRST_SAMPLE: Final = 0.1
"""Seconds between the two samples of the very first CPU figure; later ones span the time since
the last collection. Source: the wire contract's own sample."""

KUBELET_FOLDER: Final = "var/lib/kubelet"
"""Below the host's root; where most kubelets keep their volumes and, mostly, their images."""

DIGITS_MAX: Final = 18
"""Longest number of an amount of memory, in digits: what has more is no such number."""

READ_PROC: Final = "read /proc"
"""The call that stands for all of the host's files, in announcements and pairs to skip."""

VIRTUAL_INTERFACES: Final = (
    "br-", "cali", "cbr", "cilium", "cni", "docker", "dummy", "flannel", "ifb", "kube-", "lo",
    "lxc", "nodelocaldns", "tailscale", "tun", "vbr", "veth", "virbr", "vxlan", "wg",
)  # fmt: skip
"""Starts of the names of interfaces whose traffic goes through a real one too, or nowhere."""

_MESH_IPV6: Final = "fd7a:115c:a1e0:"
_MESH_IPV4: Final = ("100.", 64, 128)


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

    def collect(self, announce: Announce, skip: Skip, args: dict[str, Any]) -> Answer:  # noqa: ARG002 - for other sources
        """Read all figures; one that cannot be read is None."""
        if (why := skip.get((None, READ_PROC))) is not None:
            return failed("Unresponsive", why)
        announce(None, READ_PROC)
        try:
            memory = parse_meminfo(self._read("meminfo"))
        except OSError as error:
            return failed("HostProcUnreadable", f"{self._proc}/meminfo: {error.strerror}")
        cpu_ratio, cpu_count = self._cpu()
        received, sent = known(self._network) or (None, None)
        load = known(self._load) or (None, None, None)
        values: dict[str, Any] = {
            "cpu_ratio": cpu_ratio,
            "cpu_count": cpu_count,
            "load_1m": load[0],
            "load_5m": load[1],
            "load_15m": load[2],
            "memory_used_bytes": _memory_used(memory),
            "memory_total_bytes": memory.get("MemTotal"),
            "swap_used_bytes": _difference(memory, "SwapTotal", "SwapFree"),
            "swap_total_bytes": memory.get("SwapTotal"),
            "network_rx_bytes": received,
            "network_tx_bytes": sent,
            "cpu_pressure_ratio": known(self._pressure, "cpu"),
            "memory_pressure_ratio": known(self._pressure, "memory"),
            "io_pressure_ratio": known(self._pressure, "io"),
            "uptime_seconds": known(self._uptime),
            "boot_id": known(self._text, "sys/kernel/random/boot_id"),
            "kernel": known(self._text, "sys/kernel/osrelease"),
            "mesh_addresses": self._mesh_addresses(),
        }
        # A file system may hang on its own, and the rest need not suffer.
        values |= self._disk(announce, skip, "", "disk")
        values |= self._disk(announce, skip, KUBELET_FOLDER, "kubelet_disk")
        return reading(values)

    def _read(self, path: str) -> str:
        return read_text(f"{self._proc}/{path}")

    def _text(self, path: str) -> str | None:
        return clean(self._read(path), 64) or None

    def _cpu(self) -> tuple[float | None, int | None]:
        now = known(cpu_seconds)
        if now is None:
            return None, None
        before = self._last_cpu
        if before is None:
            before, _ = now
            time.sleep(FIRST_SAMPLE)
            now = known(cpu_seconds) or now
        self._last_cpu = now[0]
        busy, total = now[0][0] - before[0], now[0][1] - before[1]
        # Some kernels let counters of a CPU that goes offline run backwards.
        ratio = min(1.0, max(0.0, busy / total)) if total > 0 else None
        return ratio, now[1]

    def _network(self) -> tuple[int, int]:
        # Process 1 of the host's /proc is in the host's network namespace; "self" is in the pod's.
        return parse_net_dev(self._read("1/net/dev"))

    def _load(self) -> tuple[float, float, float]:
        one, five, fifteen = self._read("loadavg").split()[:3]
        return _amount(one), _amount(five), _amount(fifteen)

    def _uptime(self) -> float:
        return _amount(self._read("uptime").split()[0])

    def _pressure(self, resource: str) -> float:
        return parse_pressure(self._read(f"pressure/{resource}"))

    def _mesh_addresses(self) -> list[str] | None:
        ipv4 = known(lambda: parse_local_ipv4(self._read("1/net/fib_trie")))
        # A host without IPv6 has no such file.
        ipv6 = known(lambda: parse_if_inet6(self._read("1/net/if_inet6")))
        mesh = [address for address in (ipv4 or []) + (ipv6 or []) if is_mesh(address)]
        return None if ipv4 is None and not mesh else mesh

    def _disk(self, announce: Announce, skip: Skip, folder: str, name: str) -> dict[str, int]:
        call = f"statvfs /{folder}"
        if (None, call) in skip:
            return {}
        announce(None, call)
        try:
            fs = os.statvfs(f"{self._root.rstrip('/')}/{folder}")
        except OSError:
            return {}
        return {
            f"{name}_used_bytes": (fs.f_blocks - fs.f_bfree) * fs.f_frsize,
            f"{name}_available_bytes": fs.f_bavail * fs.f_frsize,
            f"{name}_total_bytes": fs.f_blocks * fs.f_frsize,
        }


def parse_meminfo(text: str) -> dict[str, int]:
    """Give the bytes of each whole line of ``/proc/meminfo``; of half a number nobody is served."""
    sizes: dict[str, int] = {}
    for line in text[: text.rfind("\n") + 1].splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal() and len(words[0]) <= DIGITS_MAX:
            sizes[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return sizes


def parse_net_dev(text: str) -> tuple[int, int]:
    """Give the bytes received and sent by the real interfaces of ``/proc/net/dev``.

    Raises
    ------
    ValueError, IndexError
        If it is cut short: a sum of some would look like counters that began anew.
    """
    lines = text.split("\n")
    if "|" not in lines[1] or lines.pop():
        raise ValueError("no table of interfaces, or not all of it")
    received = sent = 0
    for line in lines[2:]:
        name, _, rest = line.partition(":")
        if not name.strip().startswith(VIRTUAL_INTERFACES):
            columns = rest.split()
            received += int(columns[0])
            sent += int(columns[8])
    return received, sent


def cpu_seconds() -> tuple[tuple[float, float], int]:
    """Give busy and total seconds of all CPUs since the boot, and the number of CPUs.

    Raises
    ------
    ValueError
        If that is not what the host's file holds.
    """
    busy = total = 0.0
    try:
        cpus = psutil.cpu_times(percpu=True)
    except (RuntimeError, TypeError) as error:
        raise ValueError(str(error)) from error
    for times in cpus:
        # The kernel counts a guest's time in user and nice as well.
        whole = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        total += whole
        busy += whole - times.idle - getattr(times, "iowait", 0.0)
    if not cpus:
        raise ValueError("no CPU is listed")
    return (busy, total), len(cpus)


def parse_pressure(text: str) -> float:
    """Give the share of the last ten seconds of the first line of a file of ``/proc/pressure``.

    Raises
    ------
    ValueError, IndexError
        If it is not written as it should be.
    """
    some, average = text.split(None, 2)[:2]
    name, _, percent = average.partition("=")
    if (some, name) != ("some", "avg10"):
        raise ValueError("no pressure")
    ratio = float(percent) / 100
    if not 0 <= ratio <= 1:
        raise ValueError("no share")
    return ratio


def is_mesh(address: str) -> bool:
    """Say whether an address is one of those that Tailscale and Headscale give to nodes."""
    start, low, high = _MESH_IPV4
    if address.startswith(start):
        return low <= int(address.split(".")[1]) < high
    return address.startswith(_MESH_IPV6)


def _amount(text: str) -> float:
    amount = float(text)
    if not 0 <= amount < float("inf"):
        raise ValueError("no amount")
    return amount


def _memory_used(memory: dict[str, int]) -> int | None:
    try:
        used = memory["MemTotal"] - memory["MemFree"] - memory["Buffers"] - memory["Cached"]
    except KeyError:
        return None
    return max(0, used - memory.get("SReclaimable", 0))


def _difference(sizes: dict[str, int], total: str, free: str) -> int | None:
    return sizes[total] - sizes[free] if total in sizes and free in sizes else None
