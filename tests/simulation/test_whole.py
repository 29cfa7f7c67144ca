"""The operator's own parts against fleets with bad days, and against being ended at any moment."""

from tests.simulation.mutants import Credulous
from tests.simulation.steps import restarts_at_each_step
from tests.simulation.tally import Tally
from tests.simulation.weather import Climate
from tests.simulation.whole import whole_fleet

STORMY = Climate(outages=150, pauses=80, restarts=150, redis_jumps=30, wall_jumps=30)


def test_in_bad_hours_no_living_node_is_told_offline_and_no_dead_one_missed():
    """One test, so that the hours are simulated once whichever worker it runs on."""
    hours = Tally()
    for seed in range(1, 4):
        whole_fleet(seed, hours, nodes=10, hours=1.0, climate=STORMY)
    assert (hours.false, hours.misdated, hours.missed) == (0, 0, 0), hours.notes
    # Nobody dead is told back, and nobody who lives is left Offline.
    assert (hours.raised, hours.stuck) == (0, 0), hours.notes
    # Enough happens for that to mean something, and the naive way fails at it.
    assert min(hours.deaths, hours.naive_false) > 50
    told = len(hours.excess) + hours.told_after_trouble
    assert min(hours.outages, hours.operator_restarts, told) >= 5


def test_an_operator_that_takes_everything_for_read_is_caught():
    tally = Tally()
    for seed in range(1, 7):
        whole_fleet(seed, tally, hours=0.7, proof_of=Credulous, climate=STORMY)
        if tally.false >= 3:
            break
    assert tally.false >= 3


def test_an_operator_ended_at_any_step_of_any_transition_tells_the_same():
    outcome = restarts_at_each_step()
    assert outcome.runs > 25
    assert (outcome.tally.false, outcome.tally.missed, outcome.tally.raised) == (0, 0, 0), (
        outcome.tally.notes
    )
