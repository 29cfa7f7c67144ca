import argparse
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import Bench, Comparison, Curve, advantage, judge, pretty


def quick(tmp_path: Path) -> Bench:
    return Bench("sample", "A sample", argv=["--quick"], folder=tmp_path)


@pytest.mark.parametrize(
    ("value", "comparison", "target", "ok"),
    [
        (69.9, "at most", 70, True),
        (70, "at most", 70, True),
        (70.1, "at most", 70, False),
        (70, "at least", 70, True),
        (69.9, "at least", 70, False),
        (math.nan, "at most", 70, False),
        (math.inf, "at least", 70, False),
        (5, "informational", None, None),
        (5, "at most", None, None),
    ],
)
def test_a_value_is_judged_by_its_target(
    value: float, comparison: Comparison, target: float | None, *, ok: bool | None
) -> None:
    assert judge(value, comparison, target) is ok


@pytest.mark.parametrize(
    ("value", "comparison", "naive", "ratio"),
    [
        (10, "at most", 40, 4),
        (10, "informational", 40, 4),
        (40, "at least", 10, 4),
        (10, "at most", None, None),
        (0, "at most", 40, None),
        (math.nan, "at most", 40, None),
    ],
)
def test_the_ratio_says_how_many_times_better_than_the_naive_way(
    value: float, comparison: Comparison, naive: float | None, ratio: float | None
) -> None:
    assert advantage(value, comparison, naive) == ratio


def test_each_figure_is_one_line_of_json_and_progress_goes_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = quick(tmp_path)

    bench.say("working")
    bench.at_most("memory", 61.5, "MiB", target=70, naive=123)
    bench.inform("rounds", 10, "1")

    printed = capsys.readouterr()
    lines = [json.loads(line) for line in printed.out.splitlines()]
    assert lines[0] | {"cores": 0} == {
        "figure": "memory",
        "value": 61.5,
        "unit": "MiB",
        "comparison": "at most",
        "target": 70,
        "ok": True,
        "naive": 123,
        "ratio": 2.0,
        "bench": "sample",
        "cores": 0,
        "quick": True,
    }
    assert lines[0]["cores"] >= 1
    assert lines[1]["ok"] is None
    assert printed.err == "sample: working\n"


def test_a_value_that_could_not_be_measured_is_null_and_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = quick(tmp_path)

    bench.at_most("latency", math.nan, "s", target=1)

    line = json.loads(capsys.readouterr().out)
    assert (line["value"], line["ok"]) == (None, False)
    assert bench.finish() == 1


def test_the_exit_code_tells_of_a_missed_target(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = quick(tmp_path)

    bench.at_least("rate", 5, "1/s", target=4)
    assert bench.finish() == 0
    bench.at_least("other rate", 3, "1/s", target=4)
    assert bench.finish() == 1
    assert "targets missed: other rate" in capsys.readouterr().err


def test_a_quick_run_writes_no_report(tmp_path: Path) -> None:
    bench = quick(tmp_path)

    bench.inform("rounds", 10, "1")
    bench.finish()

    assert list(tmp_path.iterdir()) == []


def test_a_full_run_writes_a_table_and_a_light_picture(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks"
    bench = Bench("sample", "A sample", argv=[], folder=folder)
    bench.at_most("memory", 61.5, "MiB", target=70, naive=412)
    bench.at_most("wasted", 0, "MiB", target=1)
    bench.at_most("latency", 0.0004, "s", target=0.25, naive=30)
    bench.inform("rounds", 1000, "")
    bench.curve(Curve("Over time", "s", "MiB", {"agent": ([0, 1, 2], [60, 61, 61])}, target=70))

    assert bench.finish() == 0

    table = (folder / "sample.md").read_text()
    assert "| memory | 61.5 MiB | ≤ 70 MiB | met | 412 MiB | 6.7 times |" in table
    assert "| rounds | 1,000 |  |  |  |  |" in table
    assert "make bench NAME=sample" in table
    picture = (folder / "sample.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 200_000


def test_a_benchmark_may_have_options_of_its_own(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=10)

    bench = Bench("sample", "A sample", argv=["--nodes", "50"], parser=parser, folder=tmp_path)

    assert bench.arguments.nodes == 50
    assert bench.quick is False


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (70, "70"),
        (61.53, "61.5"),
        (412.6, "413"),
        (1234567, "1,234,567"),
        (0.00042, "0.00042"),
        (-2.5, "-2.5"),
        (math.nan, "not measured"),
    ],
)
def test_numbers_are_shown_with_three_digits(value: float, text: str) -> None:
    assert pretty(value) == text


@given(st.floats(1e-6, 1e12))
def test_a_shown_number_is_within_half_a_percent(value: float) -> None:
    assert float(pretty(value).replace(",", "")) == pytest.approx(value, rel=5.1e-3)
