"""The user's folder for programs that were downloaded or built, and who may fill it."""

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Final

from citadel_k8s.aio.clock import Clock

LOCK_POLL: Final = 0.2
"""Seconds between two tries to become the one who builds."""

WAIT_REPORT: Final = 5.0
"""Seconds between two lines while another process builds."""

Report = Callable[[str], None]
"""Takes one line of progress."""


def quiet(_line: str) -> None:
    """Report nothing."""


def cache_home(environ: Mapping[str, str]) -> Path:
    """Return the folder, which need not be there yet."""
    folder = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(folder).expanduser() / "citadel-k8s"


@asynccontextmanager
async def held(home: Path, report: Report, clock: Clock) -> AsyncGenerator[None, None]:
    """Hold the folder's lock; the kernel frees it if this process dies."""
    with _open(home) as file:
        began = clock.monotonic()
        spoke = -WAIT_REPORT
        while not _try_lock(file.fileno()):
            waited = clock.monotonic() - began
            if waited - spoke >= WAIT_REPORT:
                spoke = waited
                report(f"another process makes the programs: waiting, {waited:.0f} s")
            await asyncio.sleep(LOCK_POLL)
        yield


def program(path: Path) -> Path | None:
    """Return the path made absolute if an executable file is there."""
    return path.absolute() if path.is_file() and os.access(path, os.X_OK) else None


def _open(home: Path) -> IO[str]:
    home.mkdir(parents=True, exist_ok=True)
    return (home / "lock").open("a")


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
