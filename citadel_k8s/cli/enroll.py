"""Getting a device token."""

import asyncio
import socket
from pathlib import Path
from typing import Annotated

import typer

from citadel_k8s.errors import ConfigError


def enroll(
    base_url: Annotated[str, typer.Argument(help="Where the platform is: https://HOST.")],
    *,
    save: Annotated[
        Path | None,
        typer.Option(help="Settings file to write, 0600; the token goes beside it."),
    ] = None,
    secret: Annotated[
        str | None, typer.Option(help="Print a Kubernetes Secret of this name instead.")
    ] = None,
    namespace: Annotated[str, typer.Option(help="Namespace of the Secret.")] = "citadel",
    hostname: Annotated[str | None, typer.Option(help="Default: this host's name.")] = None,
    force_new: Annotated[
        bool, typer.Option("--force-new", help="Register anew even if the device is known.")
    ] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow http:// to another host: a token in clear.")
    ] = False,
) -> None:
    """Get a device token: shows a code to approve in a browser, and waits for that.

    With --save an agent is then started by `citadel-k8s agent --config FILE`; with --secret the
    token goes into a cluster by `citadel-k8s enroll URL --secret NAME | kubectl apply -f -`.
    """
    if (save is None) == (secret is None):
        raise ConfigError("one of --save FILE and --secret NAME is needed")
    from citadel_k8s.aio.clock import SystemClock  # noqa: PLC0415
    from citadel_k8s.clients.enroll import enroll as enroll_device  # noqa: PLC0415
    from citadel_k8s.clients.machine import machine_id  # noqa: PLC0415

    enrolment = asyncio.run(
        enroll_device(
            base_url,
            hostname or socket.gethostname(),
            machine_id(),
            tell=lambda line: typer.echo(line, err=True),
            clock=SystemClock(),
            insecure=insecure,
            force_new=force_new,
        )
    )
    if secret is not None:
        typer.echo(enrolment.secret_manifest(secret, namespace), nl=False)
    elif save is not None:
        token = enrolment.save(save)
        typer.echo(f"Saved {save} and {token}; start with: citadel-k8s agent --config {save}")
