"""Lines as styled pieces of text; shape and letters say all that colours say."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from citadel_k8s.cli.top.fleet import Totals
from citadel_k8s.cli.top.gpus import Gpu, Node, served
from citadel_k8s.cli.top.order import Line

BAND_FROM: Final = (0, 5, 30, 60, 85)
"""Where the five bands of utilization begin, per cent: as on the page."""

BAND_SHAPES: Final = "·▂▄▆█"
"""Shape of each band: they differ without any colour."""

BAND_STYLES: Final = ("bright_black", "blue", "cyan", "yellow", "bright_yellow")
"""Colour of each band, of the terminal's own palette; brighter is busier for every kind of eye."""

FAULT: Final = "!"
UNKNOWN: Final = "?"

STATES: Final = {
    "Online": ("+", "green"),
    "Degraded": ("!", "yellow"),
    "Stale": ("~", "yellow"),
    "Offline": ("x", "bold red"),
    "Draining": ("v", "cyan"),
    "Unknown": ("?", "magenta"),
    "Decommissioned": ("-", "bright_black"),
}
"""Sign and style of each state; one that is not known here is shown as Unknown is."""

NARROW: Final = 110
"""Columns of a terminal below which bars are short."""


class Widths(NamedTuple):
    """Cells of each part of a line."""

    who: int
    bar: int
    holder: int


def widths(total: int, *, grouped: bool) -> Widths:
    """Share the width of a terminal out."""
    bar = 8 if total < NARROW else 16
    who = 20 if grouped else 28
    if total >= NARROW:
        who += 8 if grouped else 16
    rest = total - who - 2 * (bar + 6) - 13
    return Widths(who, bar, max(0, rest))


def header(total: int, *, grouped: bool) -> Text:
    """Give the heads of the columns."""
    room = widths(total, grouped=grouped)
    who = "  GPU MODEL" if grouped else "NODE/GPU MODEL"
    text = f"{who:<{room.who}} {'UTIL':<{room.bar + 5}} {'VRAM':<{room.bar + 5}} "
    text += f"{'TEMP':>5} {'POWER':>5} HELD BY/SERVES"
    return Text(_fit(text, total), style="bold")


def painted(line: Line, total: int, now: float, *, grouped: bool) -> Text:
    """Give one line; ``now`` in seconds since the epoch."""
    if line.gpu is None:
        return _node(line.node, total, now)
    return _gpu(line.node, line.gpu, widths(total, grouped=grouped), grouped=grouped)


def summary(totals: Totals) -> str:
    """Give the sums in words."""
    mean = UNKNOWN if totals.mean is None else str(totals.mean)
    silent = f", {totals.unknown} unknown" if totals.unknown else ""
    sick = f", {totals.unhealthy} not Online" if totals.unhealthy else ""
    return (
        f"{totals.nodes} nodes{sick}; {totals.gpus} GPUs, {totals.busy} busy{silent}, mean {mean} %"
    )


def grid(nodes: Sequence[Node], total: int, height: int) -> list[Text]:
    """Give the grid of all GPUs, one cell each; of all nodes where there is no room for that.

    Parameters
    ----------
    total, height : int
        Cells in a row, and rows, at the most.
    """
    every = [(node, gpu) for node in nodes for gpu in node.gpus]
    if len(every) <= total * height:
        return _rows([led(node, gpu) for node, gpu in every], total)
    cells = [_worst(node) for node in nodes]
    room = total * height
    if len(cells) <= room:
        return _rows(cells, total)
    more = f" +{len(cells) - room + 12} nodes"
    found = _rows(cells[: room - 12], total)
    found[-1].append(more[:12])
    return found


def led(node: Node, gpu: Gpu) -> tuple[str, str]:
    """Give shape and style of one GPU's cell."""
    if node.silent:
        return STATES.get(node.state, STATES["Unknown"])
    if gpu.mark == 2:  # noqa: PLR2004 - failed
        return FAULT, "bold red"
    if gpu.util is None:
        return UNKNOWN, "magenta"
    band = band_of(gpu.util)
    return BAND_SHAPES[band], BAND_STYLES[band]


def band_of(util: int) -> int:
    """Give the band of a utilization."""
    return sum(util >= start for start in BAND_FROM) - 1


def bar(percent: int | None, width: int, style: str) -> Text:
    """Give a bar with its figure; hatched where unknown."""
    if percent is None:
        return Text("░" * width, style="bright_black").append("    ?", style="magenta")
    eighths = round(percent * width * 8 / 100)
    whole, rest = divmod(eighths, 8)
    filled = "█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
    return Text(f"{filled:<{width}}", style=style).append(f"{percent:>4}%", style="default")


def age(seconds: float) -> str:
    """Give an age in one unit."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _node(node: Node, total: int, now: float) -> Text:
    sign, style = STATES.get(node.state, STATES["Unknown"])
    text = Text(f"{sign} ", style=style)
    text.append(node.name, style="bold")
    text.append(f"  {node.state}", style=style)
    if node.reason and node.state != "Online":
        text.append(f" ({node.reason})", style=style)
    text.append(f"  {len(node.gpus)} GPUs" if node.gpus else "  no GPU known")
    if node.heard is not None and node.silent:
        text.append(f"  last known, {age(now - node.heard)} ago")
    if node.models:
        text.append(f"  {served(node.models)}", style="italic")
    text.truncate(total, overflow="ellipsis")
    return text


def _gpu(node: Node, gpu: Gpu, room: Widths, *, grouped: bool) -> Text:
    failed = FAULT if gpu.mark else " "
    what = f"{failed}{gpu.model or UNKNOWN}"
    if grouped:
        place = f"{gpu.index:>4} "
    else:
        # A long name is cut before its GPU's number, which would be the same for all of them.
        number = f"/{gpu.index}"
        half = room.who // 2
        cut = node.name if cell_len(node.name) < half - 2 else _fit(node.name, half - 3)
        place = set_cell_size(cut + number, half + 1)
    text = Text()
    text.append(_fit(place + what, room.who) + " ", style="red" if gpu.mark else "")
    band = BAND_STYLES[band_of(gpu.util or 0)]
    text.append_text(bar(gpu.util, room.bar, band)).append(" ")
    text.append_text(bar(gpu.memory, room.bar, "blue")).append(" ")
    text.append(f"{_with(gpu.temperature, '°C'):>5} {_with(gpu.power, 'W'):>5} ")
    text.append(_fit(_holder(node, gpu), room.holder).rstrip())
    if node.silent:
        text.stylize("dim")
    return text


def _holder(node: Node, gpu: Gpu) -> str:
    if gpu.holder is not None:
        return gpu.holder
    return UNKNOWN if node.models is None else served(node.models)


def _with(value: int | None, unit: str) -> str:
    return UNKNOWN if value is None else f"{value}{unit}"


def _fit(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, max(0, width - 1)) + "…" if width else ""


def _worst(node: Node) -> tuple[str, str]:
    if node.silent or any(gpu.mark == 2 for gpu in node.gpus):  # noqa: PLR2004 - failed
        return (FAULT, "bold red") if not node.silent else led(node, Gpu(0))
    known = [gpu.util for gpu in node.gpus if gpu.util is not None]
    return led(node, Gpu(0, util=round(sum(known) / len(known)) if known else None))


def _rows(cells: Sequence[tuple[str, str]], total: int) -> list[Text]:
    return [Text.assemble(*row) for row in _cut(cells, total)]


def _cut(cells: Sequence[tuple[str, str]], total: int) -> Iterator[Sequence[tuple[str, str]]]:
    for start in range(0, len(cells), max(1, total)):
        yield cells[start : start + max(1, total)]
