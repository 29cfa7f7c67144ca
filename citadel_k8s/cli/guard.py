"""What becomes of an error: one line for a person, and an exit status for a program."""

import io
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import typer

from citadel_k8s.domain.terminal import shown_lines
from citadel_k8s.errors import CitadelError, ConfigError, told


def guarded(command: Callable[[], Any]) -> None:
    """Turn an error of ours into one line; anything else is a defect and keeps its traceback.

    Exit status 1: it did not succeed; 2: it was not asked for rightly; 130: interrupted.
    """
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


def _quietly_gone() -> NoReturn:
    """End as whoever reads wants it: the rest is not read. Nothing is left to be written."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    sys.exit(1)
