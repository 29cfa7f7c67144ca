"""Rows of a fleet as they are printed: all at once, or one after another as they change."""

import json
from collections.abc import Sequence
from typing import Any

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.cli.fabric.options import ListForm
from citadel_k8s.cli.fabric.printing import Columns, coloured, document, echo, note, table
from citadel_k8s.clients.fleet import Asked, Change, Row
from citadel_k8s.domain.fleetfilter import Filter
from citadel_k8s.domain.fleetrows import name_of, ordered
from citadel_k8s.domain.nodecolumns import (
    HEADERS,
    OBJECT_HEADERS,
    WIDE_HEADERS,
    cells,
    lasting,
)
from citadel_k8s.domain.terminal import shown
from citadel_k8s.models.fabricnode import GROUP

NAME = f"fabricnode.{GROUP}"
"""What stands before an object's name, so that kubectl knows what it is."""

GONE = "(gone)"
"""State of a row that is no more, in a table that follows changes."""


class NodeList:
    """Prints rows.

    Parameters
    ----------
    form : ListForm
        As what.
    sort : str
        Of `domain.fleetrows.SORTS`.
    asked : Asked
        Which rows are meant; a watch tells them all.
    """

    def __init__(self, form: ListForm, *, sort: str, no_headers: bool, asked: Asked) -> None:
        self._form = form
        self._sort = sort
        self._no_headers = no_headers
        self._filter = Filter(
            state=asked.state, model=asked.model, gpu=asked.gpu, label=asked.label, q=asked.q
        )
        self._clock = SystemClock()
        self._columns: Columns | None = None
        self._printed: dict[str, tuple[str, ...]] = {}

    def show(self, rows: Sequence[Row], *, nothing: str) -> None:
        """Print rows, or what to say where there are none."""
        sorted_rows = ordered(rows, self._sort)
        match self._form:
            case ListForm.JSON | ListForm.YAML:
                echo(document(sorted_rows, self._form))
            case _ if not sorted_rows:
                note(nothing)
            case ListForm.NAME:
                echo(map(_named, sorted_rows))
            case _:
                headers = self._headers(sorted_rows[0])
                cells = [self._cells(row) for row in sorted_rows]
                echo(table(headers, cells, no_headers=self._no_headers))

    def take(self, change: Change) -> None:
        """Print what a change changes."""
        match change.kind:
            case "all":
                self._all(change.rows)
            case "node" if change.row is not None:
                self._node(change.row)
            case "gone":
                self._gone(change.id, change.row)
            case "cut":
                note(f"{change.message}; trying again in {change.seconds:.0f} s")
            case "back":
                note("the line stands again")
            case _:
                pass

    def _all(self, rows: Sequence[Row]) -> None:
        there = {str(row.get("id")) for row in rows}
        for node in self._printed.keys() - there:
            self._gone(node, {"id": node})
        taken = ordered((row for row in rows if self._filter.takes(row)), self._sort)
        if taken and self._tabular:
            self._fit(taken)
        for row in taken:
            self._node(row)

    def _node(self, row: Row) -> None:
        node = str(row.get("id"))
        if not self._filter.takes(row):
            self._gone(node, row)
            return
        before = self._printed.get(node)
        now = self._lasting(row, before)
        if before == now:
            return
        self._printed[node] = now
        self._print(row, "ADDED" if before is None else "MODIFIED")

    def _gone(self, node: str, row: Row | None) -> None:
        if self._printed.pop(node, None) is None:
            return
        told = row or {"id": node}
        still = self._filter.takes(told) or "state" not in told
        # One that is not meant any more is shown as it is now; one that is no more says so.
        self._print({**told, "state": GONE} if still and self._tabular else told, "DELETED")

    def _print(self, row: Row, kind: str) -> None:
        match self._form:
            case ListForm.JSON:
                echo(json.dumps({"type": kind, "node": row}))
            case ListForm.YAML:
                echo("---\n" + document({"type": kind, "node": row}, "yaml"))
            case ListForm.NAME:
                echo(_named(row))
            case _:
                columns = self._fit([row])
                echo(columns.line(self._cells(row)))

    def _fit(self, rows: Sequence[Row]) -> Columns:
        headers = self._headers(rows[0])
        first = self._columns is None
        columns = self._columns or Columns(
            [""] * len(headers) if self._no_headers else headers, colour=coloured()
        )
        self._columns = columns
        columns.fit(self._cells(row) for row in rows)
        if first and not self._no_headers:
            echo(columns.head())
        return columns

    @property
    def _tabular(self) -> bool:
        return self._form in {ListForm.TABLE, ListForm.WIDE}

    def _headers(self, row: Row) -> tuple[str, ...]:
        first = OBJECT_HEADERS if "object" in row else HEADERS
        return first + WIDE_HEADERS if self._form is ListForm.WIDE else first

    def _cells(self, row: Row) -> tuple[str, ...]:
        return cells(row, self._clock.now(), wide=self._form is ListForm.WIDE)

    def _lasting(self, row: Row, before: tuple[str, ...] | None) -> tuple[str, ...]:
        """Give what of a row, if it changes, is worth a line of its own."""
        if not self._tabular:
            return (json.dumps({k: v for k, v in row.items() if k != "age"}, sort_keys=True),)
        return lasting(dict(zip(self._headers(row), self._cells(row), strict=True)), before)


def _named(row: Row) -> str:
    name: Any = shown(row.get("object"))
    return f"{NAME}/{name}" if name else shown(row.get("id") or name_of(row))
