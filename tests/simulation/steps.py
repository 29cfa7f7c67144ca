"""An operator that is killed at each step of each transition of a node's life.

The life is written by hand: a first word, a fault and its end, a crash, a return, a hang, a
goodbye that nobody keeps. The run without a restart tells when each transition is; each further
run ends the operator once, just before, at, or behind one of them, for a moment or for longer.
"""

from dataclasses import dataclass, field
from random import Random

from citadel_k8s.domain.liveness import Policy
from tests.simulation.agents import BEAT, DEATH, Habits, Happening, Life
from tests.simulation.tally import Tally
from tests.simulation.weather import Closure, Weather
from tests.simulation.whole import simulate

FAST = Policy(5, 3, 5)
END = 260.0
SPOKEN = (
    # From, until, boot; a beat each five seconds.
    (3.0, 40.0, "a"),
    (75.0, 110.0, "b"),
    (140.0, 160.0, "b"),
)
OFFSETS = (-0.3, 0.0, 0.15, 1.0, 2.5)
"""Seconds from a transition at which the operator ends: before it, at the verdict, before it is
told in the snapshot, before it is written to the object, and after."""

LENGTHS = (0.5, 12.0)


@dataclass(slots=True)
class Scripted(Life):
    """A life that is written and not drawn."""

    def live(self) -> list[Happening]:
        """Give what is written, and a neighbour's steady life for everybody but the first."""
        spoken = SPOKEN if self.name == "n0" else ((1.0 + int(self.name[1:]), END, "only"),)
        seqs: dict[str, int] = {}
        for begun, ended, boot in spoken:
            moment = begun
            while moment < ended:
                seqs[boot] = seqs.get(boot, 0) + 1
                self._say(moment, boot, seqs[boot])
                moment += 5.0
            self.happenings.append(Happening(ended, DEATH, ended))
        if self.name == "n0":
            self._say(160.5, "b", seqs["b"] + 1, goodbye=True)
        self.happenings.sort(key=lambda happening: happening.read)
        return self.happenings

    def _say(self, moment: float, boot: str, seq: int, *, goodbye: bool = False) -> None:
        closure = next((c for c in self.weather.closures if c.start <= moment < c.end), None)
        read = moment + 0.05 if closure is None else closure.end + 0.1
        self.happenings.append(Happening(read, BEAT, moment, boot, seq, 5.0, goodbye, moment))


@dataclass(slots=True)
class Outcome:
    """What all runs came to."""

    runs: int = 0
    tally: Tally = field(default_factory=Tally)


def restarts_at_each_step() -> Outcome:
    """Run once without a restart, then once for each step of each transition."""
    outcome = Outcome()
    moments = _one_run(outcome, [])
    for moment in moments:
        for offset in OFFSETS:
            length = LENGTHS[outcome.runs % len(LENGTHS)]
            start = max(0.5, moment + offset)
            _one_run(outcome, [Closure(start, start + length, "restarted")])
    return outcome


def _one_run(outcome: Outcome, closures: list[Closure]) -> list[float]:
    sky = Weather(END, closures)
    random = Random(1)
    habits = Habits(FAST, 5.0)
    lives: list[Life] = [Scripted(f"n{number}", habits, sky, random) for number in range(3)]
    outcome.tally.where = f"ended at {closures[0].start:.2f}" if closures else "not ended"
    operator = simulate(sky, lives, random, outcome.tally)
    outcome.runs += 1
    return [change.at for change in operator.changes.get("n0", ())]
