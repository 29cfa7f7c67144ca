"""The rules of liveness against fleets with bad days."""

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.tally import Tally
from tests.simulation.traces import fleet_day
from tests.simulation.truth import CLOCKWORK
from tests.simulation.weather import Climate

STORMY = Climate(outages=40, pauses=30, restarts=40, redis_jumps=10, wall_jumps=10)

TROUBLED = {"crashes": 12.0, "hangs": 6.0, "junk": 60.0}


def test_in_bad_days_no_living_node_is_told_offline_and_no_dead_one_missed():
    """One test, so that the days are simulated once whichever worker it runs on."""
    days = Tally()
    for seed in range(1, 4):
        fleet_day(seed, days, nodes=15)
    for seed in range(4, 10):
        fleet_day(seed, days, nodes=15, days=0.15, climate=STORMY)
    assert (days.false, days.misdated, days.missed) == (0, 0, 0), days.notes
    # Nobody dead is told back, and nobody who lives is left Offline.
    assert (days.raised, days.stuck) == (0, 0), days.notes
    # Told not before the timeout, nor later than the clockwork needs.
    assert 0 <= min(days.excess) <= max(days.excess) < CLOCKWORK
    # Enough happens for that to mean something, and the naive way fails at it.
    assert days.beats > 100_000
    assert min(days.deaths, days.restarts) > 200
    assert min(days.outages, days.pauses, days.operator_restarts, len(days.excess)) > 10
    assert min(days.naive_false, days.naive_missed) > 10


@pytest.mark.parametrize("wrong", MUTANTS)
def test_a_machine_with_something_wrong_is_caught(wrong):
    machine, count = MUTANTS[wrong]
    tally = Tally()
    for seed in range(1, 12):
        fleet_day(seed, tally, nodes=10, days=0.25, machine=machine, climate=STORMY, rates=TROUBLED)
        if count(tally) >= 3:
            break
    assert count(tally) >= 3


def test_a_seed_is_one_history():
    first, second = Tally(), Tally()
    for tally in (first, second):
        fleet_day(7, tally, nodes=3, days=0.1, climate=STORMY)
    assert first == second
