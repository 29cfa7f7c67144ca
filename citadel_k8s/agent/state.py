"""What an agent knows over its restarts: small files in a folder of the node, whole or not at all.

A file that cannot be read, or is another node's, is put aside and told; the agent goes on as if
it had never been. Writing has a limit: a disk that hangs costs one thread, not the agent.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, cast

from citadel_k8s.aio.outbox import Freshness
from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import WireError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.telemetry.log import RepeatLog, get_logger

CONFIG_FILE: Final = "config.json"
"""What the node was told."""

MARKER_FILE: Final = "heartbeat_marker.json"
"""How the heartbeats fare, for whoever looks at the node itself."""

FILE_MAX: Final = 2 * 1024 * 1024
"""Largest file that is read, in bytes: twice the largest message."""

WRITE_TIMEOUT: Final = 5.0
"""Seconds that a write is waited for; a file of some kilobytes takes 5 ms on a worn disk."""

READ_TIMEOUT: Final = 5.0
"""Seconds that a start waits for a file."""

THREADS: Final = 2
"""Threads for the disk: each of the two files has one at most."""

ERROR_MAX: Final = 512
"""Characters kept of an error: one line."""

_VERSION: Final = 1

_SILENT: Final = "the disk does not answer"

log = get_logger("state")


class State:
    """The files of one node.

    Parameters
    ----------
    folder : Path or None
        Where they are; made if it is not there. None: nothing is kept.
    node_id : str
        Whose they are.
    read_only : bool
        Change nothing: they are those of another process, which may be at work.
    """

    def __init__(self, folder: Path | None, node_id: str, *, read_only: bool = False) -> None:
        self._folder = folder
        self._read_only = read_only
        self.node_id = node_id
        self._writing: set[str] = set()
        # Of its own: name lookups that hang fill the loop's.
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="state")
        self._success_before: str | None = None
        self._marked = False
        self._trouble = RepeatLog(log, "state_not_written")

    def load(self, name: str) -> dict[str, Any] | None:
        """Give what was saved under a name; None if there is nothing of use.

        Waits for the disk, but not for longer than ``READ_TIMEOUT``: an agent without its state is
        better than none.
        """
        if self._folder is None:
            return None
        try:
            return self._threads.submit(self._load, self._folder / name).result(READ_TIMEOUT)
        except (TimeoutError, RuntimeError) as error:
            log.warning("state_not_read", file=name, error=str(error) or _SILENT)
            return None

    def _load(self, path: Path) -> dict[str, Any] | None:
        try:
            return self._checked(_read(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError, WireError) as error:
            self.discard(path.name, str(error))
            return None

    def discard(self, name: str, reason: str) -> None:
        """Put a file aside that is of no use; the one put aside before it is gone."""
        if self._folder is None or self._read_only:
            return
        path = self._folder / name
        try:
            path.replace(path.with_name(f"{name}.rejected"))
        except OSError as error:
            reason = f"{reason}; it stays where it is: {error.strerror}"
        log.warning("state_rejected", file=str(path), reason=clip(reason, ERROR_MAX))

    async def save(self, name: str, value: Mapping[str, Any]) -> bool:
        """Save an object under a name, in a way that outlives a power cut; say whether it is.

        Never raises, and ends within ``WRITE_TIMEOUT``.
        """
        return await self._write(name, value, durable=True)

    async def mark(self, freshness: Freshness) -> bool:
        """Save how the heartbeats fare; ``unknown`` until this process's first one got through.

        The last success of the process before is kept until then.
        """
        if not self._marked:
            # In a thread: this one has heartbeats to send.
            before = (await asyncio.to_thread(self.load, MARKER_FILE) or {}).get("lastSuccessAt")
            self._success_before = clip(before) if isinstance(before, str) else None
            self._marked = True
        marker = {
            "state": freshness.state,
            "lastSuccessAt": _date(freshness.last_success) or self._success_before,
            "lastAttemptAt": _date(freshness.last_attempt),
            "consecutiveFailures": freshness.consecutive_failures,
            "lastError": None
            if freshness.last_error is None
            else clip(freshness.last_error, ERROR_MAX),
        }
        # Not worth waiting for the disk every half a minute: after a power cut it is old anyway.
        return await self._write(MARKER_FILE, marker, durable=False)

    def _checked(self, document: Any) -> dict[str, Any]:
        if not isinstance(document, dict):
            raise WireError("BadField", "", "an object is needed")
        fields = cast("dict[str, Any]", document)
        if fields.get("version") != _VERSION:
            raise WireError("UnsupportedVersion", "version", f"must be {_VERSION}")
        if fields.get("nodeId") != self.node_id:
            raise WireError("OtherNode", "nodeId", "it is another node's")
        return fields

    async def _write(self, name: str, value: Mapping[str, Any], *, durable: bool) -> bool:
        if self._folder is None or self._read_only:
            return False
        if name in self._writing:
            self._trouble.failed(file=name, error="the write before it still hangs")
            return False
        document = {"version": _VERSION, "nodeId": self.node_id, **value}
        data = json.dumps(document, indent=2).encode() + b"\n"
        path = self._folder / name
        try:
            future = self._threads.submit(_replace, path, data, durable=durable)
            self._writing.add(name)
            # Also of one that is given up before its turn comes.
            future.add_done_callback(lambda _future: self._writing.discard(name))
            async with asyncio.timeout(WRITE_TIMEOUT):
                await asyncio.wrap_future(future)
        except OSError as error:  # which a timeout is too
            self._trouble.failed(file=str(path), error=error.strerror or _SILENT)
            return False
        except RuntimeError as error:  # the system has no room for another thread
            self._trouble.failed(file=str(path), error=str(error))
            return False
        self._trouble.recovered()
        return True


def _read(path: Path) -> Any:
    with path.open("rb") as file:
        data = file.read(FILE_MAX + 1)
    if len(data) > FILE_MAX:
        raise WireError("Oversized", "", f"over {FILE_MAX} bytes")
    return json.loads(data)


def _replace(path: Path, data: bytes, *, durable: bool) -> None:
    """Put data in a file's place: whoever reads, at any moment, finds the old or the new whole."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    # What a crash left there may be somebody's open file, or a link.
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    new.replace(path)
    if durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _date(seconds: float | None) -> str | None:
    return None if seconds is None else format_timestamp(seconds)
