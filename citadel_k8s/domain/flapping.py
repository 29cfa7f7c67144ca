"""When a node changes its state too often for each change to be news."""

from typing import Final

FLAPPING_CHANGES: Final = 4
"""Changes of state within the window that make a node a flapping one: a restart makes two, and two
restarts in a quarter of an hour are no roll-out any more."""

FLAPPING_WINDOW: Final = 900.0
"""Seconds in which changes are counted: a quarter of an hour, within which somebody looks."""

FLAPPING_REPORTS: Final = 3
"""Heartbeats in a row that bring a flapping node back from Offline, whoever sends them."""


def noted(changes: tuple[float, ...], now: float) -> tuple[float, ...]:
    """Give the moments of the last changes, as many as matter, with one more."""
    return (*changes, now)[-FLAPPING_CHANGES:]


def is_flapping(changes: tuple[float, ...], now: float) -> bool:
    """Say whether all of the last changes lie within the window."""
    return len(changes) >= FLAPPING_CHANGES and now - changes[-FLAPPING_CHANGES] < FLAPPING_WINDOW


def calm_at(changes: tuple[float, ...]) -> float | None:
    """Give the moment at which a node stops flapping if nothing changes; None if it does not."""
    if len(changes) < FLAPPING_CHANGES:
        return None
    return changes[-FLAPPING_CHANGES] + FLAPPING_WINDOW
