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

    def fires(self) -> list[str]:
        return [alert.reason for alert in self.alert.alerts()]


def test_nothing_fires_while_heartbeats_can_arrive():
    assert Way().fires() == []


def test_a_way_that_stays_down_fires_once_it_has_lasted():
    way = Way()
    way.condition = DOWN
    began = way.clock.now()
    assert way.fires() == []
    way.clock.advance(HOLDS)
    (alert,) = way.alert.alerts()
    assert (alert.reason, alert.message, alert.started) == ("ReaderDown", "no answer", began)


def test_a_way_that_opens_in_between_begins_anew():
    way = Way()
    way.condition = DOWN
    way.fires()
    way.clock.advance(HOLDS - 1)
    way.condition = OPEN
    assert way.fires() == []
    way.condition = DOWN
    way.clock.advance(1)
    assert way.fires() == []
