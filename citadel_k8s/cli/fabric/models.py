"""``models``: who serves what."""

from typing import Annotated, Any

import typer

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

HEADERS = ("MODEL", "REPLICAS", "HEALTHY", "ENGINES", "NODES")
"""Of the table."""

NODES_MAX = 4
"""Nodes named in a row; ``-o wide`` names all."""


def models(
    name: Annotated[str | None, typer.Argument(help="Part of a model's name.")] = None,
    *,
    output: ListOutput = ListForm.TABLE,
    no_headers: NoHeaders = False,
    api: Api = None,
    token_file: TokenFile = None,
    insecure: Insecure = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    timeout: Timeout = TIMEOUT,
) -> None:
    """List the models that are served now, by which nodes, and how many replicas are well."""
    from citadel_k8s.cli.fabric.printing import (  # noqa: PLC0415 - see the package cli
        document,
        echo,
        note,
        table,
    )
    from citadel_k8s.cli.fabric.running import ask  # noqa: PLC0415
    from citadel_k8s.domain.terminal import shown  # noqa: PLC0415

    place = Place(api, token_file, insecure, kubeconfig, context, timeout)
    found = ask(place, lambda source: source.models(name))
    if output in {ListForm.JSON, ListForm.YAML}:
        echo(document(found, output))
    elif not found:
        note("No model is served." if name is None else "No model of this name is served.")
    elif output is ListForm.NAME:
        echo(shown(model.get("model")) for model in found)
    else:
        rows = [_cells(model, all_nodes=output is ListForm.WIDE) for model in found]
        echo(table(HEADERS, rows, no_headers=no_headers))


def _cells(model: dict[str, Any], *, all_nodes: bool) -> tuple[str, ...]:
    nodes = [str(node) for node in model.get("nodes") or ()]
    named = nodes if all_nodes or len(nodes) <= NODES_MAX + 1 else nodes[:NODES_MAX]
    more = f" +{len(nodes) - len(named)}" if len(named) < len(nodes) else ""
    replicas, healthy = model.get("replicas"), model.get("healthy")
    return (
        str(model.get("model")),
        "unknown" if replicas is None else str(replicas),
        "unknown" if healthy is None else f"{healthy}/{replicas}",
        ", ".join(map(str, model.get("engines") or ())) or "unknown",
        ", ".join(named) + more,
    )
