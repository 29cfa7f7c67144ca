import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from citadel_k8s.cli.app import app
from citadel_k8s.cli.fabric import completing, running
from citadel_k8s.cli.fabric.app import fabric
from citadel_k8s.cli.fabric.completion import PLUGIN, complete_for_kubectl, variable
from citadel_k8s.cli.fabric.options import Place
from tests.unit.cli.fabric.fakefleet import FakeFleet

RUNNER = CliRunner()
LATE = {"aiohttp", "kubernetes", "pydantic", "redis", "rich", "structlog", "textual", "yaml"}


@pytest.fixture
def asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., list[str]]:
    """Asks as kubectl does; nobody is signed in and no cluster is known."""
    for name in ("COMP_WORDS", "COMP_CWORD", variable(PLUGIN), "KUBECONFIG", "CITADEL_API_URL"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))

    def ask(*words: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["kubectl_complete-fabric", *words])
        complete_for_kubectl()
        return capsys.readouterr().out.splitlines()

    return ask


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("application", "name"), [(fabric, "kubectl-fabric"), (app, "citadel-k8s")]
)
def test_a_script_is_printed_for_each_shell(application: object, name: str, shell: str):
    result = RUNNER.invoke(application, ["completion", shell])  # type: ignore[arg-type]
    assert result.exit_code == 0
    assert name in result.output
    assert f"complete_{shell}" in result.output


def test_kubectl_is_answered_in_cobras_way(asked: Callable[..., list[str]]):
    assert asked("de") == ["describe", ":4"]
    assert asked("nodes", "--state", "Offline,De") == [
        "Offline,Degraded", "Offline,Decommissioned", ":4",
    ]  # fmt: skip


def test_names_of_nodes_come_from_where_the_command_would_ask(
    asked: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
):
    fleet, places = FakeFleet(), []
    fleet.rows = [{"id": "gpu-2"}, {"id": "gpu-1"}, {"id": "other"}]

    @asynccontextmanager
    async def opened(place: Place) -> AsyncGenerator[FakeFleet]:
        places.append(place)
        yield fleet

    monkeypatch.setattr(running, "opened", opened)
    words = asked("describe", "--api", "https://x", "gpu-")
    assert words == ["gpu-1", "gpu-2", ":4"]
    assert (places[0].api, places[0].timeout) == ("https://x", completing.DEADLINE)


@pytest.mark.parametrize(
    "name",
    [
        "$(touch x)", "\\$(touch x)", "`x`", "a;x", "a\nb", 'a\\";x', "a'b", "a b", "*",
        "--api=http://127.0.0.1", "-w", "~root", "!!", "a\x1b[2J", "a\u202e", "",
    ],
)  # fmt: skip
def test_no_name_of_a_node_becomes_a_command_in_a_shell(
    asked: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, name: str
):
    fleet = FakeFleet()
    fleet.rows = [{"id": "n1", "profile": {"name": name}}, {"id": name}]

    @asynccontextmanager
    async def opened(_place: Place) -> AsyncGenerator[FakeFleet]:
        yield fleet

    monkeypatch.setattr(running, "opened", opened)
    assert asked("describe", "") == ["n1", ":4"]


def test_where_nobody_answers_no_names_are_suggested_and_nothing_is_said(
    asked: Callable[..., list[str]],
):
    assert asked("describe", "x") == [":4"]


def test_orders_are_completed():
    assert completing.sorts("-g") == ["-gpus"]
    assert completing.sorts("s") == ["state", "since"]


def test_help_is_there_before_anything_large_is():
    code = "import sys, citadel_k8s.cli.fabric.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not LATE & set(done.stdout.split())
