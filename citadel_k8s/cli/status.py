"""The own status of a host."""

import asyncio
from typing import Annotated

import typer

from citadel_k8s.cli.options import Config, FakeGpu, Output, OutputOption
from citadel_k8s.config.base import load


def status(
    output: OutputOption = Output.TABLE,
    config: Config = None,
    fake_gpu: FakeGpu = None,
    watch: Annotated[
        float | None, typer.Option(min=1, help="Show it again every so many seconds.")
    ] = None,
) -> None:
    """Show this host's own status, without any server."""
    from citadel_k8s.config.agent import AgentSettings  # noqa: PLC0415

    settings = load(AgentSettings, file=config, fake_gpu=fake_gpu, publish="none")
    from citadel_k8s.agent.main import RATE_SECONDS, collect_again, collect_once  # noqa: PLC0415
    from citadel_k8s.local.statusview import as_json, shown  # noqa: PLC0415

    with as_json() if output is Output.JSON else shown(live=watch is not None) as show:
        if watch is None:
            show(asyncio.run(collect_once(settings, rates_over=RATE_SECONDS)))
        else:
            asyncio.run(collect_again(settings, watch, show))
