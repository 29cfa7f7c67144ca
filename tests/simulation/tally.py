"""What a simulation counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Final

from citadel_k8s.domain.liveness import Policy
from tests.simulation.agents import BEAT, JUNK, Happening, Life
from tests.simulation.weather import DAY, Weather

NOTES_MAX: Final = 20
"""Findings kept in words; the rest is counted."""


@dataclass(slots=True)
class Tally:
    """Counts of one run or of many.

    ``false`` and ``missed`` are the two that must be none.

    Attributes
    ----------
    raised, raised_undated
        Offline nodes told back without a word of their own; the second where ids told no ages
        because Redis' clock had been set back.
    held
        Dead nodes whose silence was held back in a collapse.
    stuck
        Living nodes left Offline.
    unlucky, unlucky_after
        Living nodes all of whose attempts their own network lost for the whole timeout, or ever
        since Redis was back: nobody can tell them from dead ones.
    misdated
        Told falsely after a restart, by ids that Redis' clock had spoilt.
    raced
        Nodes whose first word after the timeout lay there unread.
    """

    node_days: float = 0.0
    beats: int = 0
    entries: int = 0
    deaths: int = 0
    restarts: int = 0
    outages: int = 0
    pauses: int = 0
    operator_restarts: int = 0
    jumps: int = 0
    silences: int = 0
    falls: int = 0
    false: int = 0
    missed: int = 0
    raised: int = 0
    raised_undated: int = 0
    held: int = 0
    stuck: int = 0
    unlucky: int = 0
    unlucky_after: int = 0
    misdated: int = 0
    raced: int = 0
    told_after_trouble: int = 0
    naive_false: int = 0
    naive_missed: int = 0
    delays: dict[float, list[float]] = field(default_factory=dict[float, list[float]])
    excess: list[float] = field(default_factory=list[float])
    notes: list[str] = field(default_factory=list[str])
    where: str = ""

    def detected(self, policy: Policy, delay: float) -> None:
        """Note how long after its death a node was told Offline, by its failure timeout."""
        self.delays.setdefault(policy.timeout, []).append(delay)

    def count(self, life: Life, happenings: Sequence[Happening]) -> None:
        """Count what one node did."""
        self.beats += life.beats
        self.entries += sum(h.code in {BEAT, JUNK} for h in happenings)
        self.deaths += life.deaths
        self.restarts += life.restarts

    def count_weather(self, sky: Weather, nodes: int) -> None:
        """Count what befell one fleet."""
        self.node_days += nodes * sky.end / DAY
        self.outages += sum(closure.redis_away for closure in sky.closures)
        self.pauses += sum(closure.trouble == "paused" for closure in sky.closures)
        self.operator_restarts += sum(closure.trouble == "restarted" for closure in sky.closures)
        self.jumps += len(sky.redis_clock) - 1 + len(sky.wall_jumps)

    def note(self, text: str) -> None:
        """Keep a finding in words."""
        if len(self.notes) < NOTES_MAX:
            self.notes.append(f"{self.where}: {text}")

    def add(self, other: "Tally") -> None:
        """Add what another run counted."""
        for one in fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            if isinstance(mine, int | float):
                setattr(self, one.name, mine + theirs)
            elif isinstance(mine, list):
                mine.extend(theirs)
        for timeout, delays in other.delays.items():
            self.delays.setdefault(timeout, []).extend(delays)
        del self.notes[NOTES_MAX:]
