"""``events``: what happened, and what happens."""

import json
from collections.abc import Awaitable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from citadel_k8s.cli.fabric import completing
from citadel_k8s.cli.fabric.options import (
    TIMEOUT,
    Api,
    Context,
    Insecure,
    Kubeconfig,
    ListForm,
    NoHeaders,
    Place,
    Timeout,
    TokenFile,
)
from citadel_k8s.errors import ConfigError

if TYPE_CHECKING:
    from citadel_k8s.cli.fabric.printing import Columns
    from citadel_k8s.clients.fleet import Change, FleetSource, Happening

HEADERS = ("TIME", "NODE", "KIND", "REASON", "COUNT", "MESSAGE")
"""Of the table."""

_SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def events(
    *,
    node: Annotated[
        str | None,
        typer.Option("--node", "-n", help="Of this one.", autocompletion=completing.node_names),
    ] = None,
    since: Annotated[str, typer.Option(help="How far back: 30s, 15m, 2h, 7d.")] = "1h",
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on with what happens, until Ctrl-C.")
    ] = False,
    output: Annotated[
        ListForm, typer.Option("--output", "-o", help="table, json or yaml.")
    ] = ListForm.TABLE,
    no_headers: NoHeaders = False,
    most: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="The newest so many.")] = (
        500
    ),
    api: Api = None,
    token_file: TokenFile = None,
    insecure: Insecure = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    timeout: Timeout = TIMEOUT,
) -> None:
    """List what happened to nodes, the oldest first; -w goes on with what happens.

    On a kubeconfig these are the cluster's Events about FabricNodes, which it keeps for an hour.
    """
    from citadel_k8s.aio.clock import SystemClock  # noqa: PLC0415 - see the package cli
    from citadel_k8s.cli.fabric.running import ask  # noqa: PLC0415

    begin = SystemClock().now() - span(since)
    place = Place(api, token_file, insecure, kubeconfig, context, timeout)
    shown = _Shown(output, no_headers=no_headers, node=node)

    async def past(source: "FleetSource") -> "list[Happening]":
        return await source.events(node=node, since=begin, most=most)

    async def followed(source: "FleetSource") -> None:
        async with aclosing(source.watch("events")) as changes:
            async for change in changes:
                # What happened before the line stood, and while it was cut, is asked for behind it.
                if change.kind == "all":
                    await shown.behind(past(source))
                shown.take(change)

    if watch:
        ask(place, followed)
    else:
        shown.all(ask(place, past))


def span(text: str) -> float:
    """Read a span of time in seconds: ``90``, ``30s``, ``15m``, ``2h``, ``7d``.

    Raises
    ------
    ConfigError
        If it is none.
    """
    unit = text[-1:] if text[-1:] in _SPANS else ""
    number = text.removesuffix(unit) if unit else text
    if not (number.isascii() and number.isdigit() and len(number) < 9):  # noqa: PLR2004 - 30 years
        raise ConfigError(f"--since {text!r} is no span of time: 30s, 15m, 2h, 7d")
    return int(number) * _SPANS.get(unit, 1)


class _Shown:
    """Events as they are printed, each once."""

    def __init__(self, form: ListForm, *, no_headers: bool, node: str | None) -> None:
        if form not in {ListForm.TABLE, ListForm.WIDE, ListForm.JSON, ListForm.YAML}:
            raise ConfigError("-o is table, json or yaml: events have no names")
        self._form = form
        self._no_headers = no_headers
        self._node = node
        self._columns: Columns | None = None
        self._follows = False
        self._known: dict[tuple[Any, ...], None] = {}

    def all(self, found: "list[Happening]") -> None:
        """Print all at once."""
        from citadel_k8s.cli.fabric.printing import document, echo, note, table  # noqa: PLC0415

        if self._form in {ListForm.JSON, ListForm.YAML}:
            echo(document(found, self._form))
        elif not found:
            note("Nothing happened.")
        else:
            echo(table(HEADERS, [_cells(event) for event in found], no_headers=self._no_headers))

    async def behind(self, past: "Awaitable[list[Happening]]") -> None:
        """Print what happened so far; after a cut, a past that cannot be had is only told of."""
        from citadel_k8s.cli.fabric.printing import note  # noqa: PLC0415
        from citadel_k8s.clients.fleet import FleetError  # noqa: PLC0415

        try:
            self.some(await past)
        except FleetError as error:
            if not self._follows:
                raise
            note(f"what happened meanwhile is not known: {error}")
        self._follows = True

    def some(self, found: "list[Happening]") -> None:
        """Print those that were not printed yet."""
        if self._form in {ListForm.TABLE, ListForm.WIDE} and found:
            self._fit(found)
        for event in found:
            self._one(event)

    def take(self, change: "Change") -> None:
        """Print what a change tells."""
        from citadel_k8s.cli.fabric.printing import note  # noqa: PLC0415

        if change.kind == "cut":
            note(f"{change.message}; trying again in {change.seconds:.0f} s")
        elif change.kind == "back":
            note("the line stands again")
        elif change.event is not None and self._node in {None, change.event.get("node")}:
            self._one(change.event)

    def _one(self, event: Mapping[str, Any]) -> None:
        from citadel_k8s.cli.fabric.printing import document, echo  # noqa: PLC0415

        key = tuple(event.get(name) for name in ("time", "node", "reason", "message", "count"))
        if key in self._known:
            return
        self._known[key] = None
        if len(self._known) > 10_000:  # noqa: PLR2004 - more than are ever told twice
            del self._known[next(iter(self._known))]
        match self._form:
            case ListForm.JSON:
                echo(json.dumps(event))
            case ListForm.YAML:
                echo("---\n" + document(dict(event), "yaml"))
            case _:
                echo(self._fit([event]).line(_cells(event)))

    def _fit(self, found: "list[Any]") -> "Columns":
        from citadel_k8s.cli.fabric.printing import Columns, coloured, echo  # noqa: PLC0415

        first = self._columns is None
        headers = [""] * len(HEADERS) if self._no_headers else HEADERS
        columns = self._columns or Columns(headers, colour=coloured())
        self._columns = columns
        columns.fit(_cells(event) for event in found)
        if first and not self._no_headers:
            echo(columns.head())
        return columns


def _cells(event: Mapping[str, Any]) -> list[str]:
    from citadel_k8s.cli.fabric.telling import happened  # noqa: PLC0415
    from citadel_k8s.domain.terminal import shown  # noqa: PLC0415

    return [
        shown(event.get("time")),
        shown(event.get("node")),
        shown(event.get("kind") or event.get("type")),
        shown(event.get("reason")),
        shown(event.get("count") or 1),
        shown(happened(event)),
    ]
