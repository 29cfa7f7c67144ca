"""FabricNodes as a coloured table in a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

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


def table(objects: Iterable[Mapping[str, Any]], now: float, *, wide: bool = False) -> Table:
    """Give the table of some objects; ``now`` in seconds since the epoch."""
    headers = (*HEADERS, *WIDE_HEADERS) if wide else HEADERS
    view = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        view.add_column(header, no_wrap=True, overflow="ellipsis")
    for raw in sorted(objects, key=lambda raw: str(raw["metadata"]["name"])):
        cells: Sequence[str] = row(raw, now) + (wide_row(raw, now) if wide else ())
        view.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in cells))
    return view
