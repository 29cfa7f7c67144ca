from dataclasses import replace

from citadel_k8s.agent.board import Board
from citadel_k8s.domain.report import Moment
from citadel_k8s.domain.snapshot import Change
from citadel_k8s.models.readings import (
    Engine,
    Failed,
    Gpu,
    GpuEvent,
    Gpus,
    Host,
    Listener,
    Processes,
    Reading,
)
from citadel_k8s.models.wire import CollectorInfo, ConfigInfo
from tests.unit.domain.richnode import (
    CONTAINERS,
    GPUS,
    HOST,
    OLLAMA,
    PODS,
    PROCESSES,
    SPEAKER,
    VLLM,
    moment,
)


class Desk:
    """A board with a clock that is set by hand, and what it called out."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.changes: list[Change] = []
        self.board = Board(SPEAKER, self._moment)
        self.board.on_change(self.changes.append)

    def _moment(self) -> Moment:
        return moment(self.now)

    def learn(self, *engines: Engine) -> None:
        self.board.learn_host(Reading(HOST), 0.1)
        self.board.learn_gpus(Reading(GPUS), 0.1)
        self.board.learn_pods(Reading(PODS), 0.1)
        self.board.learn_processes(Reading(PROCESSES), 0.1)
        self.board.learn_containers(Reading(CONTAINERS), 0.1)
        self.board.learn_engines(Reading(engines or (VLLM, OLLAMA)), 0.1)


def test_the_board_is_complete_when_what_every_node_has_has_answered():
    desk = Desk()
    desk.board.learn_host(Reading(Host()), 0)
    desk.board.learn_gpus(Failed("Unresponsive", "x"), 0)
    assert not desk.board.complete.is_set()
    desk.board.learn_engines(Failed("x", "y"), 0)
    assert desk.board.complete.is_set()


def test_before_anything_was_told_nothing_is_a_change():
    desk = Desk()
    desk.learn()
    assert desk.changes == []


def test_what_differs_from_what_was_told_is_called_out_until_it_is_told():
    desk = Desk()
    desk.learn()
    desk.board.told()
    desk.learn()
    assert desk.changes == []
    desk.board.learn_events(GpuEvent("xid", 0, "GPU-0", 79))
    desk.board.learn_host(Reading(HOST), 0.1)
    assert desk.changes == [Change.HARD, Change.HARD]
    desk.board.told()
    desk.board.learn_host(Reading(HOST), 0.1)
    assert len(desk.changes) == 2


def test_events_that_come_together_are_counted_each_and_told_once():
    desk = Desk()
    desk.learn()
    desk.board.told()
    desk.board.learn_events(*[GpuEvent("xid", 0, "GPU-0", 79)] * 3)
    assert desk.changes == [Change.HARD]
    message = desk.board.message()
    assert message.status.gpu is not None
    (xid,) = message.status.gpu[0].xids or []
    assert xid.count == 3


def test_a_service_that_went_is_hard_and_one_that_is_not_well_is_soft():
    desk = Desk()
    desk.learn()
    desk.board.told()
    desk.board.learn_engines(Reading((VLLM,)), 0.1)
    assert desk.changes == [Change.HARD]
    desk.board.told()
    desk.board.learn_engines(Failed("Timeout", "x"), 0.1)
    assert desk.changes == [Change.HARD, Change.SOFT]


def test_an_event_is_dated_by_the_boards_own_clocks():
    desk = Desk()
    desk.learn()
    desk.now = 1007.0
    desk.board.learn_events(GpuEvent("xid", 0, "GPU-0", 31))
    message = desk.board.message()
    assert message.status.gpu is not None
    (xid,) = message.status.gpu[0].xids or []
    assert xid.last_at == "2026-11-23T08:00:07.250000Z"


def test_the_collectors_are_given_what_the_others_found():
    desk = Desk()
    assert (desk.board.pods(), desk.board.listeners(), desk.board.gpu_pids()) == ((), (), ())
    desk.learn()
    listener = Listener(8000, "127.0.0.1", 1000)
    desk.board.learn_processes(Reading(Processes(PROCESSES.processes, (listener,))), 0.1)
    assert desk.board.pods() == PODS.pods
    assert desk.board.listeners() == (listener,)
    assert desk.board.gpu_pids() == (1000, 1001)


def test_gpus_of_other_makers_join_those_of_nvidia():
    desk = Desk()
    desk.learn()
    desk.board.told()
    desk.board.learn_drm(Reading(Gpus("6.8", (Gpu(0, vendor="amd", health="ok"),))), 0.1)
    assert desk.changes == [Change.HARD]
    told = desk.board.message().status.gpu or []
    assert [one.vendor for one in told] == ["nvidia", "nvidia", "amd"]


def test_the_configuration_and_what_else_is_wrong_are_told():
    desk = Desk()
    assert desk.board.message().status.config is None
    desk.board.config = lambda: ConfigInfo(revision="7")
    rival = CollectorInfo(name="identity", state="failed", reason="Rival")
    desk.board.notices = lambda: (rival,)
    status = desk.board.message(seq=3).status
    assert status.config == ConfigInfo(revision="7")
    assert (status.collectors or [])[-1] == rival


def test_a_new_interval_holds_at_once():
    desk = Desk()
    assert desk.board.snapshot.interval == 30
    desk.board.speaker = replace(desk.board.speaker, interval_seconds=5.0)
    assert desk.board.snapshot.interval == 5
    assert desk.board.message().interval_seconds == 5
