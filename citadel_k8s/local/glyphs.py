"""The words, figures and bars of a host's status, for terminals of any width and character set."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rich.console import ConsoleOptions
from rich.table import Table
from rich.text import Text

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_MIB_PER_GIB: Final = 1024

WIDE: Final = 120
"""Columns from which a terminal has room for what is nice to know."""

HEALTH_STYLES: Final = {
    "ok": "green",
    "degraded": "yellow",
    "starting": "cyan",
    "unhealthy": "bold red",
    "failed": "bold red",
    "unknown": "dim",
}
"""Colour is never the only signal: the word stands beside it."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The signs that a terminal can show. ``unknown`` stands for what nobody knows, never zero."""

    unknown: str = "\N{EN DASH}"
    dot: str = "·"
    full: str = "█"
    empty: str = "░"
    loaded: str = "●"
    pulled: str = "○"
    arrow: str = "→"
    degree: str = "°C"
    times: str = "\N{MULTIPLICATION SIGN}"

    def bar(self, ratio: float | None, width: int, style: str) -> Text:
        """Give a bar; an empty one of blanks where the share is not known."""
        if ratio is None:
            return Text(" " * width)
        full = min(width, max(0, round(ratio * width)))
        text = Text(self.full * full, style=style)
        return text.append(self.empty * (width - full), style="dim")

    def figure(self, value: float | None, form: str = ".0f", unit: str = "") -> str:
        """Give a number with its unit."""
        return self.unknown if value is None else f"{value:{form}}{unit}"

    def share(self, used: float | None, total: float | None, unit: str, form: str = ".1f") -> str:
        """Give how much is used of how much; nothing but the sign where both are unknown."""
        if used is None and total is None:
            return self.unknown
        return f"{self.figure(used, form)}/{self.figure(total, form)}{unit}"

    def list(self, texts: Iterable[str]) -> str:
        """Give several words in a row."""
        return f" {self.dot} ".join(text for text in texts if text)


def glyphs_for(options: ConsoleOptions) -> Glyphs:
    """Give the signs that this terminal can show."""
    if not options.ascii_only:
        return Glyphs()
    return Glyphs("-", "|", "#", ".", "*", "o", "->", "C", "x")


def table(*headers: str, right: Iterable[str] = ()) -> Table:
    """Give a table whose cells fold where they must, and are never cut."""
    view = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        view.add_column(header, justify="right" if header in right else "left", overflow="fold")
    return view


def row(view: Table, *cells: Text | str) -> None:
    """Add a row of cells that are shown as they are: no text from outside is taken for markup."""
    view.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def notes() -> Table:
    """Give a table without headers for remarks: who, what, and why as wide as there is room."""
    view = Table.grid(padding=(0, 2, 0, 0))
    view.add_column(overflow="fold", max_width=24)
    view.add_column(overflow="fold", max_width=24)
    view.add_column(overflow="fold", ratio=1)
    return view


def duration(seconds: float) -> str:
    """Give a time span in its two largest units."""
    whole = int(seconds)
    if whole < 2 * _MINUTE:
        return f"{whole} s"
    if whole < 2 * _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < 2 * _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def gib(mib: float | None) -> float | None:
    """Give MiB as GiB."""
    return None if mib is None else mib / _MIB_PER_GIB


def ratio(part: float | None, whole: float | None) -> float | None:
    """Give a share; None where it is not known."""
    return None if part is None or not whole else part / whole


def spans(numbers: Iterable[int]) -> str:
    """Give numbers in short: ``0-3,6``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{r[0]}-{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)
