"""``describe``: everything about one node."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from citadel_k8s.cli.fabric import completing
from citadel_k8s.cli.fabric.options import (
    TIMEOUT,
    Api,
    Context,
    Form,
    Insecure,
    Kubeconfig,
    Output,
    Place,
    Timeout,
    TokenFile,
)

if TYPE_CHECKING:
    from citadel_k8s.clients.fleet import Detail, FleetError, FleetSource, Happening

EVENTS_MAX = 20
"""Events told, the newest."""


def describe(
    node: Annotated[
        str, typer.Argument(help="The node's name or id.", autocompletion=completing.node_names)
    ],
    *,
    output: Output = Form.TEXT,
    api: Api = None,
    token_file: TokenFile = None,
    insecure: Insecure = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    timeout: Timeout = TIMEOUT,
) -> None:
    """Show everything about one node: state and why, GPUs and who holds them, services, events."""
    from citadel_k8s.aio.clock import SystemClock  # noqa: PLC0415 - see the package cli
    from citadel_k8s.cli.fabric.printing import document, echo  # noqa: PLC0415
    from citadel_k8s.cli.fabric.running import ask  # noqa: PLC0415
    from citadel_k8s.cli.fabric.telling import told  # noqa: PLC0415

    place = Place(api, token_file, insecure, kubeconfig, context, timeout)
    detail, events = ask(place, lambda source: _asked(source, node))
    if output is not Form.TEXT:
        happened: dict[str, Any] = {"events": events} if isinstance(events, list) else {}
        echo(document(detail | happened, output))
        return
    echo(told(detail, events, SystemClock().now()))


async def _asked(source: "FleetSource", node: str) -> "tuple[Detail, list[Happening] | FleetError]":
    from citadel_k8s.clients.fleet import FleetError  # noqa: PLC0415
    from citadel_k8s.domain.fleetrows import part  # noqa: PLC0415

    detail = await source.node(node)
    row = part(detail, "node")
    try:
        name = str(row.get("object") or row.get("id") or node)
        return detail, await source.events(node=name, most=EVENTS_MAX)
    except FleetError as error:
        # What is known of the node is worth showing even to who may not see events.
        return detail, error
