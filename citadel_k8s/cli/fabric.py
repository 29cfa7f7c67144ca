"""``kubectl fabric``: FabricNodes of a cluster."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from citadel_k8s.cli.options import Output, OutputOption

fabric = typer.Typer(
    name="kubectl-fabric",
    help="FabricNodes of the cluster that your kubeconfig names.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@fabric.callback()
def _fabric() -> None:
    """FabricNodes of the cluster that your kubeconfig names."""


@fabric.command("nodes")
def fabric_nodes(
    output: OutputOption = Output.TABLE,
    kubeconfig: Annotated[Path | None, typer.Option(help="Default: as kubectl's.")] = None,
) -> None:
    """List the nodes with their state, GPUs and models."""
    from citadel_k8s.aio.clock import SystemClock  # noqa: PLC0415
    from citadel_k8s.local.view import print_table, table  # noqa: PLC0415

    objects = asyncio.run(_objects(kubeconfig))
    if output is Output.JSON:
        typer.echo(json.dumps(objects, indent=2))
    elif not objects:
        typer.echo("No FabricNodes. Is the operator running, and does any agent report?", err=True)
    else:
        print_table(table(objects, SystemClock().now(), wide=output is Output.WIDE))


async def _objects(kubeconfig: Path | None) -> list[dict[str, Any]]:
    from citadel_k8s.clients.kube import KubeClient  # noqa: PLC0415

    client = await KubeClient.connect(kubeconfig)
    try:
        return await client.list_fabric_nodes()
    finally:
        await client.close()
