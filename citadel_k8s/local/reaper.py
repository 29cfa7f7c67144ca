"""Runs one program and ends it when its owner goes, whatever ended the owner.

Executed by path as ``python -I -S reaper.py OWNER GRACE REMOVE… OPTION… -- PROGRAM ARGUMENTS``;
nothing but the standard library is imported, so it is up in about 20 ms. Each ``REMOVE`` is a
folder that is deleted if the owner dies, or an empty string. The options:

``--end=NUMBER``
    The signal that asks the program to end, if SIGTERM is not the one.
``--family``
    Pauses, resumes and kills reach all descendants, also those in sessions of their own.
``--user=ID``
    User and group that the program runs as, with no further groups; root alone may ask for it.

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
from collections.abc import Callable
from typing import NoReturn

COMMANDS = {
    b"T": signal.SIGTERM,
    b"K": signal.SIGKILL,
    b"S": signal.SIGSTOP,
    b"C": signal.SIGCONT,
}
"""Bytes that the owner may send, and the signal that each sends to the whole process group."""

PR_SET_CHILD_SUBREAPER = 36
"""The request that makes orphans of the program children of this process. Source: prctl(2)."""

PR_SET_PDEATHSIG = 1
"""The request that ends the program if this process is killed. Source: prctl(2)."""

STEP = 0.05
"""Seconds between looks at a program that was asked to end."""


def main(arguments: list[str]) -> int:
    """Run the program named in `arguments` until it exits or the owner is gone.

    Parameters
    ----------
    arguments : list of str
        Process id of the owner, seconds of grace, folders to remove, options, "--", the program.

    Returns
    -------
    int
        0; the program's own status is said on standard output.
    """
    owner, grace, split = int(arguments[0]), float(arguments[1]), arguments.index("--")
    remove, options = _sort(arguments[2:split])
    family = "family" in options
    commands = dict(COMMANDS)
    if "end" in options:
        commands[b"T"] = signal.Signals(int(options["end"]))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    wake = _wake_on_child()
    pid = _start(arguments[split + 1 :], int(options.get("user", -1)), adopt=family)
    _say(f"started {pid}")

    def obey(command: bytes) -> None:
        _signal(pid, commands[command], family=family and command != b"T")

    orphaned = not _serve(pid, owner, wake, obey)
    if orphaned:
        _end(pid, wake, grace, obey)
    status = _bury(pid, obey)
    if orphaned:
        for folder in remove:
            _remove(folder)
    _say(f"exited {status}")
    return 0


def _sort(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Part the folders to remove from the options, given by name without the dashes."""
    remove: list[str] = []
    options: dict[str, str] = {}
    for word in words:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            options[name] = value
        elif word:
            remove.append(word)
    return remove, options


def _wake_on_child() -> int:
    """Return a descriptor that becomes readable when a child changes its state."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _note)
    return reading


def _note(_number: int, _frame: object) -> None:
    """Handle a signal by its byte in the wake-up pipe alone."""


def _start(program: list[str], user: int, *, adopt: bool) -> int:
    """Start the program as the leader of a session of its own; return its id once it is."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if adopt and callable(prctl):
        prctl(PR_SET_CHILD_SUBREAPER, 1)
    reading, writing = os.pipe()  # closed by exec, so the end of file tells of it
    reaper = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(program, user, prctl, reaper)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    return pid


def _become(program: list[str], user: int, prctl: object, reaper: int) -> NoReturn:
    """Turn this forked child into the program."""
    try:
        os.setsid()
        if user >= 0:  # before the request below: a change of user takes that back
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
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


def _serve(pid: int, owner: int, wake: int, obey: Callable[[bytes], None]) -> bool:
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
            obey(command)
            _say("done")
        elif set(ready) - {0, wake}:
            return False
    return True


def _end(pid: int, wake: int, grace: float, obey: Callable[[bytes], None]) -> None:
    """Ask the group to end, wait at most `grace` seconds."""
    obey(b"T")
    obey(b"C")
    for _ in range(int(grace / STEP)):
        if _exited(pid):
            return
        if select.select([wake], [], [], STEP)[0]:
            os.read(wake, 4096)


def _exited(pid: int) -> bool:
    """Tell whether the program has exited, leaving it a zombie: its id cannot be reused."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _bury(pid: int, obey: Callable[[bytes], None]) -> int:
    """Kill what is left of the group while its leader still holds the id; return its status.

    What a family left behind is a child of this process by now, so its ids are held too.
    """
    obey(b"K")
    _, status = os.waitpid(pid, 0)
    while orphans := _descendants(os.getpid()):
        for orphan in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
        for orphan in orphans:
            with contextlib.suppress(ChildProcessError):  # a grandchild, adopted in the next round
                os.waitpid(orphan, 0)
    return os.waitstatus_to_exitcode(status)


def _signal(group: int, number: signal.Signals, *, family: bool) -> None:
    """Signal the group; of a family the others too, those that they are just starting included.

    The leader stands still meanwhile, so that it can neither start a child nor collect one: no id
    is reused under our hands.
    """
    if family:
        _signal(group, signal.SIGSTOP, family=False)
        told: set[int] = set()
        while new := _descendants(group) - told:
            for pid in new:
                with contextlib.suppress(ProcessLookupError):  # collected by one of the family
                    os.kill(pid, number)
            told |= new
    with contextlib.suppress(ProcessLookupError, PermissionError):  # its leader is a zombie, alone
        os.killpg(group, number)


def _descendants(ancestor: int) -> set[int]:
    """Return the ids of all processes below `ancestor`, dead ones that nobody collected too."""
    parents: dict[int, int] = {}
    for name in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else []):  # noqa: PTH112, PTH208 - pathlib costs 10 ms of start
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - as above
            parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
    found: set[int] = set()
    level = {ancestor}
    while level := {pid for pid, parent in parents.items() if parent in level} - found:
        found |= level
    return found


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
