"""What the simulation itself takes for true, on days made by hand."""

from random import Random

import pytest

from citadel_k8s.domain.liveness import Policy
from citadel_k8s.models.fabricnode import NodeState
from tests.simulation.agents import BEAT, DEATH, Habits, Happening, Life
from tests.simulation.receiver import Change
from tests.simulation.tally import Tally
from tests.simulation.truth import Truth
from tests.simulation.weather import DAY, Climate, Closure, Weather, weather

POLICY = Policy(10, 3, 5)


def test_a_word_that_lands_behind_the_goodbye_after_it_asks_for_no_sooner_verdict():
    """The stream had been lost long before, so that some operator might count it."""
    sky = Weather(2000.0, [Closure(100, 110, "refused", emptied=True)])
    told = [
        Happening(1000.1, BEAT, 1000.0, "a", 1, 10.0),
        Happening(1010.1, BEAT, 1010.0, "a", 3, 10.0, goodbye=True),
        Happening(1010.4, BEAT, 1010.3, "a", 2, 10.0),
    ]
    changes = [
        Change(1000.1, NodeState.UNKNOWN, NodeState.ONLINE),
        Change(1010.1, NodeState.ONLINE, NodeState.DRAINING),
        Change(1131.0, NodeState.DRAINING, NodeState.OFFLINE),
    ]
    for upto, missed in ((3, 0), (2, 1)):
        tally = Tally()
        Truth(told, POLICY, sky, [None]).judge(changes[:upto], tally)
        assert tally.missed == missed
    assert tally.notes == [": missed: silent since 1010.3, bound 1133.0"]


def test_a_node_is_missed_as_long_after_its_goodbye_as_that_asked_for():
    """Whatever lands behind it, and however long a node is waited for that says none."""
    sky = Weather(4000.0, [Closure(100, 110, "refused", emptied=True)])
    slow = Policy(60, 3, 10)
    told = [
        Happening(1000.1, BEAT, 1000.0, "a", 1, 60.0),
        Happening(1060.1, BEAT, 1060.0, "a", 3, 60.0, goodbye=True),
        Happening(1060.1, DEATH, 1060.1),
        Happening(1060.4, BEAT, 1060.3, "a", 2, 60.0),
    ]
    for fall, false in ((1181.0, 0), (1160.0, 1)):
        changes = [
            Change(1060.1, NodeState.ONLINE, NodeState.DRAINING),
            Change(fall, NodeState.DRAINING, NodeState.OFFLINE),
        ]
        tally = Tally()
        Truth(told, slow, sky, [None]).judge(changes, tally)
        assert (tally.false, tally.missed, tally.excess) == (false, 0, [])


@pytest.mark.parametrize("seed", range(5))
def test_the_operator_comes_to_entries_in_the_order_of_the_stream(seed):
    random = Random(seed)
    sky = weather(random, DAY / 4, Climate(outages=150, pauses=150, restarts=100))
    told = Life("n", Habits(POLICY, 10.0, junk=2000.0), sky, random).live()
    landed = [h.landed for h in told if h.seq is not None and not h.goodbye]
    assert landed == sorted(landed)
    assert len(landed) > 1000
