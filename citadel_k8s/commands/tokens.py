"""``token``: what nodes show to the proxy."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from citadel_k8s.commands.options import DEFAULT_ORG, Config, DatabaseUrl, Form, Org, Output

if TYPE_CHECKING:
    from citadel_k8s.commands.platform import Platform
    from citadel_k8s.commands.printing import Row
    from citadel_k8s.stores.postgres.tokens import TokenRow

app = typer.Typer(
    help="Device tokens: what nodes show that report over HTTP.", no_args_is_help=True
)

TokenId = Annotated[str, typer.Argument(help="Id of the token; see `token list`.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    *,
    org: Org = DEFAULT_ORG,
    node: Annotated[
        str | None, typer.Option(help="The one node that it speaks for. Default: any of the org.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="What it may do; repeat it. Default: to report.")
    ] = None,
    days: Annotated[
        float | None, typer.Option(min=0, help="Days until it ends. Default: never.")
    ] = None,
    config: Config = None,
    database_url: DatabaseUrl = None,
    output: Output = Form.TABLE,
) -> None:
    """Make a token. It is printed once, alone on standard output, and kept as a hash."""
    from citadel_k8s.commands.platform import SUBJECT, done  # noqa: PLC0415 - see the package
    from citadel_k8s.commands.printing import show_secret  # noqa: PLC0415
    from citadel_k8s.models.identity import DEVICE_SCOPES  # noqa: PLC0415

    async def deed(platform: "Platform") -> "tuple[TokenRow, str]":
        row, raw = await platform.tokens.create(
            org,
            name,
            created_by=SUBJECT,
            scopes=scope or DEVICE_SCOPES,
            node_id=node,
            life=None if days is None else timedelta(days=days),
        )
        await platform.noted(org, "token.create", str(row.token_id), name=name, node=node)
        return row, raw

    row, raw = done(config, database_url, deed)
    told = f"Token {row.token_id} of org {org}. Keep it now: it is not shown again."
    show_secret(_row(row), ("token", raw), output, told=told)


@app.command("list")
def list_(
    *,
    org: Org = DEFAULT_ORG,
    config: Config = None,
    database_url: DatabaseUrl = None,
    output: Output = Form.TABLE,
) -> None:
    """List an org's tokens, revoked ones too; never the tokens themselves."""
    from citadel_k8s.commands.platform import done  # noqa: PLC0415
    from citadel_k8s.commands.printing import show  # noqa: PLC0415

    rows = done(config, database_url, lambda platform: platform.tokens.list(org))
    show([_row(row) for row in rows], output, nothing=f"Org {org} has no tokens.")


@app.command()
def rotate(
    token_id: TokenId,
    *,
    org: Org = DEFAULT_ORG,
    grace_hours: Annotated[
        float, typer.Option(min=0, help="Hours for which the old one works on.")
    ] = 24,
    config: Config = None,
    database_url: DatabaseUrl = None,
    output: Output = Form.TABLE,
) -> None:
    """Replace a token by one with the same rights, printed once."""
    from citadel_k8s.commands.platform import SUBJECT, done, identifier  # noqa: PLC0415
    from citadel_k8s.commands.printing import show_secret  # noqa: PLC0415

    old = identifier(token_id, "token")

    async def deed(platform: "Platform") -> "tuple[TokenRow, str]":
        grace = timedelta(hours=grace_hours)
        row, raw = await platform.tokens.rotate(org, old, created_by=SUBJECT, grace=grace)
        await platform.noted(org, "token.rotate", token_id, replaced_by=str(row.token_id))
        await platform.told(f"token:{old}")
        return row, raw

    row, raw = done(config, database_url, deed)
    told = f"Token {row.token_id}; the old one works on for {grace_hours:g} h."
    show_secret(_row(row), ("token", raw), output, told=told)


@app.command()
def revoke(
    token_id: TokenId,
    *,
    org: Org = DEFAULT_ORG,
    config: Config = None,
    database_url: DatabaseUrl = None,
) -> None:
    """End a token at once."""
    from citadel_k8s.commands.platform import NotFoundError, done, identifier  # noqa: PLC0415

    known = identifier(token_id, "token")

    async def deed(platform: "Platform") -> None:
        if not await platform.tokens.revoke(org, known):
            raise NotFoundError(f"org {org} has no such token that still works; see `token list`")
        await platform.noted(org, "token.revoke", token_id)
        await platform.told(f"token:{known}")

    done(config, database_url, deed)
    typer.echo(f"Token {known} is revoked.")


def _row(row: "TokenRow") -> "Row":
    return {
        "token_id": row.token_id,
        "name": row.name,
        "node_id": row.node_id,
        "scopes": sorted(str(scope) for scope in row.scopes),
        "created_at": row.created_at,
        "created_by": row.created_by,
        "used_at": row.used_at,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
    }
