"""The page of the command line says what there is."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from citadel_k8s.cli.fabric.app import fabric
from citadel_k8s.cli.fabric.completing import sorts, states
from citadel_k8s.cli.fabric.events import HEADERS as EVENT_HEADERS
from citadel_k8s.cli.fabric.models import HEADERS as MODEL_HEADERS
from citadel_k8s.cli.fabric.options import TIMEOUT, ListForm
from citadel_k8s.clients.fabrichttp import LIVE_TIMEOUT
from citadel_k8s.domain import standing
from citadel_k8s.domain.nodecolumns import HEADERS

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/cli.md").read_text()


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ", maxsplit=1)[0]


def options(name: str) -> set[str]:
    command: Any = typer.main.get_command(fabric).commands[name]
    return {text for param in command.params for text in param.opts if text.startswith("-")}


def test_every_command_is_told_and_no_other():
    table = TEXT.split("\n## ")[0]
    told = {word for cell in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
            for word in re.findall(r"`([a-z]+)", cell)}  # fmt: skip
    assert told == set(typer.main.get_command(fabric).commands)


def test_every_option_of_nodes_is_told():
    source = {"--api", "--token-file", "--insecure", "--kubeconfig", "--context"}
    timeout = {"--request-timeout"}
    told = set(re.findall(r"`(-{1,2}[a-z-]+)[^`]*`", section("Nodes")))
    assert options("nodes") - source - timeout - {"--output"} == told
    assert source | timeout <= set(re.findall(r"(--[a-z-]+)", TEXT))


def test_orders_and_forms_are_those_that_there_are():
    row = next(line for line in section("Nodes").splitlines() if line.startswith("| `--sort`"))
    assert re.findall(r"`([a-z]+)`", row) == sorts("") == list(standing.SORTS)
    forms = next(line for line in section("Nodes").splitlines() if line.startswith("| `-o`"))
    assert re.findall(r"`([a-z]+)`", forms) == [form.value for form in ListForm]
    assert states("") == list(standing.ATTENTION)


@pytest.mark.parametrize("headers", [HEADERS, MODEL_HEADERS, EVENT_HEADERS])
def test_the_tables_have_the_columns_of_today(headers: tuple[str, ...]):
    assert any(line.split() == list(headers) for line in TEXT.splitlines())


def test_deadlines_are_those_of_today():
    assert f"has {TIMEOUT:g} s" in TEXT
    assert f"through the API {LIVE_TIMEOUT:g} s" in TEXT


def test_programs_are_those_that_are_installed():
    scripts = (ROOT / "pyproject.toml").read_text()
    for name in ("kubectl-fabric", "kubectl_complete-fabric"):
        assert name in TEXT
        assert f"\n{name} = " in scripts
