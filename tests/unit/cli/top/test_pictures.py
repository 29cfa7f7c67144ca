"""What a line and a picture say, without a terminal."""

import json
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from citadel_k8s.cli.fabric.app import fabric
from citadel_k8s.cli.top import painting
from citadel_k8s.cli.top.fleet import Fleet
from citadel_k8s.cli.top.gpus import Gpu, node_of, served, with_detail
from citadel_k8s.cli.top.order import Line, lines, problem
from citadel_k8s.cli.top.plain import picture
from citadel_k8s.errors import ConfigError
from tests.unit.cli.top.fleets import detail, row

NOW = 1_795_420_800.0


def fleet(*rows: dict) -> Fleet:
    made = Fleet()
    made.replace(rows)
    return made


def test_what_is_not_known_is_a_question_mark_and_never_zero():
    node = node_of({"id": "n", "profile": {"gpus": [{"model": "X", "count": 1}]}})
    said = painting.painted(Line(node, node.gpus[0]), 80, NOW, grouped=True).plain
    assert "0%" not in said
    assert said.split().count("?") == 5  # utilization, memory, temperature, power, models


@pytest.mark.parametrize(
    "pulse",
    [None, [], {"gpu": 7}, {"gpu": [7, None, [1], ["a", "b", "c"], [500, -1, 9], [True, 1, 1]]}],
)
def test_figures_of_any_shape_are_read(pulse: object):
    node = node_of({"id": "n", "pulse": pulse})
    assert all(gpu.util is None or 0 <= gpu.util <= 100 for gpu in node.gpus)


def test_a_count_that_is_too_large_fills_no_memory():
    node = node_of({"id": "n", "profile": {"gpus": [{"model": "X", "count": 10**9}]}})
    assert len(node.gpus) == 64


@pytest.mark.parametrize("width", [20, 40, 80, 100, 120, 300])
@pytest.mark.parametrize("sort", ["name", "power"])
def test_lines_are_never_wider_than_a_terminal_of_80(width: int, sort: str):
    grouped = sort == "name"
    node = node_of(row("節点" * 20, 1))
    said = painting.painted(Line(node, node.gpus[0]), width, NOW, grouped=grouped)
    assert cell_len(said.plain) <= max(width, 80)


def test_figures_of_silent_nodes_count_for_nothing():
    totals = fleet(row("a", 2, util=80), row("b", 2, state="Offline", util=0)).totals()
    assert (totals.gpus, totals.busy, totals.unknown, totals.mean) == (4, 2, 2, 80)
    assert painting.summary(totals) == (
        "2 nodes, 1 not Online; 4 GPUs, 2 busy, 2 unknown, mean 80 %"
    )


def test_nothing_known_has_no_average():
    assert "mean ? %" in painting.summary(fleet(row("a", util=None)).totals())


@pytest.mark.parametrize(
    ("util", "shape"), [(0, "·"), (4, "·"), (5, "▂"), (30, "▄"), (60, "▆"), (85, "█"), (None, "?")]
)
def test_bands_differ_by_their_shape(util: int | None, shape: str):
    node = node_of(row("a"))
    assert painting.led(node, Gpu(0, util=util))[0] == shape
    assert painting.led(node, Gpu(0, util=util, mark=2))[0] == "!"


def test_a_grid_with_no_room_for_gpus_has_a_cell_for_each_node_and_then_says_how_many_more():
    nodes = [node_of(row(f"n{i}")) for i in range(100)]
    assert sum(len(r) for r in painting.grid(nodes, 80, 10)) == 800
    assert sum(len(r) for r in painting.grid(nodes, 80, 2)) == 100
    small = painting.grid(nodes, 40, 2)
    assert len(small) == 2
    assert small[-1].plain.endswith("nodes")


def test_details_survive_the_next_delta_and_go_with_their_node():
    known = fleet(row("a", 2))
    known.detail("a", detail())
    known.detail("nobody", detail())
    assert known.nodes["a"].gpus[1].temperature == 61
    known.replace([row("a", 2, util=1)])
    assert known.nodes["a"].gpus[1].util == 1
    known.replace([])
    assert known._details == {}


@pytest.mark.parametrize(
    ("told", "holder"),
    [
        ({"holders": [{"pod": "a"}, {"pod": "b"}]}, "a +1"),
        ({"holders": [{"device": "x"}], "processes": [{"pid": 1, "name": "python"}]}, "python"),
        ({"holders": []}, "-"),
        ({"holders": "nonsense"}, "?"),
        ({}, "?"),
    ],
)
def test_nobody_holding_a_gpu_differs_from_not_knowing(told: dict, holder: str):
    found = with_detail(node_of(row("a", 1)), {"status": {"gpu": [{"index": 0} | told]}})
    assert found.gpus[0].holder == holder


def test_a_detail_without_gpus_changes_nothing():
    node = node_of(row("a", 1))
    assert with_detail(node, {"status": None}) == node


def test_models_are_told_short():
    assert served(["org/llama", "b"]) == "llama +1"
    assert served([]) == "-"


def test_gpus_are_sorted_by_what_is_known_the_largest_first():
    known = fleet(row("a", 1, util=None), row("b", 1, util=0), row("c", 1, state="Stale", util=99))
    assert [line.node.name for line in lines(known, "utilization", "")] == ["b", "a", "c"]
    assert [line.node.name for line in lines(known, "attention", "") if not line.gpu] == list("cab")
    assert lines(known, "power", "state:stale")[0].node.name == "c"
    assert problem("state:nonsense") is not None


def test_a_picture_is_plain_text():
    told = list(picture(fleet(row("a", 1)), NOW, "name", ""))
    assert told[0].startswith("1 nodes")
    assert told[2] == "+ a  Online  1 GPUs  llama-3-70b +1"
    assert not any("\x1b" in line for line in told)


def test_without_a_terminal_one_picture_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("CITADEL_API_URL", raising=False)
    file = tmp_path / "kube.conf"
    file.write_text(json.dumps({"nonsense": True}))
    result = CliRunner().invoke(fabric, ["top", "--kubeconfig", str(file)])
    assert isinstance(result.exception, ConfigError)
