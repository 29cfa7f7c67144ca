"""``letters``: entries of the status stream that no worker could take."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from citadel_k8s.cli.options import (
    Config,
    DatabaseUrl,
    Org,
    Output,
    OutputOption,
    RedisUrl,
)
from citadel_k8s.config.base import load
from citadel_k8s.errors import ConfigError

if TYPE_CHECKING:
    from citadel_k8s.config.server import WorkerSettings
    from citadel_k8s.stores.statusletters import Letter

app = typer.Typer(help="Entries that no worker could take.", no_args_is_help=True)


@app.command("list")
def list_letters(
    *,
    output: OutputOption = Output.TABLE,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Letters at most.")] = 100,
    after: Annotated[str, typer.Option(help="Id of the letter behind which to begin.")] = "-",
    config: Config = None,
    redis_url: RedisUrl = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List them, the oldest first, with what was wrong with each."""
    from citadel_k8s.worker import letters  # noqa: PLC0415 - see the package's docstring

    settings = _settings(config, redis_url, database_url)
    found = asyncio.run(letters.listed(settings, count=count, after=after))
    if output is Output.JSON:
        typer.echo(json.dumps([_document(letter) for letter in found], indent=2))
        return
    for letter in found:
        typer.echo(f"{letter.id}  {letter.reason}  {letter.detail}")
    if not found:
        typer.echo("No letters.", err=True)


@app.command()
def replay(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids, as `letters list` has them.")
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All that there are.")] = False,
    config: Config = None,
    org: Org = None,
    redis_url: RedisUrl = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Have them taken in, once what was wrong is mended; those that cannot be stay. 1 if any."""
    if bool(ids) == every:
        raise ConfigError("either ids or --all is needed")
    from citadel_k8s.worker import letters  # noqa: PLC0415

    settings = _settings(config, redis_url, database_url, org)
    result = asyncio.run(letters.replay(settings, "all" if every else ids or []))
    for letter in result.refused:
        typer.echo(f"{letter.id}  {letter.reason}  {letter.detail}", err=True)
    for one in result.missing:
        typer.echo(f"{one}  there is no such letter", err=True)
    left = len(result.refused) + len(result.missing)
    typer.echo(f"{result.taken} taken in, {left} not")
    if left:
        raise typer.Exit(1)


def _settings(
    config: Config, redis_url: str | None, database_url: str | None, org: str | None = None
) -> "WorkerSettings":
    from citadel_k8s.config.server import WorkerSettings  # noqa: PLC0415

    return load(
        WorkerSettings, file=config, redis_url=redis_url, database_url=database_url, org_id=org
    )


def _document(letter: "Letter") -> dict[str, object]:
    entry = letter.entry
    return {
        "id": letter.id,
        "entry": str(entry.id),
        "node": entry.node_id,
        "org": entry.org_id,
        "reason": letter.reason,
        "detail": letter.detail,
        "payload": entry.payload.decode(errors="replace"),
    }
