"""The commands under their names, and what becomes of an error."""

import sys
from collections.abc import Callable
from typing import Any

import typer

from citadel_k8s import __version__
from citadel_k8s.cli import database, demo, enroll, letters, run, status
from citadel_k8s.cli.fabric import fabric
from citadel_k8s.commands import apps
from citadel_k8s.errors import CitadelError, ConfigError, told

app = typer.Typer(
    name="citadel-k8s",
    help="See every GPU node and every model that it serves.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)

for _command in (
    run.agent,
    run.operator,
    run.worker,
    run.api,
    status.status,
    demo.demo,
    enroll.enroll,
):
    app.command()(_command)
app.add_typer(database.app, name="db")
app.add_typer(letters.app, name="letters")
apps.mount(app)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run ``citadel-k8s``."""
    _guarded(app)


def kubectl_fabric() -> None:
    """Run ``kubectl fabric``."""
    _guarded(fabric)


def _guarded(command: Callable[[], Any]) -> None:
    """Turn an error of ours into one line; anything else is a defect and keeps its traceback."""
    try:
        command()
    except* ConfigError as group:
        _fail(group, 2)
    except* CitadelError as group:
        _fail(group, 1)
    except* KeyboardInterrupt:
        sys.exit(130)


def _fail(group: BaseExceptionGroup[CitadelError], code: int) -> None:
    typer.echo(f"error: {told(group)}", err=True)
    sys.exit(code)
