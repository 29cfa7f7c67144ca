"""Who is late, who is held, who only answers, and how many there are of each."""

import contextlib
import itertools

import pytest

from citadel_k8s.domain.pipe import Ruling
from citadel_k8s.errors import WireError
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.judging import always_offline
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.scheduler import AT_ONCE, Scheduler
from tests.unit.operator.fakes import METRICS, World


def judging(world: World, ruling: Ruling) -> None:
    now = world.clock.monotonic()
    world.registry.fall_silent(now, now, lambda _record, _now: ruling)


def counted(world: World) -> dict[str, int]:
    return {state.value: count for state, count in world.registry.tally.items() if count}


def test_a_living_node_is_late_after_one_and_a_half_intervals():
    world = World()
    world.beat()
    world.wait(14.9)
    assert not world.registry.late
    world.wait(0.1)
    assert world.registry.late == {"gpu-1"}


def test_a_word_between_suspicion_and_deadline_ends_both():
    world = World()
    world.beat()
    world.wait(30)
    assert world.registry.late == {"gpu-1"}
    world.beat()
    assert not world.registry.late
    world.wait(10)
    assert (world.state(), world.registry.late) == ("Online", set())
    world.wait(25)
    assert world.state() == "Offline"


def test_who_is_down_or_leaving_is_not_late():
    world = World()
    world.beat("gpu-1")
    world.beat("gpu-2")
    world.beat("gpu-2", envelope={"goodbye": {"reason": "terminating"}})
    world.wait(20)
    assert world.registry.late == {"gpu-1"}
    world.wait(20)
    assert world.registry.late == set()


def test_nobody_is_late_whose_words_may_not_have_been_read():
    world = World()
    world.beat()
    heard = world.clock.monotonic()
    world.clock.advance(100)
    world.registry.fall_silent(world.clock.monotonic(), heard + 5)
    assert not world.registry.late


def test_a_pipe_that_opens_makes_nobody_late_at_once():
    world = World()
    world.beat()
    world.clock.advance(60)
    world.registry.defer(world.clock.monotonic())
    world.silence()
    assert not world.registry.late
    world.wait(15)
    assert world.state() == "Offline"


def test_a_held_node_stays_as_it_is_and_late_until_it_is_let_go():
    world = World()
    world.beat()
    world.clock.advance(35)
    since = world.clock.monotonic()
    judging(world, Ruling("hold", until=since + 20))
    record = world.registry.nodes["gpu-1"]
    assert (world.state(), record.held_since) == ("Online", since)
    assert world.registry.late == {"gpu-1"}
    world.clock.advance(20)
    judging(world, Ruling("hold", until=since + 40))
    assert record.held_since == since
    world.wait(20)
    assert (world.state(), record.held_since) == ("Offline", None)


def test_a_word_lets_a_held_node_go():
    world = World()
    world.beat()
    world.clock.advance(35)
    judging(world, Ruling("hold", until=world.clock.monotonic() + 20))
    world.beat()
    assert world.registry.nodes["gpu-1"].held_since is None
    world.wait(34)
    assert world.state() == "Online"


def test_a_node_that_answers_stays_late_and_is_asked_again_an_interval_later():
    world = World()
    world.beat()
    world.clock.advance(35)
    judging(world, Ruling("answers", message="answers, but cannot publish"))
    assert (world.state(), world.live().reason) == ("Degraded", "PublishFailing")
    assert world.live().message == "answers, but cannot publish"
    assert world.registry.late == {"gpu-1"}
    world.wait(9.9)
    assert world.state() == "Degraded"
    world.wait(0.1)
    assert (world.state(), world.live().reason) == ("Offline", "AgentSilent")
    assert not world.registry.late


def test_a_ruling_gives_an_outage_its_words():
    world = World()
    world.beat()
    world.clock.advance(35)
    judging(world, Ruling("offline", reason="NodeNotReady", message="its Node is not Ready"))
    assert (world.live().reason, world.live().message) == ("NodeNotReady", "its Node is not Ready")


def test_a_judge_that_fails_over_one_node_keeps_no_other_waiting():
    world = World()
    world.beat("gpu-1")
    world.beat("gpu-2")
    world.clock.advance(35)
    now = world.clock.monotonic()

    def judge(record, _now):
        if record.node_id == "gpu-1":
            raise ValueError("garbage")
        return Ruling("offline")

    world.registry.fall_silent(now, now, judge)
    assert (world.state("gpu-1"), world.state("gpu-2")) == ("Online", "Offline")
    world.wait(1)
    assert world.state("gpu-1") == "Offline"


def test_a_pause_of_the_operator_itself_moves_all_deadlines():
    world = World()
    world.beat()
    world.clock.advance(40)
    world.registry.shift(40)
    world.silence()
    assert world.state() == "Online"
    world.wait(35)
    assert world.state() == "Offline"


def test_a_change_of_reason_alone_is_told():
    world = World()
    world.beat()
    world.beat(gpu=[{"index": 0, "name": "x", "health": "failed", "reason": "GpuLost"}])
    world.beat(gpu=[{"index": 0, "name": "x", "health": "failed", "reason": "XidFatal"}])
    assert world.transitions[-1] == ("gpu-1", "Degraded", "Degraded")
    assert world.reasons[-1] == ("GpuLost", "XidFatal")


def test_the_tally_is_what_one_would_count():
    world = World()
    events = itertools.cycle(["beat", "wait", "restore", "forget", "goodbye", "kube"])
    for number, event in zip(range(200), events, strict=False):
        node = f"gpu-{number % 7}"
        match event:
            case "beat":
                world.beat(node)
            case "wait":
                world.wait(9)
            case "restore":
                world.restore(node, "Offline")
            case "forget":
                world.registry.forget_object(node)
            case "goodbye":
                world.beat(node, envelope={"goodbye": {"reason": "stop"}})
            case "kube":
                world.kube_node(node, "False" if number % 2 else "True")
        states = [record.live.state.value for record in world.registry.nodes.values()]
        assert counted(world) == {state: states.count(state) for state in set(states)}
        assert world.registry.late <= world.registry.nodes.keys()


def test_a_flapping_node_that_stays_down_calms_down_by_itself():
    world = World()
    world.beat()
    for _ in range(2):
        world.wait(40)
        world.beat()
        world.beat()
    world.wait(40)
    assert world.live().flapping
    assert world.state() == "Offline"
    world.wait(900)
    assert not world.live().flapping
    assert world.registry.checks.get("gpu-1") is not None


def test_two_agents_for_one_node_are_told_of():
    world = World()
    world.beat(boot="a")
    for _ in range(6):
        for boot in ("b", "a"):
            world.clock.advance(5)
            with contextlib.suppress(WireError):  # whoever is the former process by now
                world.beat(boot=boot)
    assert (world.state(), world.live().reason) == ("Degraded", "DuplicateAgent")


def test_the_scheduler_judges_as_far_as_the_proof_goes_and_as_the_judge_says():
    world = World()
    world.beat()

    class Proof:
        proved_until: float | None = None

    proof = Proof()
    scheduler = Scheduler(
        world.registry, proof, world.clock, METRICS(), lambda _r, now: Ruling("hold", until=now + 9)
    )
    world.clock.advance(50)
    scheduler.tick()
    assert world.registry.nodes["gpu-1"].held_since is None
    proof.proved_until = world.clock.monotonic()
    scheduler.tick()
    assert world.registry.nodes["gpu-1"].held_since == world.clock.monotonic()
    assert scheduler.ticked_at == world.clock.monotonic()


def test_a_fleet_that_falls_silent_at_once_is_judged_in_turns_and_earliest_first():
    world, judged, turns = World(), [], 2 * AT_ONCE
    for number in range(turns):
        world.beat(f"n{number}", age=(turns - number) / 100)

    class Proof:
        proved_until: float | None = world.clock.monotonic() + 50

    def judge(record: NodeRecord, now: float) -> Ruling:
        judged.append(record.node_id)
        return always_offline(record, now)

    world.clock.advance(50)
    scheduler = Scheduler(world.registry, Proof(), world.clock, METRICS(), judge)
    assert scheduler.tick()
    assert judged == [f"n{number}" for number in range(AT_ONCE)]
    world.beat(f"n{AT_ONCE}")  # heard in between: it is not judged
    assert not scheduler.tick()
    assert judged == [f"n{number}" for number in range(turns) if number != AT_ONCE]
    assert world.state(f"n{AT_ONCE}") == "Online"


@pytest.mark.parametrize("state", list(NodeState))
def test_garbage_beside_any_state_raises_nothing(state):
    world = World()
    conditions = [{"type": "Ready", "status": "?", "reason": 7}]
    world.observe(status={"state": state.value, "conditions": conditions}, maintenance="yes")
    world.wait(1000)
    assert world.state() == "Offline"
