"""What the answers of living nodes make of the silence of others."""

from citadel_k8s.domain.witness import Outcome, Probe
from citadel_k8s.operator.controls import CONTROL_NODES, CONTROL_ROUNDS, Controls
from tests.unit.operator.fakes import World


class Group:
    """Living nodes and the answers that they give."""

    def __init__(self, count: int) -> None:
        self.world = World()
        self.names = [f"gpu-{number}" for number in range(count)]
        for name in self.names:
            self.world.beat(name)
        self.controls = Controls(self.world.registry, lambda _: ("10.0.0.1",))

    def answer(self, name: str, outcome: Outcome) -> None:
        probe = Probe(outcome, "", self.world.clock.monotonic())
        self.controls.note(name, probe)

    def vouches(self, name: str = "suspect", outcome: Outcome = Outcome.TIMED_OUT) -> bool:
        return self.controls.vouches(name, outcome, self.world.clock.monotonic())

    def beat_later(self, *names: str) -> None:
        self.world.clock.advance(10)
        for name in names or self.names:
            self.world.beat(name)
        self.controls.settle()


def test_every_living_node_is_asked_in_turn():
    group = Group(200)
    seen: list[str] = []
    for _ in range(CONTROL_ROUNDS):
        seen += [record.node_id for record in group.controls.choose(few=False)]
    assert set(seen) == set(group.names)
    assert len(seen) == CONTROL_ROUNDS * CONTROL_NODES
    first = {int(name.removeprefix("gpu-")) // 50 for name in seen[:4]}
    assert len(first) >= 3, "neighbours are asked at different times"


def test_a_large_fleet_is_asked_faster_unless_there_is_no_room():
    group = Group(1000)
    assert len(group.controls.choose(few=False)) == 1000 // CONTROL_ROUNDS
    assert len(group.controls.choose(few=True)) == CONTROL_NODES


def test_a_door_found_closed_is_tried_once_more_in_the_next_round():
    group = Group(400)
    group.answer("gpu-7", Outcome.TIMED_OUT)
    group.answer("gpu-8", Outcome.TIMED_OUT)
    group.answer("gpu-9", Outcome.TIMED_OUT)
    group.beat_later()
    group.world.registry.late.add("gpu-8")
    chosen = [record.node_id for record in group.controls.choose(few=False)]
    assert chosen[:2] == ["gpu-7", "gpu-9"]
    group.answer("gpu-0", Outcome.ANSWERS)
    group.answer("gpu-7", Outcome.ANSWERS)
    group.answer("gpu-9", Outcome.TIMED_OUT)
    group.beat_later()
    assert group.controls._closed == {"gpu-8", "gpu-9"}
    chosen = [record.node_id for record in group.controls.choose(few=False)]
    assert "gpu-9" not in chosen, "it waits for its turn, as all closed ones do"


def test_nodes_of_the_cluster_and_others_are_told_apart():
    group = Group(40)
    for name in group.names[:10]:
        group.world.registry.observe_kube_node({"metadata": {"name": name, "uid": name}})
    chosen = [record.node_id for record in group.controls.choose(few=False)]
    assert sum(name in group.names[:10] for name in chosen) == CONTROL_NODES
    assert len(chosen) == 2 * CONTROL_NODES
    group.answer("gpu-0", Outcome.ANSWERS)
    assert group.vouches("gpu-1")
    assert not group.vouches("gpu-20"), "the mesh is another way"


def test_who_is_silent_is_no_control():
    group = Group(8)
    group.world.registry.late.update(group.names[:6])
    chosen = {record.node_id for record in group.controls.choose(few=False)}
    assert chosen == {"gpu-6", "gpu-7"}


def test_failures_of_nodes_that_die_while_they_are_asked_do_not_count():
    group = Group(20)
    group.answer("gpu-0", Outcome.ANSWERS)
    for name in group.names[1:]:
        group.answer(name, Outcome.TIMED_OUT)
    group.controls.settle()
    assert group.vouches()
    group.beat_later("gpu-0")  # and nobody else ever again
    group.world.registry.late.update(group.names[1:])
    group.controls.settle()
    assert group.vouches()
    assert group.controls._unsure == {}


def test_failures_of_nodes_that_speak_afterwards_do():
    group = Group(20)
    group.answer("gpu-0", Outcome.ANSWERS)
    for name in group.names[1:]:
        group.answer(name, Outcome.TIMED_OUT)
    group.beat_later()
    assert not group.vouches()


def test_a_door_that_was_closed_while_its_node_lived_says_nothing_when_it_is_silent():
    group = Group(20)
    group.answer("gpu-1", Outcome.REFUSED)
    group.beat_later()
    for name in group.names[2:]:
        group.answer(name, Outcome.ANSWERS)
    assert group.vouches("gpu-2", Outcome.REFUSED)
    assert not group.vouches("gpu-1", Outcome.REFUSED)
    group.answer("gpu-1", Outcome.ANSWERS)
    assert group.vouches("gpu-1", Outcome.REFUSED)


def test_one_that_answers_stands_in_where_all_are_silent():
    group = Group(3)
    probe = Probe(Outcome.ANSWERS, "", group.world.clock.monotonic())
    group.controls.stand_in("gpu-0", probe, group.world.clock.monotonic())
    assert group.vouches()
