"""The commands of ``citadel-k8s`` under their names."""

import typer

from citadel_k8s import __version__
from citadel_k8s.cli import database, demo, enroll, letters, run, status
from citadel_k8s.cli.fabric import completion
from citadel_k8s.cli.fabric.app import mount
from citadel_k8s.commands import apps

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
mount(app)
app.command("completion")(completion.command("citadel-k8s"))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)
