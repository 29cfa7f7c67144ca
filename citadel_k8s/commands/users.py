"""``user``: people who look at the page, and the links that let them in."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from citadel_k8s.commands.options import DEFAULT_ORG, Config, DatabaseUrl, Form, Org, Output
from citadel_k8s.models.identity import Role

if TYPE_CHECKING:
    from datetime import datetime

    from citadel_k8s.commands.platform import Platform
    from citadel_k8s.commands.printing import Row
    from citadel_k8s.stores.postgres.users import User

app = typer.Typer(help="People, and the links that let them in.", no_args_is_help=True)

Who = Annotated[str, typer.Argument(help="Id or e-mail address; see `user list`.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What people call them.")],
    *,
    org: Org = DEFAULT_ORG,
    email: Annotated[
        str | None, typer.Option(help="By which a provider of identities knows them.")
    ] = None,
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.VIEWER,
    config: Config = None,
    database_url: DatabaseUrl = None,
    output: Output = Form.TABLE,
) -> None:
    """Add somebody; `user link` lets them in."""
    from citadel_k8s.commands.platform import done  # noqa: PLC0415 - see the package's docstring
    from citadel_k8s.commands.printing import show  # noqa: PLC0415

    async def deed(platform: "Platform") -> "User":
        user = await platform.users.create(org, name, role=role, email=email)
        await platform.noted(org, "user.create", str(user.user_id), role=str(role))
        return user

    show([_row(done(config, database_url, deed))], output, nothing="")


@app.command("list")
def list_(
    *,
    org: Org = DEFAULT_ORG,
    config: Config = None,
    database_url: DatabaseUrl = None,
    output: Output = Form.TABLE,
) -> None:
    """List an org's people."""
    from citadel_k8s.commands.platform import done  # noqa: PLC0415
    from citadel_k8s.commands.printing import show  # noqa: PLC0415

    rows = done(config, database_url, lambda platform: platform.users.list(org))
    show([_row(user) for user in rows], output, nothing=f"Org {org} has no people.")


@app.command()
def disable(
    who: Who,
    *,
    org: Org = DEFAULT_ORG,
    config: Config = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Lock somebody out: their sessions and links end at once."""
    from citadel_k8s.commands.platform import done  # noqa: PLC0415

    async def deed(platform: "Platform") -> "User":
        user = await platform.user(org, who)
        await platform.users.disable(org, user.user_id)
        await platform.logins.revoke_all(org, user.user_id)
        await platform.noted(org, "user.disable", str(user.user_id))
        return user

    user = done(config, database_url, deed)
    already = f" already, since {user.disabled_at:%Y-%m-%d %H:%M} UTC" if user.disabled_at else ""
    typer.echo(f"{user.name} is locked out{already}.")


@app.command()
def link(
    who: Who,
    *,
    org: Org = DEFAULT_ORG,
    minutes: Annotated[
        float, typer.Option(min=1, max=1440, help="Minutes for which it works.")
    ] = 15,
    config: Config = None,
    database_url: DatabaseUrl = None,
    output: Output = Form.TABLE,
) -> None:
    """Make a link that signs somebody in, once; it is printed alone on standard output."""
    from citadel_k8s.commands.links import link_of  # noqa: PLC0415
    from citadel_k8s.commands.platform import NotFoundError, done  # noqa: PLC0415
    from citadel_k8s.commands.printing import show_secret  # noqa: PLC0415

    async def deed(platform: "Platform") -> "tuple[User, str, datetime]":
        user = await platform.user(org, who)
        if user.disabled_at is not None:
            raise NotFoundError(f"{who!r} is locked out")
        url, until = await link_of(platform, user, life=timedelta(minutes=minutes))
        return user, url, until

    user, url, until = done(config, database_url, deed)
    told = f"Signs {user.name} in, once, until {until:%H:%M:%S} UTC."
    show_secret({**_row(user), "expires_at": until}, ("url", url), output, told=told)


def _row(user: "User") -> "Row":
    return {
        "user_id": user.user_id,
        "name": user.name,
        "email": user.email,
        "role": str(user.role),
        "created_at": user.created_at,
        "disabled_at": user.disabled_at,
    }
