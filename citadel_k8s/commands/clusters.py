"""``cluster``: whose service accounts are believed."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from citadel_k8s.commands.options import DEFAULT_ORG, Config, DatabaseUrl, Form, Org, Output
from citadel_k8s.errors import ConfigError

if TYPE_CHECKING:
    from citadel_k8s.commands.platform import Platform
    from citadel_k8s.commands.printing import Row
    from citadel_k8s.stores.postgres.clusters import Cluster

app = typer.Typer(
    help="Clusters whose pods report with their own service account.", no_args_is_help=True
)

ClusterId = Annotated[str, typer.Argument(help="Id of the cluster: 1 to 64 of A-Z a-z 0-9 . _ -")]

KEYS_MAX = 64 * 1024
"""Bytes of a file of keys: a cluster has two or three, of 400 bytes each."""


@app.command()
def add(
    cluster_id: ClusterId,
    *,
    org: Org = DEFAULT_ORG,
    issuer: Annotated[
        str | None, typer.Option(help="Who signs its tokens. Default: as --kubeconfig says.")
    ] = None,
    jwks_file: Annotated[
        Path | None,
        typer.Option(help="Its keys: kubectl get --raw /openid/v1/jwks. Default: as above."),
    ] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Ask this cluster for issuer and keys. Default: kubectl's.")
    ] = None,
    audience: Annotated[
        str | None, typer.Option(help="For whom its tokens are made. Default: citadel.")
    ] = None,
    service_account: Annotated[
        list[str] | None,
        typer.Option(help="NAMESPACE/NAME that may report; repeat it. Default: citadel/agent."),
    ] = None,
    config: Config = None,
    database_url: DatabaseUrl = None,
    output: Output = Form.TABLE,
) -> None:
    """Believe a cluster's service accounts."""
    from citadel_k8s.commands.platform import done  # noqa: PLC0415 - see the package's docstring
    from citadel_k8s.commands.printing import show  # noqa: PLC0415

    signer, keys = _issuer(issuer, jwks_file, kubeconfig)

    async def deed(platform: "Platform") -> "Cluster":
        row = await platform.clusters.add(
            org,
            cluster_id,
            issuer=signer,
            audience=audience or platform.settings.audience,
            jwks=keys,
            service_accounts=service_account or ["citadel/agent"],
        )
        await platform.noted(org, "cluster.add", cluster_id, issuer=signer)
        await platform.told(f"cluster:{cluster_id}")
        return row

    show([_row(done(config, database_url, deed))], output, nothing="")


@app.command("list")
def list_(
    *,
    org: Annotated[str | None, typer.Option("--org", help="Default: all orgs.")] = None,
    config: Config = None,
    database_url: DatabaseUrl = None,
    output: Output = Form.TABLE,
) -> None:
    """List the clusters."""
    from citadel_k8s.commands.platform import done  # noqa: PLC0415
    from citadel_k8s.commands.printing import show  # noqa: PLC0415

    rows = done(config, database_url, lambda platform: platform.clusters.list(org))
    show([_row(row) for row in rows], output, nothing="No clusters.")


@app.command()
def remove(
    cluster_id: ClusterId,
    *,
    org: Org = DEFAULT_ORG,
    config: Config = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Believe a cluster no more."""
    from citadel_k8s.commands.platform import NotFoundError, done  # noqa: PLC0415

    async def deed(platform: "Platform") -> None:
        if not await platform.clusters.remove(org, cluster_id):
            raise NotFoundError(f"org {org} has no cluster {cluster_id!r}; see `cluster list`")
        await platform.noted(org, "cluster.remove", cluster_id)
        await platform.told(f"cluster:{cluster_id}")

    done(config, database_url, deed)
    typer.echo(f"Cluster {cluster_id} is believed no more.")


def _issuer(
    issuer: str | None, jwks_file: Path | None, kubeconfig: Path | None
) -> tuple[str, dict[str, Any]]:
    from citadel_k8s.api.identity.jwks import JwtError, keys_of  # noqa: PLC0415

    if (issuer is None) != (jwks_file is None):
        raise ConfigError("--issuer and --jwks-file go together; or neither, to ask the cluster")
    if issuer is not None and jwks_file is not None:
        where, document = str(jwks_file), _document(jwks_file)
    else:
        where = "the cluster's keys"
        issuer, document = asyncio.run(_asked(kubeconfig))
    try:
        usable = keys_of(document)
    except JwtError as error:
        raise ConfigError(f"{where}: {error}") from error
    if not usable:
        raise ConfigError(f"{where}: no RSA key of 2048 bits or more and no P-256 key with a kid")
    return issuer, document


def _document(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > KEYS_MAX:
            raise ConfigError(f"{file}: over {KEYS_MAX} bytes")
        document: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: {error}") from error
    return document


async def _asked(kubeconfig: Path | None) -> tuple[str, dict[str, Any]]:
    from citadel_k8s.clients.kube import KubeClient  # noqa: PLC0415

    client = await KubeClient.connect(kubeconfig)
    try:
        return await client.issuer()
    finally:
        await client.close()


def _row(row: "Cluster") -> "Row":
    return {
        "cluster_id": row.cluster_id,
        "org_id": row.org_id,
        "issuer": row.issuer,
        "audience": row.audience,
        "service_accounts": list(row.service_accounts),
        "created_at": row.created_at,
    }
