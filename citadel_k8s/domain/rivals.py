"""Whether another agent speaks for this node: two under one name make its object flap."""

from dataclasses import dataclass
from typing import Final

from citadel_k8s.constants import HEARTBEAT_INTERVAL, INTERVAL_MAX, INTERVAL_MIN

RIVAL_HEARD: Final = 2
"""Messages of another process after which it is called a rival: one may have been on its way when
this process began."""

RIVAL_GRACE: Final = 15.0
"""Seconds after the first foreign message in which none counts: a rolling update lets the old
agent finish beside the new one."""

RIVAL_INTERVALS: Final = 3
"""Intervals without a word after which a rival is thought to be gone."""


@dataclass(frozen=True, slots=True)
class Rival:
    """Another process that speaks under this node's id. Moments are seconds that never go back.

    ``interval`` is how far its words are apart, in seconds: it may have settings of its own.
    """

    boot_id: str
    first_heard: float
    last_heard: float
    heard: int = 1
    interval: float = HEARTBEAT_INTERVAL

    @property
    def proven(self) -> bool:
        """Whether it keeps speaking, and did not only finish."""
        return self.heard >= RIVAL_HEARD and self.last_heard - self.first_heard >= RIVAL_GRACE


def hear(
    rival: Rival | None,
    *,
    boot_id: str | None,
    own: str,
    goodbye: bool,
    now: float,
    interval: object = None,
) -> Rival | None:
    """Give what is known of a rival after a message under this node's id.

    Parameters
    ----------
    rival : Rival or None
        What was known before.
    boot_id : str or None
        The speaker's; None for clients that have none, which are another process all the same.
    own : str
        This process' boot id.
    goodbye : bool
        Whether it was its last word.
    now : float
        Moment of receipt.
    interval : object
        Its interval as it told it; the usual one is meant by whatever can be none.
    """
    if boot_id == own:
        return rival
    name = boot_id or "unnamed"
    if goodbye:
        return None if rival is not None and rival.boot_id == name else rival
    pause = _interval(interval)
    if rival is None:
        return Rival(name, now, now, interval=pause)
    if rival.boot_id != name:
        return rival  # of several the first heard is proof enough
    return Rival(name, rival.first_heard, now, rival.heard + 1, pause)


def still(rival: Rival | None, *, interval: float, now: float) -> Rival | None:
    """Give the rival as long as it can be thought to speak; ``interval`` is this agent's own."""
    if rival is None:
        return None
    silent = now - rival.last_heard
    return None if silent > RIVAL_INTERVALS * max(interval, rival.interval) else rival


def _interval(told: object) -> float:
    if isinstance(told, int | float) and INTERVAL_MIN <= told <= INTERVAL_MAX:
        return float(told)
    return HEARTBEAT_INTERVAL
