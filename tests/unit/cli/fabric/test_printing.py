import json
import sys

import pytest
import yaml

from citadel_k8s.cli.fabric.printing import Columns, coloured, document, echo, table, width


class Terminal:
    encoding = "utf-8"

    def __init__(self, *, tty: bool) -> None:
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


def test_columns_are_in_line_and_nothing_is_cut():
    lines = table(["NAME", "X"], [["a", "1"], ["x" * 300, "2"]])
    assert [line.index(cell) for line, cell in zip(lines, "X12", strict=True)] == [303] * 3


def test_the_last_column_is_not_filled():
    assert table(["A", "B"], [["1", ""], ["2", "long"]]) == ["A   B", "1", "2   long"]


@pytest.mark.parametrize(
    ("text", "cells"), [("abc", 3), ("モデル", 6), ("🦙", 2), ("größe", 5), ("", 0)]
)
def test_width_is_in_cells_of_a_terminal(text: str, cells: int):
    assert width(text) == cells
    assert table(["N", "M"], [[text, "|"], ["xxxxxxx", "|"]])[1].rstrip("|") == text + " " * (
        10 - cells
    )


def test_headers_may_be_left_out_and_take_no_room():
    assert table(["LONG-HEADER", "B"], [["1", "2"]], no_headers=True) == ["1   2"]


def test_cells_from_outside_cannot_act():
    assert all(line.isprintable() for line in table(["A"], [["\x1b[2J\u202e\n\x07"]]))


@pytest.mark.parametrize(
    ("tty", "environ", "expected"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {"NO_COLOR": ""}, True),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, *, tty: bool, environ: dict[str, str], expected: bool
):
    monkeypatch.setattr(sys, "stdout", Terminal(tty=tty))
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert coloured() is expected


def test_a_colour_takes_no_room():
    columns = Columns(["STATE", "B"], colour=True)
    columns.fit([["Offline", "x"]])
    line = columns.line(["Offline", "x"])
    assert "\x1b[" in line
    assert line.endswith("   x")


def test_a_watch_keeps_its_columns_and_only_widens_them():
    columns = Columns(["A", "B"])
    columns.fit([["wide one", "x"]])
    assert columns.line(["a", "b"]) == "a          b"
    columns.fit([["a", "b"]])
    assert columns.line(["a", "b"]) == "a          b"


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "\u202e", "\x85", "\ud800", "\U0001f600", "- a: b", "null"]
)
def test_documents_are_plain_and_say_the_same(text: str):
    as_json, as_yaml = (document({"a": text}, form) for form in ("json", "yaml"))
    assert as_json.isascii()
    assert as_yaml.isascii()
    assert json.loads(as_json) == {"a": text}
    if text != "\ud800":
        assert yaml.safe_load(as_yaml) == {"a": text}


def test_lines_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]):
    echo(["a", "b"])
    assert capsys.readouterr().out == "a\nb\n"


@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize(
    "text", ["\x1b[2J", "\u202e", "\x85", "\ud800", "\U0001f600", "- a: b", "null"]
)
def test_a_document_comes_out_as_it_went_in_and_cannot_act(form: str, text: str):
    said = document([{"name": text}], form)
    assert said.isascii()
    assert all(line.isprintable() for line in said.split("\n"))
    if text != "\ud800" or form == "json":
        assert yaml.safe_load(said) == [{"name": text}] or json.loads(said) == [{"name": text}]
