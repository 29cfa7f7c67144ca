"""Everything at once, on one machine."""

import asyncio
from typing import Annotated

import typer


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

    options = Options(nodes=nodes, broken=not check)
    try:
        asyncio.run(run_check(options) if check else run_live(options))
    except asyncio.CancelledError:
        raise typer.Exit(143) from None  # ended by SIGTERM, and all of it with it
