"""Where the cgroups of this node's containers are, found again cheaply at each look."""

from __future__ import annotations

import os
from stat import S_ISDIR

from citadel_k8s.collectors.podpath import container_below, container_in, pod_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, TypeAlias

    Mark: TypeAlias = tuple[int, int]

PLACES: Final = (
    "kubepods.slice",
    "kubepods",
    "kubelet.slice/kubelet-kubepods.slice",
    "kubelet/kubepods",
    "system.slice/containerd.service",
)
"""Trees of pods by the drivers systemd and cgroupfs, on a node of its own and in one that is a
container (kind), and where a containerd that was not told of systemd puts its containers."""

SEARCH_DEPTH: Final = 6
"""Levels below the top that are searched where no usual place is; a node within a container of a
node has its pods at the fifth."""

SEARCH_MAX: Final = 1024
"""Directories looked into by one such search, so that it ends within some 30 ms."""

SEARCH_LOOKS: Final = 20
"""Looks from one fruitless search to the next: a kubelet may come later, but rarely does."""

DIRECTORIES_MAX: Final = 4096
"""Directories that one look takes in: 512 containers in as many pods, and as many that ended."""

_QOS: Final = ("burstable", "besteffort", "guaranteed", "kubepods")


class Found:
    """One container's cgroup: its path below the top, whose it is, and which it is of that name."""

    __slots__ = ("container_id", "depth", "inode", "path", "pod_uid")

    def __init__(self, pod_uid: str, container_id: str, path: str, inode: int) -> None:
        self.pod_uid = pod_uid
        self.container_id = container_id
        self.path = path
        self.inode = inode
        self.depth = path.count("/")


class PodTrees:
    """Finds the containers' cgroups.

    Listing a directory of some sixty files costs as much as reading three of them. The time of a
    change is no sign that a list is still right: for most cgroups the kernel does not keep it.
    The number of links is one, as it counts the subdirectories; where it is the same and each
    known one still exists, there is no other.

    Parameters
    ----------
    top : str
        Where the hierarchy is mounted.
    """

    def __init__(self, top: str) -> None:
        self._top = top
        self._lists: dict[str, tuple[Mark, list[str]]] = {}
        self._used: dict[str, tuple[Mark, list[str]]] = {}
        self._elsewhere: list[str] = []
        self._fruitless = 0
        self._left = 0

    def look(self) -> list[Found] | None:
        """Give the containers, nearest to the top first; None where no pods' tree is visible."""
        self._used = {}
        self._left = DIRECTORIES_MAX
        places = self._places()
        found: list[Found] = []
        for place, mark in places:
            self._walk(place, mark, found)
        self._lists = self._used
        found.sort(key=lambda container: container.depth)
        return found if places else None

    def _places(self) -> list[tuple[str, Mark]]:
        places = self._existing([*PLACES, *self._elsewhere])
        if places or self._fruitless % SEARCH_LOOKS:
            self._fruitless = 0 if places else self._fruitless + 1
            return places
        self._elsewhere = self._search()
        self._fruitless = 0 if self._elsewhere else self._fruitless + 1
        return self._existing(self._elsewhere)

    def _existing(self, places: list[str]) -> list[tuple[str, Mark]]:
        marked = [(place, self._mark(place)) for place in places]
        return [(place, mark) for place, mark in marked if mark is not None]

    def _search(self) -> list[str]:
        level, seen, found = [""], 0, list[str]()
        for _ in range(SEARCH_DEPTH):
            below: list[str] = []
            for path in level:
                seen += 1
                if seen > SEARCH_MAX:
                    return found
                for name in self._list(path):
                    child = f"{path}/{name}" if path else name
                    pods = name in {"kubepods", "kubepods.slice"} or name.endswith(
                        "-kubepods.slice"
                    )
                    (found if pods else below).append(child)
            level = below
        return found

    def _walk(self, path: str, mark: Mark, found: list[Found]) -> None:
        for child, name, child_mark in self._children(path, mark):
            pod = pod_in(name)
            if pod is None:
                if any(word in name for word in _QOS):
                    self._walk(child, child_mark, found)
            elif (own := container_below(name)) is not None:
                found.append(Found(pod, own, child, child_mark[0]))
            else:
                for inner, inner_name, (inode, _) in self._children(child, child_mark):
                    container = container_in(inner_name)
                    if container is not None:
                        found.append(Found(pod, container, inner, inode))

    def _children(self, path: str, mark: Mark) -> list[tuple[str, str, Mark]]:
        kept = self._lists.get(path)
        # Not all file systems count subdirectories as links.
        if kept is not None and kept[0] == mark and mark[1] > 1:
            children = self._marked(path, kept[1])
            if len(children) == len(kept[1]) or self._left <= 0:
                self._used[path] = kept
                return children
        names = self._list(path)
        self._used[path] = (mark, names)
        return self._marked(path, names)

    def _marked(self, path: str, names: list[str]) -> list[tuple[str, str, Mark]]:
        children: list[tuple[str, str, Mark]] = []
        for name in names:
            if self._left <= 0:
                break
            self._left -= 1
            child = f"{path}/{name}"
            mark = self._mark(child)
            if mark is not None:
                children.append((child, name, mark))
        return children

    def _mark(self, path: str) -> Mark | None:
        try:
            found = os.lstat(f"{self._top}/{path}")
        except OSError:
            return None
        return (found.st_ino, found.st_nlink) if S_ISDIR(found.st_mode) else None

    def _list(self, path: str) -> list[str]:
        try:
            with os.scandir(f"{self._top}/{path}") as entries:
                return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            return []  # it vanished, or nobody may look into it
