"""How the commands answer: a table for people, JSON for programs, a secret on a line of its own."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from citadel_k8s.commands.options import Form
from citadel_k8s.domain.facts import clip

Row = dict[str, Any]

_UNFOLDED: Final = 2000


def show(rows: Sequence[Row], form: Form, *, nothing: str) -> None:
    """Print rows; all have the same keys.

    Parameters
    ----------
    nothing : str
        What to say to a person where there are none.
    """
    if form is Form.JSON:
        typer.echo(json.dumps([_plain(row) for row in rows], indent=2))
    elif not rows:
        typer.echo(nothing, err=True)
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for key in rows[0]:
            table.add_column(key.upper().replace("_", "-"), overflow="fold", no_wrap=False)
        for row in rows:
            # Text: what somebody called a token must not be read as markup.
            table.add_row(*(Text(_cell(value)) for value in row.values()))
        console = Console()
        if not console.is_terminal:
            # A line a row where a program reads: it cannot put folded columns together again.
            console.width = _UNFOLDED
        console.print(table)


def show_secret(row: Row, secret: tuple[str, str], form: Form, *, told: str) -> None:
    """Print what was made and its secret, which nobody can print again.

    Parameters
    ----------
    secret : tuple of str
        Its name in JSON, and itself: alone on standard output in a table's stead.
    told : str
        What to say to a person beside it, on standard error.
    """
    name, value = secret
    if form is Form.JSON:
        typer.echo(json.dumps(_plain(row) | {name: value}, indent=2))
        return
    typer.echo(told, err=True)
    typer.echo(value)


def _plain(row: Row) -> Row:
    return {key: _json(value) for key, value in row.items()}


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_json(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    return str(value)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, list | tuple):
        return " ".join(_cell(one) for one in value)  # pyright: ignore[reportUnknownVariableType]
    return clip(str(value), 200)
