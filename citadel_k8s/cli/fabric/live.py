"""``live``: the node's own word, now."""

from typing import Annotated, Any

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

STEPS = {
    "address": "finding its address",
    "resolve": "resolving its name",
    "connect": "connecting",
    "tls": "TLS",
    "timeout": "waiting for the answer",
    "auth": "showing who asks",
    "body": "reading the answer",
    "identity": "checking who answered",
}
"""Where a question can end, as people say it. The words are those of the API."""


def live(
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
    """Ask a node itself, now. Exit status 1 if it does not answer; the step that failed is named.

    The API asks it where it has its address, or over the connection that it holds. With a
    kubeconfig alone its agent's pod is asked through the API server (get pods, pods/proxy).
    """
    from citadel_k8s.cli.fabric.printing import document, echo, note  # noqa: PLC0415
    from citadel_k8s.cli.fabric.running import ask  # noqa: PLC0415
    from citadel_k8s.cli.fabric.sections import figures  # noqa: PLC0415

    place = Place(api, token_file, insecure, kubeconfig, context, timeout)
    answer = ask(place, lambda source: source.live(node))
    well = answer.get("live") is True
    if output is not Form.TEXT:
        echo(document(answer, output))
    elif well:
        echo([_answered(answer), *figures(answer.get("status"))])
    else:
        note(_failed(answer))
    if not well:
        raise typer.Exit(1)


def _answered(answer: dict[str, Any]) -> str:
    from citadel_k8s.domain.terminal import shown  # noqa: PLC0415

    where = answer.get("address")
    told = "its own connection to the API" if where == "websocket" else shown(where)
    remembered = "" if answer.get("fresh", True) else " (its last reading: its sources took longer)"
    return f"live, answered in {_milliseconds(answer)} from {told}{remembered}"


def _failed(answer: dict[str, Any]) -> str:
    from citadel_k8s.domain.nodecolumns import age_text  # noqa: PLC0415

    step = str(answer.get("step") or "?")
    age = answer.get("age")
    last = "" if age is None else f"; last heard of {age_text(age)} ago"
    return (
        f"not live: {STEPS.get(step, step)} failed ({step}) after {_milliseconds(answer)}: "
        f"{answer.get('message') or 'no reason given'}{last}"
    )


def _milliseconds(answer: dict[str, Any]) -> str:
    seconds = answer.get("seconds")
    return f"{1000 * seconds:.0f} ms" if isinstance(seconds, int | float) else "unknown time"
