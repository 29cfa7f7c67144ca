"""The processes on GPUs, where they belong, and what they and the known engines listen on.

Never all processes of the host: only those asked for and their ancestors. A number may have
passed to another process between the driver's answer and this one; nobody can tell then, since
the driver names no start time. What is told here is of one process, and its start tells it apart
from then on.
"""

from __future__ import annotations

from citadel_k8s.collectors.commandline import command_of, is_inner_runner, ports_in, words_of
from citadel_k8s.collectors.lines import clean, failed, reading
from citadel_k8s.collectors.listeners import ListenerSearch
from citadel_k8s.collectors.podpath import parse_cgroup
from citadel_k8s.collectors.procfs import known, parse_stat, read_bytes, read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from citadel_k8s.collectors.lines import Announce, Answer, Skip

PIDS_MAX: Final = 512
"""Processes looked at: 16 GPUs with 32 each."""

ANCESTORS_MAX: Final = 8
"""Ancestors followed: a server's worker, its server, a launcher or two, a shell, the shim."""

REREAD_LOOKS: Final = 20
"""Looks from one reading of a command line to the next: a program may give itself another title,
as vLLM's workers do, or become another by exec. Ten minutes at the usual pace."""

EARLY_LOOKS: Final = 2
"""First looks that each read it: most of this happens in a process' first minute."""

SMALL_FILE: Final = 4096
"""Most that is read of a process' small files, in bytes; a command line may be 128 KiB."""

CGROUP_FILE: Final = 1 << 14
"""Most that is read of a list of cgroups, in bytes: a dozen of version 1, nested some levels."""

READ_PROCESSES: Final = "read /proc/PID"
"""The call that stands for all processes' files that do not wait for the process."""


class ProcessSource:
    """Reads processes and listeners.

    Parameters
    ----------
    root : str
        Where the host's ``/`` is seen from here.
    """

    def __init__(self, root: str) -> None:
        self._proc = f"{root.rstrip('/')}/proc"
        self._table = ProcessTable(self._proc)
        self._listeners = ListenerSearch(self._proc)

    def collect(self, announce: Announce, skip: Skip, args: dict[str, Any]) -> Answer:
        """Read the processes ``pids`` and the listeners; known engines listen on ``ports``."""
        if (why := skip.get((None, READ_PROCESSES))) is not None:
            return failed("Unresponsive", why)
        announce(None, READ_PROCESSES)
        if known(read_text, f"{self._proc}/1/stat", SMALL_FILE) is None:
            return failed("HostProcUnreadable", f"{self._proc}/1/stat cannot be read")
        pids = list(dict.fromkeys(args.get("pids") or ()))[:PIDS_MAX]
        self._table.begin(announce, skip)
        asked = [seen for pid in pids if (seen := self._table.look(pid)) is not None]
        chains = [(seen, self._table.ancestors(seen)) for seen in asked]
        listeners = self._listeners.find(chains, frozenset(args.get("ports") or ()))
        self._table.end()
        processes = [_as_dict(seen, chain) for seen, chain in chains]
        return reading({"processes": processes, "listeners": listeners})


class Seen:
    """A process as last seen."""

    __slots__ = (
        "comm", "command", "container_id", "inner", "known", "looks", "name", "network", "parent",
        "pid", "pod_uid", "ports", "started",
    )  # fmt: skip

    def __init__(self, pid: int, started: int) -> None:
        self.pid = pid
        self.started = started
        self.parent = 0
        self.comm = ""
        self.name: str | None = None
        self.network: int | None = None
        self.command: str | None = None
        self.ports: frozenset[int] = frozenset()
        self.inner = False
        self.pod_uid: str | None = None
        self.container_id: str | None = None
        self.known = False
        self.looks = 0


class ProcessTable:
    """What is known of processes, kept by number and start as long as they are asked for.

    Parameters
    ----------
    proc : str
        The host's ``/proc``.
    """

    def __init__(self, proc: str) -> None:
        self._proc = proc
        self._kept: dict[int, Seen] = {}
        self._now: dict[int, Seen | None] = {}
        self._announce: Announce = _say_nothing
        self._skip: Skip = {}

    def begin(self, announce: Announce, skip: Skip) -> None:
        """Begin a collection, in which each process is read once."""
        self._announce, self._skip = announce, skip
        self._now = {}

    def end(self) -> None:
        """Forget what this collection did not ask for."""
        self._kept = {pid: seen for pid, seen in self._now.items() if seen is not None}

    def look(self, pid: int) -> Seen | None:
        """Give a process; None if it is gone."""
        if pid not in self._now:
            try:
                self._now[pid] = self._read(pid)
            except (FileNotFoundError, ProcessLookupError):
                self._now[pid] = None
        return self._now[pid]

    def ancestors(self, seen: Seen) -> list[Seen]:
        """Give parent, grandparent and so on; the host's first process tells nothing."""
        chain: list[Seen] = []
        child = seen
        while len(chain) < ANCESTORS_MAX and child.parent > 1:
            parent = self.look(child.parent)
            # A parent that started later has taken the number of the one that has just ended.
            if parent is None or parent.started > child.started or parent in [seen, *chain]:
                break
            chain.append(parent)
            child = parent
        return chain

    def _read(self, pid: int) -> Seen | None:
        stat = self._stat(pid)
        if stat is None:
            return Seen(pid, 0)
        comm, parent, started, exiting = stat
        seen = self._kept.get(pid)
        if seen is None or seen.started != started:
            seen = Seen(pid, started)
        seen.parent = parent
        if seen.comm != comm:
            seen.comm, seen.name = comm, clean(comm, 64) or None
        if exiting:
            # It may take a driver minutes to take its memory back.
            if not seen.known:
                self._read_cgroup(seen)
                # In version 1 whatever ends is said to be in the root, which is no pod's.
                seen.known = seen.pod_uid is not None
        elif not seen.known or seen.looks < EARLY_LOOKS or seen.looks % REREAD_LOOKS == 0:
            seen.network = None
            self._read_cgroup(seen)
            self._read_command(seen)
            again = self._stat(pid)
            if again is not None and again[2] != started:
                return None  # those files were another's already
        seen.looks += 1
        return seen

    def _stat(self, pid: int) -> tuple[str, int, int, bool] | None:
        try:
            return parse_stat(read_text(f"{self._proc}/{pid}/stat", SMALL_FILE))
        except (FileNotFoundError, ProcessLookupError):
            raise
        except (OSError, ValueError, IndexError):
            return None

    def _read_cgroup(self, seen: Seen) -> None:
        found = known(_cgroup, f"{self._proc}/{seen.pid}/cgroup")
        seen.pod_uid, seen.container_id, seen.known = found or (None, None, False)

    def _read_command(self, seen: Seen) -> None:
        # It lies in the process' own memory: reading it waits for one that is stuck in a driver.
        call = f"read /proc/{seen.pid}/cmdline"
        if (None, call) in self._skip:
            return
        self._announce(None, call)
        data = known(read_bytes, f"{self._proc}/{seen.pid}/cmdline", SMALL_FILE)
        self._announce(None, READ_PROCESSES)
        words = words_of(data or b"")
        seen.command, seen.ports = command_of(words), ports_in(words)
        seen.inner = is_inner_runner(words)


def _cgroup(path: str) -> tuple[str | None, str | None, bool]:
    return parse_cgroup(read_text(path, CGROUP_FILE))


def _say_nothing(gpu: int | None, call: str) -> None:
    pass


def _as_dict(seen: Seen, chain: list[Seen]) -> dict[str, Any]:
    return {
        "pid": seen.pid,
        "started": seen.started,
        "name": seen.name,
        "command": seen.command,
        "ancestors": [ancestor.pid for ancestor in chain],
        "pod_uid": seen.pod_uid,
        "container_id": seen.container_id,
        "known": seen.known,
    }
