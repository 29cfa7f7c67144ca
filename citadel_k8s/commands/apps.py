"""All of these commands under their names."""

import typer

from citadel_k8s.commands import clusters, orgs, tokens, users
from citadel_k8s.commands.bootstrap import bootstrap


def mount(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.command()(bootstrap)
    app.add_typer(orgs.app, name="org")
    app.add_typer(users.app, name="user")
    app.add_typer(tokens.app, name="token")
    app.add_typer(clusters.app, name="cluster")
