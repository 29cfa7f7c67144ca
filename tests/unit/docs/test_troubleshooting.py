"""What an agent can give as a reason stands in the guides, and the guides tell of no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from citadel_k8s.domain.findings import RULES

ROOT = Path(__file__).parents[3]
GIVERS = frozenset(
    {"absent", "failed", "Absent", "Failed", "ProbeError", "CollectorInfo", "_RefusedError", "note"}
)
"""Calls whose first argument, or whose ``reason``, is a reason."""

SOURCES = [
    *sorted((ROOT / "citadel_k8s/collectors").rglob("*.py")),
    *sorted((ROOT / "citadel_k8s/agent").glob("*.py")),
    ROOT / "citadel_k8s/domain/seen.py",
]
WORD = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]*)*")


def strings(node: ast.AST) -> Iterator[str]:
    # Half of a reason is put together elsewhere.
    halves = {
        id(v) for part in ast.walk(node) if isinstance(part, ast.JoinedStr) for v in part.values
    }
    for part in ast.walk(node):
        if id(part) in halves:
            continue
        if (
            isinstance(part, ast.Constant)
            and isinstance(part.value, str)
            and WORD.fullmatch(part.value)
        ):
            yield part.value


def called(node: ast.Call) -> str:
    return getattr(node.func, "attr", None) or getattr(node.func, "id", "")


def in_call(node: ast.Call) -> Iterator[str]:
    name = called(node)
    if name in GIVERS and node.args:
        yield from strings(node.args[0])
    if name == "CallError" and node.args:
        yield from (f"PodResources{word}" for word in strings(node.args[0]))
    if name == "get" and ast.unparse(node.func) == "_REASONS.get":
        yield from strings(node.args[1])
    for keyword in node.keywords:
        if keyword.arg == "reason" and isinstance(keyword.value, ast.Constant):
            yield from strings(keyword.value)


def in_dict(node: ast.Dict) -> Iterator[str]:
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == "reason":
            yield from strings(value)


def in_node(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call():
            yield from in_call(node)
        case ast.Dict():
            yield from in_dict(node)
        case ast.Assign(targets=[ast.Name(id="reason")], value=value):
            yield from strings(value)
        case ast.Assign(targets=[ast.Name(id="word")], value=value):
            yield from (f"PodResources{word}" for word in strings(value))
        case ast.AnnAssign(target=ast.Name(id="_REASONS"), value=ast.Dict(values=values)):
            yield from (word for value in values for word in strings(value))
        case _:
            pass


def reasons(source: str) -> set[str]:
    return {word for node in ast.walk(ast.parse(source)) for word in in_node(node)}


def told() -> dict[str, int]:
    """Give each reason in the tables of reasons with how often it stands there."""
    text = (ROOT / "docs/troubleshooting.md").read_text()
    words = re.findall(r"^\| (`[^|]+`) \|", text, flags=re.MULTILINE)
    names = [name for cell in words for name in re.findall(r"`([A-Z]\w+)`", cell)]
    return {name: names.count(name) for name in names}


def given() -> set[str]:
    found = {word for path in SOURCES for word in reasons(path.read_text())}
    return found - {"NoJobWorker"}  # of a route, not of the node


def test_the_reasons_of_the_sources_are_found():
    assert {"NvmlLibraryNotFound", "PodResourcesHung", "Unauthorized", "DuplicateAgent"} <= given()
    assert len(given()) > 45


def test_each_reason_that_an_agent_gives_is_explained():
    assert given() - set(RULES) - told().keys() == set()


def test_no_reason_is_explained_that_nobody_gives():
    assert told().keys() - given() == set()


def test_no_reason_is_explained_twice():
    assert {name: count for name, count in told().items() if count > 1} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('absent("NoGpu", "x")', {"NoGpu"}),
        ('Failed("Ab" if x else "Bc", "Message")', {"Ab", "Bc"}),
        ('raise CallError("Refused", "x")', {"PodResourcesRefused"}),
        ('gpu | {"health": "failed", "reason": "Unreadable"}', {"Unreadable"}),
        ('_REASONS: Final = {1: "One"}', {"One"}),
        ('Engine(reason="NotFound")', {"NotFound"}),
        ('other("NotAReason")', set()),
    ],
)
def test_reasons_are_told_from_other_words(source: str, found: set[str]):
    assert reasons(source) == found
