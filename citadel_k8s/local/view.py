"""FabricNodes as a coloured table in a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from citadel_k8s.domain.columns import HEADERS, WIDE_HEADERS, row, wide_row

_STYLES: Final = {
    "Online": "green",
    "Degraded": "yellow",
    "Stale": "yellow",
    "Draining": "cyan",
    "Offline": "bold red",
    "Unknown": "dim",
    "unknown": "dim",
    "True": "green",
    "False": "yellow",
}
"""Colour is never the only signal: the word stands beside it."""


_WIDEST: Final = 1000
"""Columns that a table may have; the widest with all names at their limits has about 500."""


def print_table(view: Table) -> None:
    """Print a table as wide as it is: like kubectl's, it is cut by nobody, a pipe least of all."""
    console = Console()
    wanted = console.measure(view, options=console.options.update(width=_WIDEST)).maximum
    console.width = max(console.width, wanted)
    console.print(view, crop=False)


_LEFT_OUT: Final = ("AGE", "READY", "RUN/WAIT", "VRAM", "CONFIRMED", "GPUS", "MODELS", "UTIL")
"""What goes first where a terminal is too narrow for all of it, and what after that."""

_CUT_AT: Final = {"NAME": 24, "MODELS": 18}
"""Characters down to which a column is cut before another one goes."""

_GAP: Final = 2
"""Columns of the terminal between two columns of the table."""


def table(
    objects: Iterable[Mapping[str, Any]],
    now: float,
    *,
    wide: bool = False,
    width: int | None = None,
) -> Table:
    """Give the table of some objects.

    Parameters
    ----------
    objects : iterable of mapping
        FabricNodes.
    now : float
        Seconds since the epoch.
    wide : bool
        With the columns of ``-o wide``.
    width : int or None
        Characters into which it has to go: columns are left out until the others can be read.
    """
    headers = (*HEADERS, *WIDE_HEADERS) if wide else HEADERS
    rows: list[Sequence[str]] = [
        row(raw, now) + (wide_row(raw, now) if wide else ())
        for raw in sorted(objects, key=lambda raw: str(raw["metadata"]["name"]))
    ]
    widths = [max(map(cell_len, column)) for column in zip(headers, *rows, strict=True)]
    shown: dict[str, int] = dict(zip(headers, widths, strict=True))
    if width is not None:
        shown = _fitted(shown, width)
    view = Table(box=None, pad_edge=False, header_style="bold")
    for header, size in shown.items():
        cut = size if width is not None else None
        view.add_column(header, no_wrap=True, overflow="ellipsis", max_width=cut)
    places = [place for place, header in enumerate(headers) if header in shown]
    for cells in rows:
        chosen = [cells[place] for place in places]
        if width is not None:
            chosen = [
                _shortened(cell, shown[headers[place]])
                for cell, place in zip(chosen, places, strict=True)
            ]
        view.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in chosen))
    return view


def _shortened(cell: str, room: int) -> str:
    """Cut a cell so that ``+2``, how many more there are, stays; and with one mark, not two."""
    if cell_len(cell) <= room:
        return cell
    name, _, more = cell.rpartition(" +")
    tail = f" +{more}" if name and more.isdigit() else ""
    kept = (name if tail else cell)[: max(0, room - len(tail) - 1)]
    return f"{kept.rstrip('…')}…{tail}"


def _fitted(widths: Mapping[str, int], room: int) -> dict[str, int]:
    """Give the columns that have room, and how wide each may be."""
    shown = dict(widths)
    going = iter(_LEFT_OUT)
    while (spare := _spare(shown, room)) < 0 and (header := next(going, None)) is not None:
        shown.pop(header, None)
    least = _least(shown)
    for name in _CUT_AT:
        if name in least:
            more = min(max(0, spare), shown[name] - least[name])
            least[name], spare = least[name] + more, spare - more
    return least


def _spare(widths: Mapping[str, int], room: int) -> int:
    return room - sum(_least(widths).values()) - _GAP * (len(widths) - 1)


def _least(widths: Mapping[str, int]) -> dict[str, int]:
    return {name: min(size, _CUT_AT.get(name, size)) for name, size in widths.items()}
