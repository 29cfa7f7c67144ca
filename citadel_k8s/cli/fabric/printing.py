"""Tables as kubectl has them: aligned, without boxes, never cut, coloured only on a terminal."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import typer

from citadel_k8s.domain.terminal import shown

GAP: Final = "   "
"""Between two columns. Source: kubectl."""

_STYLES: Final[dict[str, dict[str, Any]]] = {
    "Online": {"fg": "green"},
    "Degraded": {"fg": "yellow"},
    "Stale": {"fg": "yellow"},
    "Draining": {"fg": "cyan"},
    "Offline": {"fg": "red", "bold": True},
    "Unknown": {"dim": True},
    "Decommissioned": {"dim": True},
    "unknown": {"dim": True},
    "ok": {"fg": "green"},
    "degraded": {"fg": "yellow"},
    "failed": {"fg": "red", "bold": True},
    "unhealthy": {"fg": "red"},
    "Warning": {"fg": "yellow"},
    "True": {"fg": "green"},
    "False": {"fg": "yellow"},
}
"""Colour is never the only signal: the word stands there."""


def coloured() -> bool:
    """Say whether colours are wanted: on a terminal that has some, unless ``NO_COLOR`` is set."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


class Columns:
    """Lines of a table whose columns only grow: what was printed stays in line with what comes.

    Parameters
    ----------
    headers : sequence of str
        None are printed where they are left out by `head`.
    colour : bool
        Whether words get their colours.
    """

    def __init__(self, headers: Sequence[str], *, colour: bool = False) -> None:
        self._headers = headers
        self._widths = [len(header) for header in headers]
        self._colour = colour

    def fit(self, rows: Iterable[Sequence[str]]) -> None:
        """Make room for some rows."""
        for row in rows:
            for place, cell in enumerate(row):
                self._widths[place] = max(self._widths[place], width(cell))

    def head(self) -> str:
        """Give the line of headers."""
        line = self._line(self._headers, colour=False)
        return typer.style(line, bold=True) if self._colour else line

    def line(self, row: Sequence[str]) -> str:
        """Give the line of a row."""
        return self._line(row, colour=self._colour)

    def _line(self, row: Sequence[str], *, colour: bool) -> str:
        cells = [
            self._styled(cell, colour=colour) + " " * max(0, self._widths[place] - width(cell))
            for place, cell in enumerate(row)
        ]
        return GAP.join(cells).rstrip()

    def _styled(self, cell: str, *, colour: bool) -> str:
        style = _STYLES.get(cell) if colour else None
        return cell if style is None else typer.style(cell, **style)


def table(
    headers: Sequence[str], rows: Sequence[Sequence[Any]], *, no_headers: bool = False
) -> list[str]:
    """Give the lines of a table; cells are cleaned."""
    texts = [[shown(cell) for cell in row] for row in rows]
    columns = Columns(headers, colour=coloured())
    if no_headers:
        columns = Columns([""] * len(headers), colour=coloured())
    columns.fit(texts)
    lines = [columns.line(row) for row in texts]
    return lines if no_headers else [columns.head(), *lines]


def width(text: str) -> int:
    """Give the cells that a text takes in a terminal: two for an ideograph or an emoji."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 - few need it

    return cell_len(text)


def echo(lines: str | Iterable[str]) -> None:
    """Print lines."""
    text = lines if isinstance(lines, str) else "\n".join(lines)
    typer.echo(text, color=coloured() or None)


def note(text: str) -> None:
    """Say something beside the answer, on standard error."""
    typer.echo(shown(text), err=True)


def document(value: Any, form: str) -> str:
    """Give a value as JSON or YAML, all of it in ASCII: no character of it can act."""
    if form == "json":
        return json.dumps(value, indent=2)
    import yaml  # noqa: PLC0415 - few need it

    dump: Any = yaml.dump
    options: dict[str, Any] = {"sort_keys": False, "allow_unicode": False}
    try:
        # The one in C takes a fraction of the time where it is installed, and knows no surrogates.
        text = str(dump(value, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), **options))
    except UnicodeEncodeError:
        text = str(dump(value, Dumper=yaml.SafeDumper, **options))
    return text.rstrip("\n")
