import io
from typing import Any

import pytest
from rich.console import Console

from citadel_k8s.local.view import print_table, table

NOW = 1_795_420_800.0


def node(name: str, **summary: str) -> dict[str, Any]:
    columns = {"gpus": "8/8", "util": "70%", "vram": "1/2Gi", "models": "m", "requests": "1/0"}
    return {
        "metadata": {"name": name, "creationTimestamp": "2026-11-23T08:00:00Z"},
        "spec": {"nodeId": name, "orgId": "acme"},
        "status": {"state": "Offline", "summary": {**columns, **summary}},
    }


def test_nothing_is_cut_however_narrow_the_terminal_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    model = "a-model-with-a-rather-long-name +12"
    objects = [node("gpu-2"), node("gpu-1", models=model, gpuModel="NVIDIA H100 80GB HBM3")]
    print_table(table(objects, NOW, wide=True))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].split()[:3] == ["NAME", "STATE", "READY"]
    assert lines[1].startswith("gpu-1  Offline  unknown")
    assert model in lines[1]
    assert "NVIDIA H100 80GB HBM3" in lines[1]


def test_an_object_without_a_status_is_unknown_and_not_blank(
    capsys: pytest.CaptureFixture[str],
) -> None:
    raw = node("gpu-1") | {"status": None}
    print_table(table([raw], NOW))
    assert capsys.readouterr().out.splitlines()[1].split()[1:7] == ["unknown"] * 6


def shown(objects: list[dict[str, Any]], width: int) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table(objects, NOW, width=width))
    return [line.rstrip() for line in console.export_text().splitlines()]


MANY = [
    node(f"gpu-node-{number}", models="meta-llama/Llama-3.1-70B-Instruct +3", vram="512/1024Gi")
    for number in range(1, 6)
]


@pytest.mark.parametrize(
    ("width", "headers"),
    [
        (200, ["NAME", "STATE", "READY", "GPUS", "UTIL", "VRAM", "MODELS", "RUN/WAIT",
               "CONFIRMED", "AGE"]),
        (120, ["NAME", "STATE", "READY", "GPUS", "UTIL", "VRAM", "MODELS", "RUN/WAIT",
               "CONFIRMED", "AGE"]),
        (80, ["NAME", "STATE", "GPUS", "UTIL", "VRAM", "MODELS", "CONFIRMED"]),
        (40, ["NAME", "STATE", "UTIL"]),
    ],
)  # fmt: skip
def test_columns_go_one_by_one_where_a_terminal_is_narrow_and_the_rest_can_be_read(
    width: int, headers: list[str]
) -> None:
    lines = shown(MANY, width)
    assert lines[0].split() == headers
    assert len(lines) == 1 + len(MANY)
    assert max(map(len, lines)) <= width
    for number, line in enumerate(lines[1:], 1):
        assert line.startswith(f"gpu-node-{number}  Offline")
    if "MODELS" in headers:
        assert "meta-llama/Llama-" in lines[1]


def test_names_that_are_long_are_cut_and_say_so() -> None:
    lines = shown([node("a-node-with-a-name-that-goes-on-and-on-for-ever")], 80)
    assert lines[1].startswith("a-node-with-a-name-that")
    assert "\N{HORIZONTAL ELLIPSIS}" in lines[1]
    assert "Offline" in lines[1]


def test_models_that_are_cut_say_so_once_and_still_how_many_more_there_are() -> None:
    models = ["meta-llama/Llama-3.1-70B-Instruct +3", "Mixtral-8x22B-Instruct-long-na\u2026"]
    lines = shown([node(f"gpu-{at}", models=name) for at, name in enumerate(models)], 80)
    assert [line.count("\N{HORIZONTAL ELLIPSIS}") for line in lines[1:]] == [1, 1]
    assert "\N{HORIZONTAL ELLIPSIS} +3" in lines[1]


def test_a_terminal_too_narrow_for_anything_still_shows_names() -> None:
    assert shown([node("gpu-1")], 16)[1].startswith("gpu-1")


def test_nothing_to_show_is_a_table_of_headers() -> None:
    assert shown([], 80)[0].split()[0] == "NAME"
