"""One picture as plain text, for pipes."""

from collections.abc import Iterator

from citadel_k8s.cli.top import order, painting
from citadel_k8s.cli.top.fleet import Fleet

WIDTH = 120
"""Columns of a picture that nobody's terminal shows."""


def picture(fleet: Fleet, now: float, sort: str, words: str) -> Iterator[str]:
    """Give the lines of a picture; ``now`` in seconds since the epoch."""
    grouped = sort in order.GROUPED
    yield f"{painting.summary(fleet.totals())}; by {sort}"
    yield painting.header(WIDTH, grouped=grouped).plain.rstrip()
    for line in order.lines(fleet, sort, words):
        yield painting.painted(line, WIDTH, now, grouped=grouped).plain.rstrip()
