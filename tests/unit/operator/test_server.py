"""What the probes say, and when they do not say "well"."""

from types import SimpleNamespace

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.operator.reader import PIPE_GAP
from citadel_k8s.operator.server import TICK_LATE, Probes


class Process:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.age: float | None = 1.0
        self.scheduler = SimpleNamespace(ticked_at=None)
        self.reader = SimpleNamespace(trouble=None, proof_age=lambda: self.age)
        self.leader = SimpleNamespace(leads=lambda: False, holder="other_1234")
        self.troubles: dict[str, str | None] = {"stream": None, "objects": None}
        self.probes = Probes(
            self.scheduler, self.reader, self.leader, lambda: self.troubles, self.clock
        )


def test_a_loop_that_never_turned_is_not_alive():
    assert Process().probes.live() == {"ok": False, "tickAgeSeconds": None}


def test_a_loop_that_stands_still_is_not_alive():
    process = Process()
    process.scheduler.ticked_at = process.clock.monotonic()
    assert process.probes.live()["ok"]
    process.clock.advance(TICK_LATE)
    assert not process.probes.live()["ok"]


def test_an_operator_that_stands_by_is_ready_and_says_who_leads():
    ready = Process().probes.ready()
    assert (ready["ok"], ready["leads"], ready["leader"]) == (True, False, "other_1234")


def test_an_operator_that_has_not_read_the_stream_to_its_end_is_not_ready():
    process = Process()
    process.age = None
    assert process.probes.ready()["missing"] == {"stream": "not read to its end yet"}


def test_what_is_the_matter_with_the_stream_is_said():
    process = Process()
    process.age = PIPE_GAP
    process.troubles["stream"] = "cannot load"
    assert process.probes.ready()["missing"] == {"stream": "cannot load"}
    process.reader.trouble = "no answer"
    assert process.probes.ready()["missing"] == {"stream": "no answer"}


def test_each_part_that_is_in_trouble_is_named():
    process = Process()
    process.troubles |= {"objects": "403", "lease": "404"}
    ready = process.probes.ready()
    assert (ready["ok"], ready["missing"]) == (False, {"objects": "403", "lease": "404"})
