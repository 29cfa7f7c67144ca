"""One host's status for people: what a terminal of 80 columns has room for, and more on wide ones.

Nothing is cut: what does not fit folds. What nobody knows is a dash, and never zero.
"""

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from citadel_k8s.local.glyphs import WIDE, Glyphs, duration, glyphs_for, notes, ratio, row
from citadel_k8s.local.gpuview import gpu_parts
from citadel_k8s.local.serviceview import container_parts, service_parts
from citadel_k8s.models.codec import encode
from citadel_k8s.models.wire import CollectorInfo, NodeStatus, StatusMessage, SystemInfo

Show: TypeAlias = Callable[[StatusMessage], None]


class StatusView:
    """The status as a terminal of its width shows it.

    Parameters
    ----------
    message : StatusMessage
        What an agent would send, or has sent.
    """

    def __init__(self, message: StatusMessage) -> None:
        self._message = message

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the parts, one below the other."""
        yield Group(*_parts(self._message, glyphs_for(options), options.max_width))


def render(message: StatusMessage) -> StatusView:
    """Give the host, its GPUs, services and containers, and the sources that did not deliver."""
    return StatusView(message)


@contextmanager
def shown(console: Console | None = None, *, live: bool = False) -> Generator[Show, None, None]:
    """Give what prints messages; ``live``: in a terminal each in the place of the one before.

    Then the terminal's height decides how much of it is seen, as with ``top``.
    """
    console = console or Console()
    if not (live and console.is_terminal):
        yield lambda message: console.print(render(message))
        return
    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as screen:
        yield lambda message: screen.update(render(message), refresh=True)


@contextmanager
def as_json(console: Console | None = None) -> Generator[Show, None, None]:
    """Give what prints messages as they travel, indented."""
    console = console or Console()

    def show(message: StatusMessage) -> None:
        text = json.dumps(json.loads(encode(message)), indent=2)
        console.file.write(f"{text}\n")
        console.file.flush()

    yield show


def _parts(message: StatusMessage, glyphs: Glyphs, width: int) -> Iterator[RenderableType]:
    status = message.status
    yield _heading(message, glyphs)
    yield _host(status.system, glyphs, width)
    if status.gpu:
        yield from gpu_parts(status.gpu, glyphs, width)
    else:
        yield _nothing("GPU", "none" if status.gpu is not None else glyphs.unknown)
    if status.services:
        yield from service_parts(status.services, glyphs, width)
    else:
        yield _nothing("SERVICE", "none" if status.services is not None else glyphs.unknown)
    if status.containers:
        yield from container_parts(status.containers, glyphs)
    yield from _remarks(status)


def _heading(message: StatusMessage, glyphs: Glyphs) -> Text:
    node, system = message.status.node, message.status.system
    up, version = system.host_uptime_seconds, message.agent.version if message.agent else None
    words = [
        node.display_name if node.display_name != message.node_id else None,
        None if up is None else f"up {duration(up)}",
        None if system.cpu_count is None else f"{system.cpu_count} CPUs",
        system.kernel and f"Linux {system.kernel}",
        node.network_ip,
        version and f"agent {version}",
    ]
    said = glyphs.list(word for word in words if word)
    return Text(message.node_id, style="bold").append(f"  {said}", style="not bold")


def _host(system: SystemInfo, glyphs: Glyphs, width: int) -> Table:
    bar = 16 if width >= WIDE else 10
    used, total = system.memory_used_gb, system.memory_total_gb
    disk, room = system.disk_used_gb, system.disk_total_gb
    loads = (system.load_1m, system.load_5m, system.load_15m)
    busy = ".1f" if max(value or 0 for value in loads) >= 10 else ".2f"  # noqa: PLR2004 - 2 digits
    load = " ".join(glyphs.figure(value, busy) for value in loads)
    gauges = [
        ("CPU", ratio(system.cpu_percent, 100), ""),
        ("MEMORY", ratio(system.memory_percent, 100), glyphs.share(used, total, " GiB")),
        ("LOAD", ratio(system.load_1m, system.cpu_count), load),
        ("DISK", ratio(system.disk_percent, 100), glyphs.share(disk, room, " GiB")),
    ]
    if system.kubelet_disk_percent is not None:
        part, whole = system.kubelet_disk_used_gb, system.kubelet_disk_total_gb
        gauges.append(
            ("KUBELET", ratio(system.kubelet_disk_percent, 100), glyphs.share(part, whole, " GiB"))
        )
    view = Table.grid(padding=(0, 2, 0, 0))
    pairs = [gauges[at : at + 2] for at in range(0, len(gauges), 2)]
    for pair in pairs:
        row(view, *(cell for gauge in pair for cell in _gauge(*gauge, glyphs, bar)))
    return view


def _gauge(name: str, share: float | None, words: str, glyphs: Glyphs, bar: int) -> list[Text]:
    percent = glyphs.figure(None if share is None else 100 * share, ".0f", "%")
    return [
        Text(name, style="bold"),
        glyphs.bar(share, bar, _alarm(share)),
        Text(words if name == "LOAD" else f"{percent:>4} {words}".rstrip()),
    ]


def _alarm(share: float | None) -> str:
    if share is None or share < 0.75:  # noqa: PLR2004 - three quarters
        return "green"
    return "yellow" if share < 0.9 else "red"  # noqa: PLR2004 - the wire's disk alarm


def _nothing(name: str, word: str) -> Text:
    return Text.assemble("\n", (name, "bold"), "  ", (word, "dim"))


def _remarks(status: NodeStatus) -> Iterator[RenderableType]:
    """Give what was not read and why, and what else is worth knowing of the message itself."""
    view = notes()
    for names, source in _quiet(status.collectors or []):
        style = "dim" if source.state == "absent" else "yellow"
        age = source.age_seconds
        message = source.message or ""
        if age is not None:
            message = f"{message}; last read {duration(age)} ago".lstrip("; ")
        cells = (", ".join(names), source.reason or source.state, message)
        row(view, *(Text(cell, style=style) for cell in cells))
    if status.truncated:
        row(view, "message", "Truncated", ", ".join(status.truncated))
    if status.config is not None and status.config.error is not None:
        row(view, "configuration", Text("Refused", "yellow"), status.config.error)
    if view.row_count:
        yield Text("\nSOURCES", style="bold")
        yield view


def _quiet(sources: Sequence[CollectorInfo]) -> list[tuple[list[str], CollectorInfo]]:
    """Give the sources that did not deliver; one that repeats another's reason stands beside it."""
    told: dict[str, tuple[list[str], CollectorInfo]] = {}
    for source in sources:
        if source.state != "ok":
            key = f"{source.state} {source.reason or source.name}"
            told.setdefault(key, ([], source))[0].append(source.name)
    return list(told.values())
