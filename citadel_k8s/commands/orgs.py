"""``org``: whom everything belongs to."""

from typing import TYPE_CHECKING, Annotated

import typer

from citadel_k8s.commands.options import Config, DatabaseUrl, Form, Output

if TYPE_CHECKING:
    from citadel_k8s.commands.platform import Platform
    from citadel_k8s.commands.printing import Row
    from citadel_k8s.stores.postgres.orgs import Org

app = typer.Typer(help="Orgs: whom nodes, people and tokens belong to.", no_args_is_help=True)

OrgId = Annotated[str, typer.Argument(help="Id of the org: 1 to 128 of A-Z a-z 0-9 . _ -")]


@app.command()
def create(
    org_id: OrgId,
    *,
    name: Annotated[str | None, typer.Option(help="What people call it. Default: its id.")] = None,
    daily_quota: Annotated[
        int | None,
        typer.Option(min=1, help="Requests a day of each credential. Default: the API's."),
    ] = None,
    config: Config = None,
    database_url: DatabaseUrl = None,
    output: Output = Form.TABLE,
) -> None:
    """Make an org."""
    from citadel_k8s.commands.platform import done  # noqa: PLC0415 - see the package's docstring
    from citadel_k8s.commands.printing import show  # noqa: PLC0415

    async def deed(platform: "Platform") -> "Org":
        org = await platform.orgs.create(org_id, name or org_id, daily_quota=daily_quota)
        await platform.noted(org.org_id, "org.create", org.org_id)
        return org

    show([_row(done(config, database_url, deed))], output, nothing="")


@app.command("list")
def list_(
    *, config: Config = None, database_url: DatabaseUrl = None, output: Output = Form.TABLE
) -> None:
    """List the orgs."""
    from citadel_k8s.commands.platform import done  # noqa: PLC0415
    from citadel_k8s.commands.printing import show  # noqa: PLC0415

    rows = done(config, database_url, lambda platform: platform.orgs.list())
    show([_row(org) for org in rows], output, nothing="No orgs; see `bootstrap`.")


@app.command()
def disable(org_id: OrgId, *, config: Config = None, database_url: DatabaseUrl = None) -> None:
    """Lock an org out: none of its people, nodes and clusters gets in any more."""
    _switch(config, database_url, org_id, on=False)


@app.command()
def enable(org_id: OrgId, *, config: Config = None, database_url: DatabaseUrl = None) -> None:
    """Let an org in again."""
    _switch(config, database_url, org_id, on=True)


def _switch(config: Config, database_url: str | None, org_id: str, *, on: bool) -> None:
    from citadel_k8s.commands.platform import NotFoundError, done  # noqa: PLC0415

    async def deed(platform: "Platform") -> None:
        orgs = platform.orgs
        if not await (orgs.enable(org_id) if on else orgs.disable(org_id)):
            raise NotFoundError(f"there is no org {org_id!r}; see `org list`")
        await platform.noted(org_id, f"org.{'enable' if on else 'disable'}", org_id)
        await platform.told(f"org:{org_id}")

    done(config, database_url, deed)
    typer.echo(f"Org {org_id} is {'let in again' if on else 'locked out'}.")


def _row(org: "Org") -> "Row":
    return {
        "org_id": org.org_id,
        "name": org.name,
        "daily_quota": org.daily_quota,
        "created_at": org.created_at,
        "disabled_at": org.disabled_at,
    }
