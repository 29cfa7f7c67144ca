"""The command line: reads words, asks the parts, prints answers.

Each command imports what it runs only when it runs: an agent's memory has no room for the rest.
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from citadel_k8s import __version__
from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.config.base import load
from citadel_k8s.config.operator import OperatorSettings
from citadel_k8s.errors import CitadelError, ConfigError, told

app = typer.Typer(
    name="citadel-k8s",
    help="See every GPU node and every model that it serves.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
fabric = typer.Typer(
    name="kubectl-fabric",
    help="FabricNodes of the cluster that your kubeconfig names.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[
    Path | None, typer.Option("--config", help="YAML file of settings, keys in camelCase.")
]
RedisUrl = Annotated[
    str | None,
    typer.Option(help="redis://, rediss:// or unix:// URL. Secrets: CITADEL__REDIS_PASSWORD."),
]
Org = Annotated[str | None, typer.Option("--org", help="Org that the nodes belong to.")]
Interval = Annotated[
    float | None, typer.Option(help="Seconds between heartbeats, 5 to 300. Default 30.")
]
ListenHost = Annotated[str | None, typer.Option(help="Address to listen on. Default 0.0.0.0.")]
ListenPort = Annotated[
    int | None, typer.Option(help="Port to listen on, 0 for any free one. Default 8080.")
]
LogLevel = Annotated[str | None, typer.Option(help="debug, info, warning or error.")]
LogFormat = Annotated[str | None, typer.Option(help="json (default) or console.")]
FakeGpu = Annotated[
    str | None,
    typer.Option(help="Pretend to have GPUs and models, such as h100x8. For demos only."),
]


class Output(StrEnum):
    """Forms in which a command can answer."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of the answer.")]


@app.command()
def agent(
    *,
    config: Config = None,
    node_name: Annotated[
        str | None, typer.Option(help="Name of this node. Default: the host's name.")
    ] = None,
    org: Org = None,
    redis_url: RedisUrl = None,
    publish: Annotated[
        str | None, typer.Option(help="Where heartbeats go: redis (default) or none (serve only).")
    ] = None,
    interval: Interval = None,
    listen_host: ListenHost = None,
    listen_port: ListenPort = None,
    host_root: Annotated[
        Path | None, typer.Option(help="Where the host's file system is mounted. Default /.")
    ] = None,
    fake_gpu: FakeGpu = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Report this node: collect, serve on :8080 and publish heartbeats."""
    given: dict[str, Any] = {
        "node_name": node_name,
        "org_id": org,
        "redis_url": redis_url,
        "publish": publish,
        "interval_seconds": interval,
        "listen_host": listen_host,
        "listen_port": listen_port,
        "host_root": None if host_root is None else str(host_root),
        "fake_gpu": fake_gpu,
        "log_level": log_level,
        "log_format": log_format,
    }
    load(AgentSettings, file=config, **given)  # what does not fit is told here, in plain words
    words = json.dumps({"file": None if config is None else str(config), "given": given})
    # An agent lives for months; this program's command line need not live with it. -P: a file in
    # the folder where somebody started it must not be taken for a module.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "citadel_k8s.agent", words])  # noqa: S606


@app.command()
def operator(
    *,
    config: Config = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Default: $KUBECONFIG, ~/.kube/config or the pod's own.")
    ] = None,
    org: Org = None,
    redis_url: RedisUrl = None,
    profile: Annotated[
        str | None,
        typer.Option(help="Heartbeats by default: default (30 s x 3 + 10) or fast (10 s x 3 + 5)."),
    ] = None,
    interval: Interval = None,
    missed: Annotated[
        int | None, typer.Option(help="Heartbeats that may be missed, 1 to 20. Default 3.")
    ] = None,
    skew: Annotated[
        float | None,
        typer.Option(help="Seconds added for delays, 0 to 120. Default: the profile's."),
    ] = None,
    node_selector: Annotated[
        str | None,
        typer.Option(help="Label selector of the cluster's Nodes that ought to report."),
    ] = None,
    unknown_nodes: Annotated[
        str | None,
        typer.Option(
            help="Ids that are no Node and have no object: adopt, quarantine or ignore. "
            "Default adopt."
        ),
    ] = None,
    listen_host: ListenHost = None,
    listen_port: ListenPort = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Keep a FabricNode for each node that reports."""
    settings = load(
        OperatorSettings,
        file=config,
        kubeconfig=kubeconfig,
        org_id=org,
        redis_url=redis_url,
        profile=profile,
        interval_seconds=interval,
        missed_heartbeats=missed,
        skew_seconds=skew,
        node_label_selector=node_selector,
        unknown_nodes=unknown_nodes,
        listen_host=listen_host,
        listen_port=listen_port,
        log_level=log_level,
        log_format=log_format,
    )
    from citadel_k8s.operator.main import run  # noqa: PLC0415 - see the module's docstring

    asyncio.run(run(settings))


@app.command()
def status(
    output: OutputOption = Output.TABLE,
    config: Config = None,
    fake_gpu: FakeGpu = None,
    watch: Annotated[
        float | None, typer.Option(min=1, help="Show it again every so many seconds.")
    ] = None,
) -> None:
    """Show this host's own status, without any server."""
    settings = load(AgentSettings, file=config, fake_gpu=fake_gpu, publish="none")
    from citadel_k8s.agent.main import RATE_SECONDS, collect_again, collect_once  # noqa: PLC0415
    from citadel_k8s.local.statusview import as_json, shown  # noqa: PLC0415

    with as_json() if output is Output.JSON else shown(live=watch is not None) as show:
        if watch is None:
            show(asyncio.run(collect_once(settings, rates_over=RATE_SECONDS)))
        else:
            asyncio.run(collect_again(settings, watch, show))


@app.command()
def demo(
    *,
    nodes: Annotated[int, typer.Option(min=1, max=50, help="Simulated GPU nodes.")] = 5,
    check: Annotated[
        bool,
        typer.Option("--check", help="No terminal: kill and revive a node, print three tables."),
    ] = False,
) -> None:
    """Run everything for real on this machine, with simulated GPUs."""
    from citadel_k8s.local.demo import Options  # noqa: PLC0415
    from citadel_k8s.local.show import run_check, run_live  # noqa: PLC0415

    options = Options(nodes=nodes)
    try:
        asyncio.run(run_check(options) if check else run_live(options))
    except asyncio.CancelledError:
        raise typer.Exit(143) from None  # ended by SIGTERM, and all of it with it


@app.command()
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


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


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


def main() -> None:
    """Run ``citadel-k8s``."""
    _guarded(app)


def kubectl_fabric() -> None:
    """Run ``kubectl fabric``."""
    _guarded(fabric)


def _guarded(command: Callable[[], Any]) -> None:
    """Turn an error of ours into one line; anything else is a defect and keeps its traceback."""
    try:
        command()
    except* ConfigError as group:
        _fail(group, 2)
    except* CitadelError as group:
        _fail(group, 1)
    except* KeyboardInterrupt:
        sys.exit(130)


def _fail(group: BaseExceptionGroup[CitadelError], code: int) -> None:
    typer.echo(f"error: {told(group)}", err=True)
    sys.exit(code)
