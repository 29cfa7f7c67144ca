"""The report in a terminal: a line for each finding, what to do beneath, the sum at the end."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from citadel_k8s.cli.doctor.finding import Finding, Verdict

STYLES: Final = {
    Verdict.OK: "green",
    Verdict.WARNING: "yellow",
    Verdict.FAILURE: "bold red",
    Verdict.UNKNOWN: "magenta",
}
"""Colour is never the only signal: the word stands there."""

_ORDER: Final = (Verdict.FAILURE, Verdict.UNKNOWN, Verdict.WARNING, Verdict.OK)


def show(console: Console, findings: Sequence[Finding]) -> None:
    """Print a report."""
    widest = max((len(finding.check) for finding in findings), default=0)
    for finding in findings:
        console.print(line(finding, widest), soft_wrap=True)
        if finding.fix is not None:
            console.print(Text(f"{'':9}fix: {finding.fix}", style="bold"), soft_wrap=True)
    console.print()
    console.print(total(findings), soft_wrap=True)


def line(finding: Finding, widest: int) -> Text:
    """Give the line of one finding."""
    text = Text()
    text.append(f"{finding.verdict.value:<9}", style=STYLES[finding.verdict])
    text.append(f"{finding.check:<{widest}}  ", style="dim")
    text.append(finding.said)
    return text


def total(findings: Sequence[Finding]) -> str:
    """Give the sum: ``1 failure, 2 unknown, 14 ok``."""
    counts = Counter(finding.verdict for finding in findings)
    told = (_counted(verdict, counts[verdict]) for verdict in _ORDER if counts[verdict])
    return ", ".join(told)


def _counted(verdict: Verdict, number: int) -> str:
    plural = "s" if number > 1 and verdict in {Verdict.FAILURE, Verdict.WARNING} else ""
    return f"{number} {verdict.value}{plural}"
