"""``nodes``: the table of a fleet, and what changes in it."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from citadel_k8s.cli.fabric import completing
from citadel_k8s.cli.fabric.options import (
    TIMEOUT,
    Api,
    Context,
    Insecure,
    Kubeconfig,
    ListForm,
    ListOutput,
    NoHeaders,
    Place,
    Timeout,
    TokenFile,
)
from citadel_k8s.errors import ConfigError

if TYPE_CHECKING:
    from citadel_k8s.clients.fleet import FleetSource, Row

NO_NODES = (
    "No nodes. Is the operator running, and does any agent report? `kubectl fabric doctor` looks."
)
"""What a person is told where there is nothing."""

NO_MATCH = "No nodes match."
"""What a person is told where filters leave nothing."""


def nodes(
    *,
    selector: Annotated[
        str | None, typer.Option("--selector", "-l", help="Labels: a, !a, a=b, a!=b, by commas.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(help="States, by commas: Offline,Degraded.", autocompletion=completing.states),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Part of a served model's name.")] = None,
    gpu: Annotated[str | None, typer.Option(help="Part of a GPU's name.")] = None,
    query: Annotated[
        str | None,
        typer.Option("--query", "-q", help="Words to find; state: gpu: model: label: version:<1.2"),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            help="state (what needs attention first), name, id, since, gpus, vram, memory, agent "
            "or models; - before it: the largest first.",
            autocompletion=completing.sorts,
        ),
    ] = "state",
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on with what changes, until Ctrl-C.")
    ] = False,
    output: ListOutput = ListForm.TABLE,
    no_headers: NoHeaders = False,
    api: Api = None,
    token_file: TokenFile = None,
    insecure: Insecure = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    timeout: Timeout = TIMEOUT,
) -> None:
    """List the nodes: state, GPUs, load, models, and why one is not well."""
    from citadel_k8s.cli.fabric.nodelist import NodeList  # noqa: PLC0415 - see the package cli
    from citadel_k8s.cli.fabric.running import ask  # noqa: PLC0415
    from citadel_k8s.clients.fleet import Asked  # noqa: PLC0415
    from citadel_k8s.domain.standing import SORTS  # noqa: PLC0415

    if sort.removeprefix("-") not in SORTS:
        raise ConfigError(f"--sort {sort!r} is none of {', '.join(SORTS)}")
    asked = Asked(state=state, model=model, gpu=gpu, label=selector, q=query)
    shown = NodeList(output, sort=sort, no_headers=no_headers, asked=asked)
    place = Place(api, token_file, insecure, kubeconfig, context, timeout)

    async def listed(source: "FleetSource") -> "Sequence[Row]":
        return await source.nodes(asked)

    async def followed(source: "FleetSource") -> None:
        async with aclosing(source.watch()) as changes:
            async for change in changes:
                shown.take(change)

    if watch:
        ask(place, followed)
        return
    shown.show(ask(place, listed), nothing=NO_MATCH if any_of(asked) else NO_NODES)


def any_of(asked: Any) -> bool:
    """Say whether any filter is set."""
    return any((asked.state, asked.model, asked.gpu, asked.label, asked.q))
