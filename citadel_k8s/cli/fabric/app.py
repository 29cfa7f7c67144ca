"""The commands about a fleet under their names: in ``kubectl fabric`` and in ``citadel-k8s``."""

import typer

from citadel_k8s.cli.doctor.command import doctor
from citadel_k8s.cli.fabric import completion, described, events, live, models, nodes, signing
from citadel_k8s.cli.top.command import top

EPILOG = (
    "Asked is the API where --api or CITADEL_API_URL names one, else the FabricNodes of the "
    "cluster in your kubeconfig. Exit status: 0 done; 1 not done, not found, or no answer of a "
    "node; 2 asked wrongly; 130 interrupted."
)
"""What ``--help`` ends with."""

fabric = typer.Typer(
    name="kubectl-fabric",
    help="GPU nodes and the models that they serve.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # as kubectl's help: plain, and there in half the time
)


@fabric.callback()
def _fabric() -> None:
    """GPU nodes and the models that they serve."""


def mount(app: typer.Typer) -> None:
    """Add the commands to an application."""
    for command in (
        nodes.nodes,
        described.describe,
        live.live,
        models.models,
        events.events,
        signing.login,
        signing.logout,
        top,
    ):
        app.command(epilog=EPILOG)(command)
    app.command()(doctor)  # it has its own exit statuses


mount(fabric)
fabric.command("completion")(completion.command("kubectl-fabric"))
