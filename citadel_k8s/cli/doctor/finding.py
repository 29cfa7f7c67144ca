"""What a look found: a verdict, one line, and the command that mends it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from citadel_k8s.collectors.lines import clean

TEXT_MAX: Final = 400
"""Longest line of a finding, in characters: objects' names and servers' words are from outside."""


class Verdict(StrEnum):
    """How something is. What could not be looked at is unknown, and not well."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes
    ----------
    check : str
        What was looked at, in kebab case; the same in every version.
    verdict : Verdict
        How it is.
    said : str
        One line about it.
    fix : str or None
        A command, or a setting to change; None where nothing is to be done.
    """

    check: str
    verdict: Verdict
    said: str
    fix: str | None = None

    def document(self) -> dict[str, str | None]:
        """Give it as ``-o json`` shows it."""
        return {
            "check": self.check,
            "verdict": self.verdict.value,
            "message": self.said,
            "fix": self.fix,
        }


def ok(check: str, said: str) -> Finding:
    """Tell that something is as it has to be."""
    return _finding(check, Verdict.OK, said, None)


def warning(check: str, said: str, fix: str | None = None) -> Finding:
    """Tell of something that works and may not for long, or not well."""
    return _finding(check, Verdict.WARNING, said, fix)


def failure(check: str, said: str, fix: str | None = None) -> Finding:
    """Tell of something that keeps nodes from being seen, or people from seeing them."""
    return _finding(check, Verdict.FAILURE, said, fix)


def unknown(check: str, said: str, fix: str | None = None) -> Finding:
    """Tell of what could not be looked at."""
    return _finding(check, Verdict.UNKNOWN, said, fix)


EXIT_FAILURE: Final = 1
"""Exit status where something is broken, whatever else could not be looked at."""

EXIT_UNKNOWN: Final = 3
"""Exit status where nothing found is broken and something could not be looked at. Not 2, which
says that the words on the command line cannot be used."""


def exit_status(findings: Iterable[Finding]) -> int:
    """Give the exit status of a report: 0 if all is well, warnings allowed."""
    verdicts = {finding.verdict for finding in findings}
    if Verdict.FAILURE in verdicts:
        return EXIT_FAILURE
    return EXIT_UNKNOWN if Verdict.UNKNOWN in verdicts else 0


def listed(names: Iterable[str], most: int = 3) -> str:
    """Give some names as text, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def _finding(check: str, verdict: Verdict, said: str, fix: str | None) -> Finding:
    return Finding(
        check, verdict, clean(said, TEXT_MAX), None if fix is None else clean(fix, TEXT_MAX)
    )
