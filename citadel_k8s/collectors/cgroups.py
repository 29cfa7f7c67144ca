"""What the containers of this node's pods use, from their cgroups, version 1 or 2.

A working set is what the kubelet calls so: all memory in use, less the file cache that can be
dropped at once.
"""

from __future__ import annotations

import time

from citadel_k8s.collectors.cgroupfiles import FILE_MAX, mounted_version
from citadel_k8s.collectors.lines import absent, failed, reading
from citadel_k8s.collectors.podtrees import SEARCH_LOOKS, PodTrees
from citadel_k8s.collectors.procfs import (
    known,
    parse_stat,
    read_text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from citadel_k8s.collectors.cgroupfiles import Legacy, Limits, Unified
    from citadel_k8s.collectors.lines import Announce, Answer, Skip
    from citadel_k8s.collectors.podtrees import Found


CONTAINERS_MAX: Final = 513
"""Containers in one answer: one more than a status takes, so that it says that some are missing.
The count of the others is in ``left_out``."""

LIMIT_LOOKS: Final = 4
"""Looks from one reading of a container's limits to the next: they seldom change, and are a third
of the cost. Two minutes at the usual pace."""

SHORTEST_SPAN: Final = 0.25
"""Least time for a rate, in seconds: the kernel accounts in steps of up to 10 ms, so that a rate
over less is off by more than 4 %."""

READ_CGROUPS: Final = "read /sys/fs/cgroup"
"""The call that stands for all cgroups, in announcements and pairs to skip."""

SANDBOX: Final = "pause"
"""Name of the process that keeps a pod's namespaces, alone in a container that nobody asked for."""

SANDBOX_LOOKS: Final = 3
"""Looks after which a container without a process to be told by is taken for a usual one."""


class ContainerSource:
    """Reads what each container uses.

    Parameters
    ----------
    root : str
        Where the host's ``/`` is seen from here.
    now : callable
        Gives seconds since some moment; never goes back.
    """

    def __init__(self, root: str, now: Callable[[], float] = time.perf_counter) -> None:
        self._top = f"{root.rstrip('/')}/sys/fs/cgroup"
        self._proc = f"{root.rstrip('/')}/proc"
        self._now = now
        self._version: Unified | Legacy | None = None
        self._trees: PodTrees | None = None
        self._looks: dict[str, _Look] = {}
        self._fruitless = 0

    def collect(self, announce: Announce, skip: Skip, args: dict[str, Any]) -> Answer:  # noqa: ARG002 - for other sources
        """Read all containers; one that vanishes meanwhile is left out."""
        if (why := skip.get((None, READ_CGROUPS))) is not None:
            return failed("Unresponsive", why)
        announce(None, READ_CGROUPS)
        try:
            version, trees = self._mounted()
        except FileNotFoundError:
            return absent("NoCgroups", f"there is no {self._top}")
        except OSError as error:
            return failed("CgroupsUnreadable", f"{self._top}: {error.strerror}")
        found = trees.look()
        if found is None:
            self._looks = {}
            version.files.close()
            self._fruitless += 1
            if self._fruitless % SEARCH_LOOKS == 0:
                self._version = None  # the host may get its mounts later
            return absent("NoCgroups", f"no cgroups of pods are visible below {self._top}")
        looks: dict[str, _Look] = {}
        containers: list[dict[str, Any]] = []
        for container in found:
            if len(containers) >= CONTAINERS_MAX:
                break
            look = looks[container.path] = self._look(version, container)
            if self._is_sandbox(look, version, container.path):
                continue
            if (usage := self._read(look, version, container)) is not None:
                containers.append(usage)
        self._looks = looks
        version.files.sweep()
        return reading({"containers": containers, "left_out": len(found) - len(looks)})

    def _mounted(self) -> tuple[Unified | Legacy, PodTrees]:
        if self._version is None or self._trees is None:
            self._version = mounted_version(self._top)
            self._trees = PodTrees(self._version.walked)
        return self._version, self._trees

    def _look(self, version: Unified | Legacy, container: Found) -> _Look:
        look = self._looks.get(container.path)
        if look is not None and look.inode == container.inode:
            return look
        if look is not None:
            version.forget(container.path)
        return _Look(container.inode)

    def _read(
        self, look: _Look, version: Unified | Legacy, container: Found
    ) -> dict[str, Any] | None:
        if look.count % LIMIT_LOOKS == 0:
            look.limits = version.limits(container.path)
        look.count += 1
        seconds, working_set, oom_kills = version.usage(container.path)
        if seconds is None and working_set is None:
            return None
        look.take(seconds, self._now())
        memory_limit, cpu_limit = look.limits
        return {
            "pod_uid": container.pod_uid,
            "container_id": container.container_id,
            "cpu_seconds": seconds,
            "cpu_cores": look.cores,
            "cpu_limit_cores": cpu_limit,
            "working_set_bytes": working_set,
            "memory_limit_bytes": memory_limit,
            "oom_kills": oom_kills,
        }

    def _is_sandbox(self, look: _Look, version: Unified | Legacy, path: str) -> bool:
        # Its cgroup is named as any other. Without the host's process numbers (they are 0 then)
        # nobody can tell, and it is reported.
        if look.sandbox is None and look.count < SANDBOX_LOOKS:
            pids = (known(version.processes, path) or b"").split(maxsplit=2)
            if len(pids) > 1:
                look.sandbox = False
            elif pids and pids[0].isdigit() and pids[0] != b"0":
                stat = known(read_text, f"{self._proc}/{int(pids[0])}/stat", FILE_MAX)
                name = known(parse_stat, stat or "")
                # The runtime's own process goes before the container's first.
                if name is not None and not name[0].startswith(("runc", "crun")):
                    look.sandbox = name[0] == SANDBOX
        return look.sandbox is True


class _Look:
    """What is remembered of one cgroup from look to look."""

    __slots__ = ("cores", "count", "inode", "limits", "sandbox", "seconds", "when")

    def __init__(self, inode: int) -> None:
        self.inode = inode
        self.count = 0
        self.seconds: float | None = None
        self.when = 0.0
        self.cores: float | None = None
        self.limits: Limits = (None, None)
        self.sandbox: bool | None = None

    def take(self, seconds: float | None, when: float) -> None:
        """Make a rate of the CPU time since the last look."""
        before, span = self.seconds, when - self.when
        if seconds is not None and before is not None and 0 <= span < SHORTEST_SPAN:
            return
        self.cores = None
        if seconds is not None and before is not None and span > 0 and seconds >= before:
            self.cores = (seconds - before) / span
        self.seconds, self.when = seconds, when
