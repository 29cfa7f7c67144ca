"""Shell completion: scripts for shells, and answers to kubectl.

kubectl from 1.26 on completes words of a plugin by a program ``kubectl_complete-fabric`` beside it,
which answers as programs made with Cobra do: a word a line, then ``:`` and a number.
"""

import contextlib
import io
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Final

import typer

NO_FILES: Final = ":4"
"""Cobra's number for "complete no names of files"."""

PLUGIN: Final = "kubectl-fabric"
"""The program that kubectl runs."""


class Shell(StrEnum):
    """Shells that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def command(program: str) -> Callable[..., None]:
    """Give the command that prints the script for a program."""

    def completion(shell: Annotated[Shell, typer.Argument(help="The shell.")]) -> None:
        typer.echo(script(program, shell))

    completion.__doc__ = (
        f"Print a script that completes words: `source <({program} completion bash)`."
    )
    return completion


def script(program: str, shell: Shell) -> str:
    """Give the script for a shell."""
    from typer import completion as typers  # noqa: PLC0415 - few need it

    make: Callable[..., str] = vars(typers)["get_completion_script"]
    return make(prog_name=program, complete_var=variable(program), shell=shell.value)


def variable(program: str) -> str:
    """Give the variable of the environment in which a shell asks for words."""
    return f"_{program}_COMPLETE".replace("-", "_").upper()


def answering(program: str) -> None:
    """Have a program answer a shell, where one asks."""
    if variable(program) in os.environ:
        from typer import completion as typers  # noqa: PLC0415

        vars(typers)["completion_init"]()


def complete_for_kubectl() -> None:
    """Answer kubectl: the words before, and the one that is being typed."""
    from citadel_k8s.cli.fabric.app import fabric  # noqa: PLC0415

    words = sys.argv[1:] or [""]
    os.environ[variable(PLUGIN)] = "complete_bash"
    os.environ["COMP_WORDS"] = "\n".join([PLUGIN, *words])
    os.environ["COMP_CWORD"] = str(len(words))
    sys.argv = [PLUGIN]
    answering(PLUGIN)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            fabric(prog_name=PLUGIN)
    except SystemExit:
        pass  # how an answer to a shell ends
    # Where there is nothing to suggest, an empty line is said; to kubectl that would be a word.
    words = [line for line in said.getvalue().splitlines() if line]
    typer.echo("\n".join([*words, NO_FILES]))
