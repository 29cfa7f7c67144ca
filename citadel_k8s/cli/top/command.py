"""``top``: the command."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer

from citadel_k8s.cli.fabric.options import (
    TIMEOUT,
    Api,
    Context,
    Insecure,
    Kubeconfig,
    Place,
    Timeout,
    TokenFile,
)
from citadel_k8s.errors import ConfigError

_ENDS = (signal.SIGTERM, signal.SIGHUP)


class Sort(StrEnum):
    """What lines are sorted by."""

    ATTENTION = "attention"
    NAME = "name"
    UTILIZATION = "utilization"
    MEMORY = "memory"
    TEMPERATURE = "temperature"
    POWER = "power"


def top(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Print one picture and end, as without a terminal.")
    ] = False,
    sort: Annotated[Sort, typer.Option(help="For the picture of --once.")] = Sort.ATTENTION,
    words: Annotated[
        str, typer.Option("--filter", help="For the picture of --once; as the page's search.")
    ] = "",
    api: Api = None,
    token_file: TokenFile = None,
    insecure: Insecure = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    timeout: Timeout = TIMEOUT,
) -> None:
    """Show every GPU of the fleet, live."""
    place = Place(api, token_file, insecure, kubeconfig, context, timeout)
    if once or not terminal():
        for line in asyncio.run(_picture(place, sort.value, words)):
            typer.echo(line)
        return
    asyncio.run(_live(place))


def terminal() -> bool:
    """Say whether there is a terminal that can be painted on."""
    dumb = os.environ.get("TERM") == "dumb"
    return sys.stdin.isatty() and sys.stdout.isatty() and not dumb


@contextmanager
def ended_by_signals(leave: Callable[[], object]) -> Generator[list[int]]:
    """Have a signal end what is shown, so that the terminal is left as it was; tells which came."""
    loop, ended = asyncio.get_running_loop(), list[int]()

    def end(number: int) -> None:
        ended.append(number)
        leave()

    for number in _ENDS:
        loop.add_signal_handler(number, end, number)
    try:
        yield ended
    finally:
        for number in _ENDS:
            loop.remove_signal_handler(number)


async def _picture(place: Place, sort: str, words: str) -> list[str]:
    from citadel_k8s.aio.clock import SystemClock  # noqa: PLC0415 - see the package cli
    from citadel_k8s.cli.fabric.source import opened  # noqa: PLC0415
    from citadel_k8s.cli.top.fleet import Fleet  # noqa: PLC0415
    from citadel_k8s.cli.top.plain import picture  # noqa: PLC0415

    fleet = Fleet()
    async with opened(place) as source:
        fleet.replace(await source.nodes())
    return list(picture(fleet, SystemClock().now(), sort, words))


async def _live(place: Place) -> None:
    from citadel_k8s.aio.clock import SystemClock  # noqa: PLC0415
    from citadel_k8s.cli.fabric.source import opened  # noqa: PLC0415

    try:
        from citadel_k8s.cli.top.app import Top  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is not there; pip install 'citadel-k8s[cli]'") from error
    async with opened(place) as source:
        app = Top(source, SystemClock())
        with ended_by_signals(app.exit) as ended:
            await app.run_async()
    if ended:
        raise typer.Exit(128 + ended[0])
    if app.failed is not None:
        raise app.failed
