"""The one convention of all benchmarks: figures with targets, told to machines and to people.

A benchmark is a script in this folder, run as ``.venv/bin/python -m bench.NAME`` (or ``make bench
NAME=NAME``)::

    def main() -> int:
        bench = Bench("agent_cost", "What the agent costs a node")
        rounds = 10 if bench.quick else 1000
        bench.say(f"{rounds} rounds")
        bench.at_most("memory", measure(rounds), "MiB", target=70, naive=412)
        return bench.finish()

Each figure is one JSON line on stdout; progress goes to stderr. A full run also writes a table and
a picture to ``docs/benchmarks``; a quick one (``--quick``) only measures and judges. The exit code
is 1 if a target was missed.
"""

import argparse
import json
import math
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"
"""Where tables and pictures go."""

WIDE = 100.0
"""Ratio of the largest to the smallest bar above which an axis is logarithmic."""

Comparison = Literal["at most", "at least", "informational"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, what it was to be, and what the naive way would have given."""

    figure: str
    value: float
    unit: str
    comparison: Comparison
    target: float | None = None
    ok: bool | None = None
    naive: float | None = None
    ratio: float | None = None

    def as_json(self, **more: Any) -> str:
        """Give the figure as one line; what is no number becomes null."""
        values = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in (asdict(self) | more).items()
        }
        return json.dumps(values)

    def as_row(self) -> str:
        """Give the figure as one row of a markdown table."""
        sign = {"at most": "≤ ", "at least": "≥ ", "informational": ""}[self.comparison]
        target = "" if self.target is None else sign + with_unit(self.target, self.unit)
        naive = "" if self.naive is None else with_unit(self.naive, self.unit)
        ratio = "" if self.ratio is None else f"{pretty(self.ratio)} times"
        verdict = {True: "met", False: "**missed**", None: ""}[self.ok]
        cells = (
            self.figure,
            with_unit(self.value, self.unit),
            target,
            verdict,
            naive,
            ratio,
        )
        return "| " + " | ".join(cells) + " |"


@dataclass(frozen=True, slots=True)
class Curve:
    """Lines over a common axis, for the picture; a name to its x and y values."""

    title: str
    x_label: str
    y_label: str
    lines: dict[str, tuple[Sequence[float], Sequence[float]]]
    target: float | None = None


def judge(value: float, comparison: Comparison, target: float | None) -> bool | None:
    """Say whether a value meets its target; what is no number meets none."""
    if target is None or comparison == "informational":
        return None
    if not math.isfinite(value):
        return False
    return value <= target if comparison == "at most" else value >= target


def advantage(value: float, comparison: Comparison, naive: float | None) -> float | None:
    """Give how many times better than the naive way a value is, where that can be said."""
    if naive is None or min(naive, value) < 0:  # a slope that goes down is no times better
        return None
    better, worse = (value, naive) if comparison == "at least" else (naive, value)
    return better / worse if worse and math.isfinite(better / worse) else None


def pretty(value: float) -> str:
    """Give a number with three significant digits and no exponent where it can be helped."""
    if not math.isfinite(value):
        return "not measured"
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(digits, 9)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def with_unit(value: float, unit: str) -> str:
    """Give a number with its unit; a count has none."""
    return f"{pretty(value)} {unit}".rstrip()


def cores() -> int:
    """Give the cores that this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass
class Bench:
    """One run of one benchmark."""

    name: str
    title: str
    argv: Sequence[str] | None = None
    parser: argparse.ArgumentParser | None = None
    folder: Path = FOLDER
    figures: list[Figure] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)

    def __post_init__(self) -> None:
        parser = self.parser or argparse.ArgumentParser(description=self.title)
        parser.add_argument("--quick", action="store_true", help="measure less; write no report")
        self.arguments = parser.parse_args(self.argv)
        self.quick: bool = self.arguments.quick

    def say(self, text: str) -> None:
        """Tell progress, on stderr."""
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)

    def at_most(
        self, figure: str, value: float, unit: str, target: float, naive: float | None = None
    ) -> Figure:
        """Record a value that is good when small."""
        return self._record(figure, value, unit, "at most", target=target, naive=naive)

    def at_least(
        self, figure: str, value: float, unit: str, target: float, naive: float | None = None
    ) -> Figure:
        """Record a value that is good when large."""
        return self._record(figure, value, unit, "at least", target=target, naive=naive)

    def inform(self, figure: str, value: float, unit: str, naive: float | None = None) -> Figure:
        """Record a value that has no target."""
        return self._record(figure, value, unit, "informational", target=None, naive=naive)

    def curve(self, curve: Curve) -> None:
        """Add lines to the picture."""
        self.curves.append(curve)

    def finish(self) -> int:
        """Write the report of a full run and give the exit code: 1 if a target was missed."""
        if not self.quick and self.figures:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write_picture(self.folder / f"{self.name}.png")
            (self.folder / f"{self.name}.md").write_text(self.report(), encoding="utf-8")
        missed = [figure.figure for figure in self.figures if figure.ok is False]
        if missed:
            self.say(f"targets missed: {', '.join(missed)}")
        return 1 if missed else 0

    def report(self) -> str:
        """Give the table, with what it was measured on."""
        head = ("figure", "measured", "target", "", "naive way", "better by")
        machine = f"{cores()} cores, {platform.machine()}, Python {platform.python_version()}"
        lines = [
            f"# {self.title}",
            "",
            f"`make bench NAME={self.name}` on {machine}.",
            "",
            "| " + " | ".join(head) + " |",
            "|---" * len(head) + "|",
            *(figure.as_row() for figure in self.figures),
            "",
            f"![{self.title}]({self.name}.png)",
            "",
        ]
        return "\n".join(lines)

    def _record(
        self,
        figure: str,
        value: float,
        unit: str,
        comparison: Comparison,
        *,
        target: float | None,
        naive: float | None,
    ) -> Figure:
        ok = judge(value, comparison, target)
        ratio = advantage(value, comparison, naive)
        made = Figure(figure, value, unit, comparison, target, ok, naive, ratio)
        self.figures.append(made)
        print(made.as_json(bench=self.name, cores=cores(), quick=self.quick), flush=True)
        return made

    def _write_picture(self, path: Path) -> None:
        # Imported here: a quick run has no picture, and matplotlib takes a second to load.
        import matplotlib as mpl  # noqa: PLC0415

        mpl.use("Agg")
        from matplotlib import pyplot as plt  # noqa: PLC0415

        by_unit: dict[str, list[Figure]] = {}
        for figure in self.figures:
            by_unit.setdefault(figure.unit, []).append(figure)
        heights = [len(group) + 1.2 for group in by_unit.values()] + [6.0] * len(self.curves)
        sheet, grid = plt.subplots(
            len(heights),
            figsize=(8, 0.45 * sum(heights) + 0.8),
            height_ratios=heights,
            squeeze=False,
            layout="constrained",
        )
        axes = list(grid[:, 0])
        for axis, (unit, group) in zip(axes, by_unit.items(), strict=False):
            draw_bars(axis, unit, group)
        for axis, curve in zip(axes[len(by_unit) :], self.curves, strict=True):
            draw_curve(axis, curve)
        sheet.suptitle(self.title, fontsize=11)
        sheet.savefig(path, dpi=100)
        plt.close(sheet)


def draw_bars(axis: Any, unit: str, group: Sequence[Figure]) -> None:
    """Draw figures of one unit as bars, the naive way in grey, targets as red marks."""
    spots = range(len(group))
    axis.barh([s - 0.2 for s in spots], [f.value for f in group], 0.4, color="#3b7dd8")
    naive = [(s + 0.2, f.naive) for s, f in zip(spots, group, strict=True) if f.naive is not None]
    if naive:
        axis.barh([s for s, _ in naive], [v for _, v in naive], 0.4, color="#bbbbbb", label="naive")
    targets = [(s, f.target) for s, f in zip(spots, group, strict=True) if f.target is not None]
    if targets:
        lows, highs = [s - 0.45 for s, _ in targets], [s + 0.45 for s, _ in targets]
        axis.vlines([v for _, v in targets], lows, highs, color="#c62828", label="target")
    shown = [f.value for f in group] + [v for _, v in naive] + [v for _, v in targets]
    sizes = [abs(v) for v in shown if v and math.isfinite(v)]
    if sizes and min(shown) > 0 and max(sizes) / min(sizes) > WIDE:
        axis.set_xscale("log")
    axis.set_yticks(list(spots), [f.figure for f in group], fontsize=8)
    axis.set_ylim(len(group) - 0.4, -0.6)
    finish_axis(axis, unit or "count", "")
    if naive or targets:
        axis.legend(fontsize=7, loc="best", frameon=False)


def draw_curve(axis: Any, curve: Curve) -> None:
    """Draw lines, with the target as a dashed red one."""
    for name, (xs, ys) in curve.lines.items():
        axis.plot(xs, ys, label=name, linewidth=1.2)
    if curve.target is not None:
        axis.axhline(curve.target, color="#c62828", linestyle="--", linewidth=1, label="target")
    if axis.get_ylim()[0] > 0:
        axis.set_ylim(bottom=0)
    axis.set_title(curve.title, fontsize=9)
    finish_axis(axis, curve.x_label, curve.y_label)
    axis.legend(fontsize=7, loc="best", frameon=False)


def finish_axis(axis: Any, x_label: str, y_label: str) -> None:
    """Label an axis and take away what does not inform."""
    axis.set_xlabel(x_label, fontsize=8)
    axis.set_ylabel(y_label, fontsize=8)
    axis.tick_params(labelsize=8)
    axis.grid(visible=True, color="#eeeeee")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
