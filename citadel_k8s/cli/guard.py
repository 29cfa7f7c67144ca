"""What becomes of an error: one line for a person, and an exit status for a program."""

import errno
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

import typer

from citadel_k8s.domain.terminal import shown_lines
from citadel_k8s.errors import CitadelError, ConfigError, told

UNWRITTEN: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF})
"""What becomes of an answer on a full disk, or on a terminal that is gone: no defect of ours."""


def guarded(command: Callable[[], Any]) -> None:
    """Turn an error of ours into one line; anything else is a defect and keeps its traceback.

    Exit status 1: it did not succeed; 2: it was not asked for rightly; 130: interrupted.
    """
    _opened()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that has no such letter gets its number in place of a traceback.
            stream.reconfigure(errors="backslashreplace")
    try:
        command()
    except* ConfigError as group:
        _fail(group, 2)
    except* CitadelError as group:
        _fail(group, 1)
    except* ModuleNotFoundError as group:
        _not_installed(group)
    except* KeyboardInterrupt:
        sys.exit(130)
    except* BrokenPipeError:
        _quietly_gone()
    except* OSError as group:
        _unwritten(group)


def _fail(group: BaseExceptionGroup[CitadelError], code: int) -> None:
    # Servers and nodes have a say in what goes wrong.
    typer.echo(f"error: {shown_lines(str(told(group)))}", err=True)
    sys.exit(code)


def _not_installed(group: BaseExceptionGroup[ModuleNotFoundError]) -> NoReturn:
    """Say which extra has what a command needs; a module of ours that is missing is a defect."""
    error = told(group)
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if not name or name.partition(".")[0] == "citadel_k8s":
        raise group
    extras = "cli, operator, worker, api or agent"
    typer.echo(f"error: {name} is not installed: pip install 'citadel-k8s[…]' ({extras})", err=True)
    sys.exit(1)


def _opened() -> None:
    """Open what was closed by whoever called: an answer that nobody wants is no error."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def _unwritten(group: BaseExceptionGroup[OSError]) -> NoReturn:
    """Say that an answer could not be written; any other error of the system is a defect."""
    error = told(group)
    if not isinstance(error, OSError) or error.errno not in UNWRITTEN or error.filename:
        raise group
    typer.echo(f"error: the answer cannot be written: {error.strerror}", err=True)
    _quietly_gone()


def _quietly_gone() -> NoReturn:
    """End as whoever reads wants it: the rest is not read. Nothing is left to be written."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    sys.exit(1)
