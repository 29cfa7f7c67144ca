"""``doctor``: the command."""

import asyncio
import json
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from citadel_k8s.cli.options import RedisUrl
from citadel_k8s.errors import ConfigError

if TYPE_CHECKING:
    from citadel_k8s.cli.doctor.checks import RedisLook
    from citadel_k8s.cli.doctor.finding import Finding


class Form(StrEnum):
    """Forms in which a report can be given."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


def doctor(
    *,
    output: Annotated[Form, typer.Option("--output", "-o", help="Form of the report.")] = Form.TEXT,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Namespace of the operator and the agents.")
    ] = "citadel",
    kubeconfig: Annotated[Path | None, typer.Option(help="Default: as kubectl's.")] = None,
    context: Annotated[
        str | None, typer.Option(help="Context of the kubeconfig. Default: its own.")
    ] = None,
    redis_url: RedisUrl = None,
    redis_username: Annotated[str | None, typer.Option(help="Who logs in to Redis.")] = None,
    redis_secret: Annotated[
        str | None,
        typer.Option(help="Secret with the key operator-password, to log in to Redis with."),
    ] = None,
    api: Annotated[
        str | None,
        typer.Option(envvar="CITADEL_API_URL", help="https://HOST of the API, to look at it too."),
    ] = None,
) -> None:
    """Look at all that nodes need to be seen, and say what to mend and how.

    Changes nothing. Exit status: 0 all is well (warnings are allowed), 1 something is broken, 3 not
    all could be looked at, and nothing that could be is broken.
    """
    from citadel_k8s.cli.doctor.checks import RedisLook  # noqa: PLC0415 - see the package cli
    from citadel_k8s.cli.doctor.finding import exit_status  # noqa: PLC0415

    if redis_secret is not None and redis_url is None:
        raise ConfigError("--redis-secret is of use only with --redis-url")
    password = os.environ.get("CITADEL__REDIS_PASSWORD") or None
    look = RedisLook(
        redis_url or os.environ.get("CITADEL__REDIS_URL") or None,
        redis_username or os.environ.get("CITADEL__REDIS_USERNAME") or None,
        password,
        redis_secret,
    )
    findings = asyncio.run(examine(kubeconfig, namespace, look, api, context=context))
    _print(findings, output)
    raise typer.Exit(exit_status(findings))


async def examine(
    kubeconfig: Path | None,
    namespace: str,
    redis: "RedisLook",
    api: str | None,
    *,
    context: str | None = None,
) -> "list[Finding]":
    """Look at a cluster and give what was found, in the order of the report.

    Raises
    ------
    ConfigError
        If it is not known which API server to ask.
    """
    from citadel_k8s.aio.clock import SystemClock  # noqa: PLC0415
    from citadel_k8s.cli.doctor.asking import Cluster  # noqa: PLC0415
    from citadel_k8s.cli.doctor.checks import Checks  # noqa: PLC0415
    from citadel_k8s.cli.doctor.running import DEADLINE, run  # noqa: PLC0415
    from citadel_k8s.clients.kube import KubeClient  # noqa: PLC0415

    client = await KubeClient.connect(kubeconfig, timeout=DEADLINE, context=context)
    try:
        checks = Checks(Cluster(client, namespace), SystemClock(), redis, api)
        return await run(checks.all())
    finally:
        await client.close()


def _print(findings: "list[Finding]", form: Form) -> None:
    documents = [finding.document() for finding in findings]
    if form is Form.JSON:
        typer.echo(json.dumps(documents, indent=2))
    elif form is Form.YAML:
        import yaml  # noqa: PLC0415

        typer.echo(yaml.safe_dump(documents, sort_keys=False, allow_unicode=True), nl=False)
    else:
        from rich.console import Console  # noqa: PLC0415

        from citadel_k8s.cli.doctor.showing import show  # noqa: PLC0415

        show(Console(highlight=False), findings)
