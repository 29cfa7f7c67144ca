"""``bootstrap``: the first run, from an empty database to one person who can let others in."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from citadel_k8s.commands.options import DEFAULT_ORG, Config, DatabaseUrl, Org

if TYPE_CHECKING:
    from citadel_k8s.commands.platform import Platform
    from citadel_k8s.stores.postgres.users import User

LINK_LIFE = timedelta(hours=1)
"""How long the first link works: somebody installs a chart meanwhile."""


def bootstrap(
    *,
    org: Org = DEFAULT_ORG,
    name: Annotated[str, typer.Option(help="What the first admin is called.")] = "Admin",
    email: Annotated[
        str | None, typer.Option(help="By which a provider of identities knows them.")
    ] = None,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Bring the schema up to date first.")
    ] = False,
    link: Annotated[
        bool, typer.Option("--link", help="Print a fresh link though there is an admin already.")
    ] = False,
    config: Config = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make the first org and its admin, and print one login link.

    Safe to run again: what is there stays as it is, and no link is printed unless --link asks.
    """
    from citadel_k8s.commands.platform import done  # noqa: PLC0415 - see the package's docstring

    async def deed(platform: "Platform") -> str | None:
        await _schema(platform, upgrade=upgrade)
        made = await _org(platform, org)
        admin, added = await _admin(platform, org, name, email)
        if not (made or added or link):
            typer.echo(
                f"Org {org} has an admin already ({admin.name}); a fresh login link: --link",
                err=True,
            )
            return None
        from citadel_k8s.commands.links import link_of  # noqa: PLC0415

        url, until = await link_of(platform, admin, life=LINK_LIFE)
        told = f"Signs {admin.name} of org {org} in, once, until {until:%Y-%m-%d %H:%M} UTC:"
        typer.echo(told, err=True)
        if platform.settings.public_url is None:
            typer.echo("publicUrl is not set; put the API's address in.", err=True)
        return url

    url = done(config, database_url, deed)
    if url is not None:
        typer.echo(url)


async def _schema(platform: "Platform", *, upgrade: bool) -> None:
    from citadel_k8s.errors import DatabaseError  # noqa: PLC0415
    from citadel_k8s.stores.postgres import migrate  # noqa: PLC0415

    conninfo = platform.database.conninfo
    if upgrade:
        await migrate.upgrade(conninfo, lambda line: typer.echo(line, err=True))
        return
    state = await migrate.check(conninfo)
    if state.problem is not None:
        raise DatabaseError(f"{state.problem} (or give --upgrade)")


async def _org(platform: "Platform", org: str) -> bool:
    from citadel_k8s.stores.postgres.refused import RefusedError  # noqa: PLC0415

    if await platform.orgs.get(org) is not None:
        return False
    try:
        await platform.orgs.create(org, org)
    except RefusedError as error:
        if error.reason != "exists":
            raise
        return False
    await platform.noted(org, "org.create", org)
    return True


async def _admin(
    platform: "Platform", org: str, name: str, email: str | None
) -> "tuple[User, bool]":
    """Give an admin of the org who may come in, and whether they are new."""
    from citadel_k8s.models.identity import Role  # noqa: PLC0415

    for user in await platform.users.list(org):
        wanted = email is None or (user.email or "").lower() == email.lower()
        if user.role is Role.ADMIN and user.disabled_at is None and wanted:
            return user, False
    user = await platform.users.create(org, name, role=Role.ADMIN, email=email)
    await platform.noted(org, "user.create", str(user.user_id), role="admin")
    return user, True
