"""``db``: the schema of the database."""

import asyncio
from typing import Annotated

import typer

from citadel_k8s.cli.options import Config, DatabaseUrl
from citadel_k8s.config.base import load
from citadel_k8s.errors import ConfigError, DatabaseError

app = typer.Typer(help="The schema of the database.", no_args_is_help=True)


@app.command()
def upgrade(
    *,
    config: Config = None,
    database_url: DatabaseUrl = None,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print the statements and change nothing.")
    ] = False,
) -> None:
    """Bring the schema to this program's revision; safe to run twice, and at once."""
    from citadel_k8s.stores.postgres import migrate  # noqa: PLC0415 - see the package's docstring

    if sql:
        typer.echo(migrate.script(), nl=False)
        return
    asyncio.run(migrate.upgrade(_conninfo(config, database_url), typer.echo))


@app.command()
def check(*, config: Config = None, database_url: DatabaseUrl = None) -> None:
    """Say whether the schema is what this program needs; 1 if it is not."""
    from citadel_k8s.stores.postgres import migrate  # noqa: PLC0415

    state = asyncio.run(migrate.check(_conninfo(config, database_url)))
    if state.problem is not None:
        raise DatabaseError(state.problem)
    typer.echo(f"the schema is at revision {state.current}, as needed")


def _conninfo(config: Config, database_url: str | None) -> str:
    from citadel_k8s.config.server import SchemaSettings  # noqa: PLC0415
    from citadel_k8s.stores.postgres.database import Database  # noqa: PLC0415

    settings = load(SchemaSettings, file=config, database_url=database_url)
    if settings.database_url is None:
        raise ConfigError("databaseUrl is not set; see --database-url")
    return Database(settings.database_url, password=settings.database_secret).conninfo
