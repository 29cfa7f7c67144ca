"""The files of one container's cgroup, version 1 or 2."""

from __future__ import annotations

import os

from citadel_k8s.collectors.procfs import OpenFiles, known, read_bytes, read_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, TypeAlias

    Usage: TypeAlias = tuple[float | None, int | None, int | None]
    Limits: TypeAlias = tuple[int | None, float | None]

NO_LIMIT: Final = 1 << 60
"""Version 1 writes some number beyond all memory, in bytes, where no limit is set."""

FILE_MAX: Final = 1 << 16
"""Most that is read of one file of a cgroup, in bytes; ``memory.stat`` has some 2000."""

FILES_KEPT: Final = 256
"""Files kept open: four of each of 64 containers, a quarter of the least usual limit."""


class Unified:
    """Reads the files of version 2, where all controllers are in one hierarchy."""

    def __init__(self, top: str) -> None:
        self.walked = top
        self.files = OpenFiles(FILES_KEPT)

    def usage(self, path: str) -> Usage:
        """Give seconds of CPU, working set and processes killed for want of memory."""
        folder = f"{self.walked}/{path}"
        microseconds = known(find_number, self.files, f"{folder}/cpu.stat", b"usage_usec")
        return (
            None if microseconds is None else microseconds / 1e6,
            working_set(
                self.files, f"{folder}/memory.current", f"{folder}/memory.stat", b"inactive_file"
            ),
            known(find_number, self.files, f"{folder}/memory.events", b"oom_kill"),
        )

    def limits(self, path: str) -> Limits:
        """Give the limits of memory, in bytes, and CPU, in cores."""
        folder = f"{self.walked}/{path}"
        return read_limit(f"{folder}/memory.max"), known(self._cpu_limit, f"{folder}/cpu.max")

    def processes(self, path: str) -> bytes:
        """Give the numbers of the first processes; raises OSError."""
        return read_bytes(f"{self.walked}/{path}/cgroup.procs", 64)

    def forget(self, path: str) -> None:
        """Close the files of a cgroup, whose path another has now."""
        self.files.forget(f"{self.walked}/{path}")

    def _cpu_limit(self, path: str) -> float | None:
        quota, period = read_bytes(path, 64).split()
        return None if quota == b"max" else _cores(int(quota), int(period))


class Legacy:
    """Reads the files of version 1, where each controller has a hierarchy of its own.

    Parameters
    ----------
    hierarchies : dict
        Where each controller is mounted.
    """

    def __init__(self, hierarchies: dict[str, str]) -> None:
        nowhere = ""
        self._cpuacct = hierarchies.get("cpuacct", nowhere)
        self._cpu = hierarchies.get("cpu", nowhere)
        self._memory = hierarchies.get("memory", nowhere)
        self.walked = self._cpuacct or self._memory
        self.files = OpenFiles(FILES_KEPT)

    def usage(self, path: str) -> Usage:
        """Give seconds of CPU, working set and processes killed for want of memory."""
        memory = f"{self._memory}/{path}"
        nanoseconds = read_number(f"{self._cpuacct}/{path}/cpuacct.usage", self.files.read)
        return (
            None if nanoseconds is None else nanoseconds / 1e9,
            working_set(
                self.files,
                f"{memory}/memory.usage_in_bytes",
                f"{memory}/memory.stat",
                b"total_inactive_file",
            ),
            known(find_number, self.files, f"{memory}/memory.oom_control", b"oom_kill"),
        )

    def limits(self, path: str) -> Limits:
        """Give the limits of memory, in bytes, and CPU, in cores."""
        # A quota of -1, which is none, is no number here.
        quota = read_number(f"{self._cpu}/{path}/cpu.cfs_quota_us")
        period = read_number(f"{self._cpu}/{path}/cpu.cfs_period_us")
        cpu = None if quota is None or period is None else _cores(quota, period)
        return read_limit(f"{self._memory}/{path}/memory.limit_in_bytes"), cpu

    def processes(self, path: str) -> bytes:
        """Give the numbers of the first processes; raises OSError."""
        return read_bytes(f"{self.walked}/{path}/cgroup.procs", 64)

    def forget(self, path: str) -> None:
        """Close the files of a cgroup, whose path another has now."""
        for hierarchy in (self._cpuacct, self._memory):
            self.files.forget(f"{hierarchy}/{path}")


def mounted_version(top: str) -> Unified | Legacy:
    """Say which version the host uses, and where; raises OSError if that cannot be seen."""
    names = os.listdir(top)  # noqa: PTH208 - pathlib is 1 MiB
    hierarchies = {
        controller: f"{top}/{name}"
        for name in sorted(names)
        for controller in name.split(",")
        if controller in {"cpu", "cpuacct", "memory"}
    }
    if "cgroup.controllers" in names or not hierarchies:
        return Unified(top)
    return Legacy(hierarchies)


def working_set(files: OpenFiles, usage_path: str, stat_path: str, inactive: bytes) -> int | None:
    """Give the memory in use less the inactive file cache; None if either is not known."""
    usage = read_number(usage_path, files.read)
    if usage is None:
        return None
    cache = known(find_number, files, stat_path, inactive)
    return None if cache is None else max(0, usage - cache)


def find_number(files: OpenFiles, path: str, name: bytes) -> int:
    """Give the number behind a name in a file of such lines.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read or the line is not in it as a whole.
    """
    data = b"\n" + files.read(path, FILE_MAX)
    start = data.index(b"\n" + name + b" ") + len(name) + 2
    return int(data[start : data.index(b"\n", start)])


def read_limit(path: str) -> int | None:
    """Give a limit in bytes; None if it is not set or cannot be read."""
    limit = read_number(path)  # "max" is no number
    return None if limit is None or limit >= NO_LIMIT else limit


def _cores(quota: int, period: int) -> float | None:
    return quota / period if quota > 0 and period > 0 else None
