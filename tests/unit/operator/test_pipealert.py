"""One alert for the way from the nodes, after it has been down for a while."""

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.domain.pipe import PipeCondition
from citadel_k8s.operator.pipealert import HOLDS, PipeAlert

DOWN = PipeCondition("False", "ReaderDown", "no answer")
OPEN = PipeCondition("True", "Healthy", "heartbeats can arrive")


class Way:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.condition = OPEN
        self.alert = PipeAlert(lambda: self.condition, self.clock)

    def fires(self) -> tuple[str, str] | None:
        return self.alert()


def test_nothing_fires_while_heartbeats_can_arrive():
    assert Way().fires() is None


def test_a_way_that_stays_down_fires_once_it_has_lasted():
    way = Way()
    way.condition = DOWN
    assert way.fires() is None
    way.clock.advance(HOLDS)
    assert way.fires() == ("ReaderDown", "no answer")


def test_a_way_that_opens_in_between_begins_anew():
    way = Way()
    way.condition = DOWN
    way.fires()
    way.clock.advance(HOLDS - 1)
    way.condition = OPEN
    assert way.fires() is None
    way.condition = DOWN
    way.clock.advance(1)
    assert way.fires() is None


def test_a_way_of_which_nothing_is_known_yet_wakes_nobody():
    way = Way()
    way.condition = PipeCondition("Unknown", "CanaryLost", "may not be sent")
    way.fires()
    way.clock.advance(HOLDS)
    assert way.fires() is None


def test_most_nodes_silent_for_no_known_reason_wakes_people():
    way = Way()
    way.condition = PipeCondition("Unknown", "ArrivalCollapse", "3 of 4 nodes")
    way.fires()
    way.clock.advance(HOLDS)
    assert way.fires() == ("ArrivalCollapse", "3 of 4 nodes")
