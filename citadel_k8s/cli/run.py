"""The parts that run for ever: agent, operator, worker, API."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from citadel_k8s.cli.options import (
    Config,
    DatabaseUrl,
    FakeGpu,
    Interval,
    ListenHost,
    ListenPort,
    LogFormat,
    LogLevel,
    Org,
    RedisUrl,
)
from citadel_k8s.config.base import load


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
    from citadel_k8s.config.agent import AgentSettings  # noqa: PLC0415 - see the package's docstring

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
    from citadel_k8s.config.operator import OperatorSettings  # noqa: PLC0415

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
    from citadel_k8s.operator.main import run  # noqa: PLC0415

    asyncio.run(run(settings))


def worker(
    *,
    config: Config = None,
    org: Org = None,
    redis_url: RedisUrl = None,
    database_url: DatabaseUrl = None,
    interval: Interval = None,
    listen_host: ListenHost = None,
    listen_port: ListenPort = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Store what nodes report, and tell each org of its changes."""
    from citadel_k8s.config.server import WorkerSettings  # noqa: PLC0415

    settings = load(
        WorkerSettings,
        file=config,
        org_id=org,
        redis_url=redis_url,
        database_url=database_url,
        interval_seconds=interval,
        listen_host=listen_host,
        listen_port=listen_port,
        log_level=log_level,
        log_format=log_format,
    )
    from citadel_k8s.worker.main import run  # noqa: PLC0415

    asyncio.run(run(settings))


def api(
    *,
    config: Config = None,
    redis_url: RedisUrl = None,
    database_url: DatabaseUrl = None,
    public_url: Annotated[
        str | None, typer.Option(help="How browsers reach it: https://HOST.")
    ] = None,
    listen_host: ListenHost = None,
    listen_port: ListenPort = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Port of metrics and probes, 0 for any. Default 9090.")
    ] = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Serve people, programs, and nodes that have no way to Redis."""
    from citadel_k8s.config.server import ApiSettings  # noqa: PLC0415

    settings = load(
        ApiSettings,
        file=config,
        redis_url=redis_url,
        database_url=database_url,
        public_url=public_url,
        listen_host=listen_host,
        listen_port=listen_port,
        metrics_port=metrics_port,
        log_level=log_level,
        log_format=log_format,
    )
    from citadel_k8s.api.main import run  # noqa: PLC0415

    asyncio.run(run(settings))
