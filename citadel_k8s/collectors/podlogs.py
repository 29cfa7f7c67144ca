"""Names of pods from the kubelet's folders of logs: no right to any API is needed, only a mount.

``/var/log/pods`` has a folder ``<namespace>_<name>_<uid>`` for each pod, and
``/var/log/containers`` a link ``<name>_<namespace>_<container>-<id>.log`` for each container.
Only names are read, never a log.

A folder on a dead disk can hold its reader for ever. So the look is taken in a thread, but in a
daemon of its own: the executor's threads are waited for when a process ends, and one that hangs
keeps the process from ending. A child process would do as well and cost ten megabytes.
"""

import asyncio
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from citadel_k8s.models.readings import Absent, Failed, Outcome, Pod, Reading

PODS_FOLDER: Final = Path("var/log/pods")
"""Where the kubelet keeps logs by pod, below the host's root."""

CONTAINERS_FOLDER: Final = Path("var/log/containers")
"""Where the kubelet links logs by container, below the host's root."""

ENTRIES_MAX: Final = 4_000
"""Names read of a folder. A node has 250 pods at most by default limits of large clusters, and each
container a link of its own and of the one before it: two of each of eight in a pod."""

LOOK_EVERY: Final = 10.0
"""Seconds between two looks, however often the pods are asked for."""

LOOK_DEADLINE: Final = 1.0
"""Seconds that one look is waited for; a local folder of this size takes milliseconds."""

_POD: Final = re.compile(r"([a-z0-9-]{1,63})_([a-z0-9.-]{1,253})_([0-9a-zA-Z-]{1,64})")
_CONTAINER: Final = re.compile(
    r"([a-z0-9.-]{1,253})_([a-z0-9-]{1,63})_([a-z0-9-]{1,63})-([0-9a-f]{64})\.log"
)

_Stamp: TypeAlias = tuple[int | None, int | None]
_Look: TypeAlias = tuple[_Stamp, tuple[Pod, ...]]


def stamp(root: Path) -> _Stamp:
    """Give when each of the two folders last changed; None for one that is not there."""
    return _changed(root / PODS_FOLDER), _changed(root / CONTAINERS_FOLDER)


def read(root: Path) -> tuple[Pod, ...]:
    """Give the pods that the folders name; a folder that cannot be read names none."""
    containers: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name in _names(root / CONTAINERS_FOLDER):
        if found := _CONTAINER.fullmatch(name):
            pod, namespace, container, number = found.groups()
            containers.setdefault((namespace, pod), []).append((number, container))
    return tuple(
        Pod(found[3], found[1], found[2], tuple(sorted(containers.get((found[1], found[2]), ()))))
        for name in _names(root / PODS_FOLDER)
        if (found := _POD.fullmatch(name))
    )


class PodLogs:
    """Looks at the folders when they have changed, and never waits for them in vain.

    Parameters
    ----------
    root : Path
        The host's root.
    look : callable
        Gives stamp and pods, or None if the stamp is still the given one. May hang.
    every, deadline : float
        Seconds between two looks, and for one.
    """

    def __init__(
        self,
        root: Path,
        look: Callable[[Path, _Stamp | None], _Look | None] | None = None,
        *,
        every: float = LOOK_EVERY,
        deadline: float = LOOK_DEADLINE,
    ) -> None:
        self._root = root
        self._look = look or _look
        self._every = every
        self._deadline = deadline
        self._pending: asyncio.Future[_Look | OSError | None] | None = None
        self._asked_at: float | None = None
        self._stamp: _Stamp | None = None
        self._pods: tuple[Pod, ...] = ()

    async def collect(self) -> Outcome[tuple[Pod, ...]]:
        """Give the pods; those of the last look while a new one hangs."""
        now = asyncio.get_running_loop().time()
        due = self._asked_at is None or now - self._asked_at >= self._every
        if self._pending is None and due:
            self._asked_at = now
            self._pending = self._start()
        if self._pending is not None:
            patience = self._deadline if self._asked_at == now else 0
            await asyncio.wait({self._pending}, timeout=patience)
            if not self._pending.done():
                return self._known(Failed("PodLogsHung", f"{PODS_FOLDER} does not answer"))
            result, self._pending = self._pending.result(), None
            if isinstance(result, OSError):
                return self._known(Failed("PodLogsUnreadable", f"{result.strerror or result}"))
            if result is not None:
                self._stamp, self._pods = result
        if self._stamp == (None, None):
            return Absent("NoPodLogs", f"{PODS_FOLDER} is not there; mount it to have names")
        return self._known(Absent("NoPodLogs", f"{PODS_FOLDER} names no pod"))

    def _known(self, otherwise: Absent | Failed) -> Outcome[tuple[Pod, ...]]:
        return Reading(self._pods) if self._pods else otherwise

    def _start(self) -> "asyncio.Future[_Look | OSError | None]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Look | OSError | None] = loop.create_future()

        def run() -> None:
            result: _Look | OSError | None
            try:
                result = self._look(self._root, self._stamp)
            except OSError as error:
                result = error
            # The loop may be gone by the time that a dead disk answers.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, future, result)

        threading.Thread(target=run, name="pod-logs", daemon=True).start()
        return future


def _settle(
    future: "asyncio.Future[_Look | OSError | None]", result: "_Look | OSError | None"
) -> None:
    if not future.done():
        future.set_result(result)


def _look(root: Path, known: _Stamp | None) -> _Look | None:
    # The stamp is taken first: what changes during the look is seen by the next one.
    now = stamp(root)
    return None if now == known else (now, read(root))


def _changed(folder: Path) -> int | None:
    try:
        return folder.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return None


def _names(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            for _, entry in zip(range(ENTRIES_MAX), entries, strict=False):
                yield entry.name
    except (FileNotFoundError, NotADirectoryError):
        return
