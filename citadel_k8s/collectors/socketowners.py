"""Which of some known processes a listening socket belongs to.

The link of an open file tells, where this agent may read it, which takes the right to trace the
process. Elsewhere what the process was told on its command line is the next best sign.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, TypeAlias

    from citadel_k8s.collectors.processes import Seen

    Kept: TypeAlias = tuple[list[tuple[int, int]], int | None, bool]

DESCRIPTORS_MAX: Final = 4096
"""Open files of one process that are searched for a socket; reading each takes a microsecond."""

_SHELLS: Final = frozenset({"sh", "bash", "dash", "ash", "tini", "dumb-init", "conda", "uv"})


class Group:
    """Processes that share one pod's, or the host's, network."""

    __slots__ = ("chains", "pod_uid")

    def __init__(self, pod_uid: str | None) -> None:
        self.pod_uid = pod_uid
        self.chains: list[list[Seen]] = []

    def members(self) -> list[Seen]:
        """Give all processes once, the first of each chain of parents before its children."""
        return list({seen.pid: seen for chain in self.chains for seen in reversed(chain)}.values())

    def ports(self) -> frozenset[int]:
        """Give the ports that any of them was told to listen on."""
        return frozenset[int]().union(*(seen.ports for seen in self.members()))

    def marks(self) -> list[tuple[int, int]]:
        """Give what tells the processes apart from any others."""
        return [(seen.pid, seen.started) for seen in self.members()]


class OwnerSearch:
    """Finds which of some known processes a socket belongs to.

    Parameters
    ----------
    proc : str
        The host's ``/proc``.
    """

    def __init__(self, proc: str) -> None:
        self._proc = proc
        self._kept: dict[tuple[str | None, int], Kept] = {}
        self._used: dict[tuple[str | None, int], Kept] = {}

    def end(self) -> None:
        """Forget the sockets that this collection did not ask for."""
        self._kept, self._used = self._used, {}

    def of(self, group: Group, members: list[Seen], port: int, inode: int) -> Seen | None:
        """Give the process; None if it is none of the group's, or nobody can tell."""
        key = (group.pod_uid, inode)
        marks = group.marks()
        kept = self._kept.get(key)
        if kept is None or kept[0] != marks:
            kept = (marks, *self._by_descriptor(members, inode))
        self._used[key] = kept
        _, pid, sure = kept
        if pid is not None:
            return next(seen for seen in members if seen.pid == pid)
        if sure:
            return None
        told = [seen for seen in members if port in seen.ports]
        served = [seen for seen in told if seen.name not in _SHELLS]
        return next(iter(served or told), None) or _first_of_container(group, members)

    def _by_descriptor(self, members: list[Seen], inode: int) -> tuple[int | None, bool]:
        # A child may have inherited the socket, so the first parent that has it is asked first.
        sure, link = True, f"socket:[{inode}]"
        for seen in members:
            folder = f"{self._proc}/{seen.pid}/fd"
            try:
                names = os.listdir(folder)  # noqa: PTH208 - pathlib is 1 MiB
            except OSError:
                sure = False
                continue
            if any(_links_to(f"{folder}/{name}", link) for name in names[:DESCRIPTORS_MAX]):
                return seen.pid, True
        return None, sure


def _first_of_container(group: Group, members: list[Seen]) -> Seen | None:
    if group.pod_uid is None or len({seen.container_id for seen in members}) != 1:
        return None
    return members[0]


def _links_to(path: str, target: str) -> bool:
    try:
        return os.readlink(path) == target  # noqa: PTH115 - pathlib is 1 MiB
    except OSError:
        return False
