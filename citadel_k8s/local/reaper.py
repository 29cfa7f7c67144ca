"""Runs one program and ends it when its owner goes, whatever ended the owner.

Executed by path as ``python -I -S reaper.py OWNER GRACE REMOVE -- PROGRAM ARGUMENTS``; nothing but
the standard library is imported, so it is up in about 20 ms. ``REMOVE`` is a folder that is deleted
if the owner dies, or an empty string.

Standard input is the lifeline and the command line at once: one byte per command, end of file means
that the owner is gone. Standard output answers ``started PID``, ``done`` after each command and
``exited STATUS``. Standard error becomes the program's output.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
from typing import NoReturn

COMMANDS = {
    b"T": signal.SIGTERM,
    b"K": signal.SIGKILL,
    b"S": signal.SIGSTOP,
    b"C": signal.SIGCONT,
}
"""Bytes that the owner may send, and the signal that each sends to the whole process group."""

PR_SET_PDEATHSIG = 1
"""The request that ends the program if this process is killed. Source: prctl(2)."""

STEP = 0.05
"""Seconds between looks at a program that was asked to end."""


def main(arguments: list[str]) -> int:
    """Run the program named in `arguments` until it exits or the owner is gone.

    Parameters
    ----------
    arguments : list of str
        Process id of the owner, seconds of grace, folder to remove or "", "--", the program.

    Returns
    -------
    int
        0; the program's own status is said on standard output.
    """
    owner, grace, remove = int(arguments[0]), float(arguments[1]), arguments[2]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    wake = _wake_on_child()
    pid = _start(arguments[4:])
    _say(f"started {pid}")
    orphaned = not _serve(pid, owner, wake)
    if orphaned:
        _end(pid, wake, grace)
    status = _bury(pid)
    if orphaned and remove:
        _remove(remove)
    _say(f"exited {status}")
    return 0


def _wake_on_child() -> int:
    """Return a descriptor that becomes readable when a child changes its state."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _note)
    return reading


def _note(_number: int, _frame: object) -> None:
    """Handle a signal by its byte in the wake-up pipe alone."""


def _start(program: list[str]) -> int:
    """Start the program as the leader of a session of its own; return its id once it is."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    reading, writing = os.pipe()  # closed by exec, so the end of file tells of it
    reaper = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(program, prctl, reaper)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    return pid


def _become(program: list[str], prctl: object, reaper: int) -> NoReturn:
    """Turn this forked child into the program."""
    try:
        os.setsid()
        if callable(prctl):
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != reaper:
            os._exit(127)  # killed before the request above could count
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        os.execvp(program[0], program)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"{program[0]}: {error.strerror}\n".encode())
    os._exit(127)


def _serve(pid: int, owner: int, wake: int) -> bool:
    """Obey the owner until the program exits (True) or the owner is gone (False)."""
    watched = [0, wake]
    if hasattr(os, "pidfd_open"):  # a forked child of the owner may keep the pipe open
        try:
            watched.append(os.pidfd_open(owner))
        except ProcessLookupError:
            return False
        except OSError:
            pass  # a kernel before 5.3: the pipe alone must do
    while not _exited(pid):
        ready, _, _ = select.select(watched, [], [])
        if wake in ready:
            os.read(wake, 4096)
        if 0 in ready:
            command = os.read(0, 1)
            if not command:
                return False
            _signal(pid, COMMANDS[command])
            _say("done")
        elif set(ready) - {0, wake}:
            return False
    return True


def _end(pid: int, wake: int, grace: float) -> None:
    """Ask the group to end, wait at most `grace` seconds."""
    _signal(pid, signal.SIGTERM)
    _signal(pid, signal.SIGCONT)
    for _ in range(int(grace / STEP)):
        if _exited(pid):
            return
        if select.select([wake], [], [], STEP)[0]:
            os.read(wake, 4096)


def _exited(pid: int) -> bool:
    """Tell whether the program has exited, leaving it a zombie: its id cannot be reused."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _bury(pid: int) -> int:
    """Kill what is left of the group while its leader still holds the id; return its status."""
    _signal(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # its leader is a zombie, alone
        os.killpg(group, number)


def _remove(folder: str) -> None:
    """Delete the folder, and its parent if that leaves it empty."""
    import shutil  # noqa: PLC0415 - 10 ms that only an orphan pays

    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # not empty: the reaper of another server is last
        os.rmdir(os.path.dirname(folder))  # noqa: PTH106, PTH120 - pathlib costs 10 ms of start


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # the owner is gone
        os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
